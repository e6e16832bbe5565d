"""Which names may have been meant, and the question that says so; light: no library is imported."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable


def did_you_mean(names: Iterable[str]) -> str:
    """Returns a question about names, to stand after a sentence; nothing if there are none.

    >>> did_you_mean(["red", "black"]), did_you_mean([])
    (' Did you mean red or black?', '')
    """
    listed = " or ".join(names)
    return f" Did you mean {listed}?" if listed else ""


def near(given: str, names: Collection[str]) -> list[str]:
    """Returns the nearest of the names, two at most, whatever their case; none if none is near.

    >>> near("Rad", ["red", "black"]), near("blue", ["red"])
    (['red'], [])
    """
    by_lower = {name.lower(): name for name in names}
    close = difflib.get_close_matches(given.lower(), by_lower, n=2, cutoff=0.5)
    return [by_lower[each] for each in close]
