"""A choice among names, checked; light enough for modules that import no library."""

from __future__ import annotations

import difflib
from collections.abc import Collection


def check_choice(what: str, given: str, choices: Collection[str]) -> None:
    """Raises a ValueError with all choices, and the nearest, unless `given` is one of them.

    >>> check_choice("colour", "rad", ["red", "black"])
    Traceback (most recent call last):
    ValueError: Expected colour to be one of red, black, got 'rad'. Did you mean red?
    """
    if given in choices:
        return
    close = difflib.get_close_matches(given, choices, n=2, cutoff=0.5)
    hint = f" Did you mean {' or '.join(close)}?" if close else ""
    raise ValueError(f"Expected {what} to be one of {', '.join(choices)}, got {given!r}.{hint}")
