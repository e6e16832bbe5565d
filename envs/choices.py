"""A choice among names, checked; light enough for modules that import no library."""

from __future__ import annotations

import difflib
from collections.abc import Collection

from oatrpo_jax.hints import did_you_mean, near

MOST = 30
"""Of more choices than these, an error lists the nearest alone."""


def check_choice(what: str, given: str, choices: Collection[str]) -> None:
    """Raises a ValueError with the choices, and the nearest, unless `given` is one of them.

    >>> check_choice("colour", "rad", ["red", "black"])
    Traceback (most recent call last):
    ValueError: Expected colour to be one of red, black, got 'rad'. Did you mean red?
    """
    if given in choices:
        return
    listed = ", ".join(choices)
    if len(choices) > MOST:
        first = difflib.get_close_matches(given, choices, n=6, cutoff=0) or sorted(choices)[:6]
        listed = f"{len(choices)} names such as {', '.join(first)}"
    hint = did_you_mean(near(given, choices))
    raise ValueError(f"Expected {what} to be one of {listed}, got {given!r}.{hint}")
