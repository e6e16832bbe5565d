"""A choice among names, checked; light enough for modules that import no library."""

from __future__ import annotations

import difflib
from collections.abc import Collection

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
        near = difflib.get_close_matches(given, choices, n=6, cutoff=0) or sorted(choices)[:6]
        listed = f"{len(choices)} names such as {', '.join(near)}"
    hint = did_you_mean(given, choices)
    raise ValueError(f"Expected {what} to be one of {listed}, got {given!r}.{hint}")


def did_you_mean(given: str, choices: Collection[str]) -> str:
    """Returns a question about the nearest names, whatever their case; nothing if none is near.

    >>> did_you_mean("Rad", ["red", "black"]), did_you_mean("blue", ["red"])
    (' Did you mean red?', '')
    """
    by_lower = {choice.lower(): choice for choice in choices}
    close = difflib.get_close_matches(given.lower(), by_lower, n=2, cutoff=0.5)
    return f" Did you mean {' or '.join(by_lower[each] for each in close)}?" if close else ""
