"""``--slice i/n``: the points, or of a single point the seeds, that one job of several trains."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from experiments.training.errors import UsageError


class Slice(NamedTuple):
    """One of so many parts of a grid, numbered from 0."""

    number: int
    count: int


def parse_slice(text: str) -> Slice:
    """Returns what ``i/n`` says; a UsageError unless i is from 0 to n - 1.

    >>> parse_slice("2/4")
    Slice(number=2, count=4)
    """
    found = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text)
    part = Slice(*map(int, found.groups())) if found else None
    if part is None or part.number >= part.count:
        raise UsageError(
            f"slice: expected i/n, part i of n numbered from 0, such as 0/4 to 3/4, got {text!r}; "
            "correct it"
        )
    return part


def cut(
    text: str | None, points: Sequence[Any], seeds: Sequence[Any]
) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Returns the points and the seeds of a slice: neighbours, and as many in each as can be.

    Several points are cut by points, and a single one by its seeds.

    >>> cut("1/2", ["a", "b", "c"], [0, 1]), cut("1/2", ["a"], [0, 1])
    ((('c',), (0, 1)), (('a',), (1,)))

    Args:
        text: ``i/n``; None for all.
        points: those of the whole grid.
        seeds: all of its seeds.

    Raises:
        UsageError: if there is no such slice.
    """
    if text is None:
        return tuple(points), tuple(seeds)
    number, count = parse_slice(text)
    name, whole = ("seeds", seeds) if len(points) == 1 else ("grid points", points)
    if count > len(whole):
        raise UsageError(
            f"slice: expected at most {len(whole)} parts, as there are {len(whole)} {name}, got "
            f"{text}; cut into fewer"
        )
    places = np.array_split(np.arange(len(whole)), count)[number]
    part = tuple(whole[places[0] : places[-1] + 1])
    return (tuple(points), part) if len(points) == 1 else (part, tuple(seeds))
