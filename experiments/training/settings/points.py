"""The points of a grid or a sweep: their coefficients, their names, and ``--slice i/n`` of them."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from experiments.training.errors import UsageError
from experiments.training.settings.options import Options
from oatrpo_jax.hyperparams import ENDS

Point = dict[str, float]
"""The coefficients of a grid point, by name."""


def make_points(options: Options) -> tuple[tuple[Point, ...], tuple[str, ...]]:
    """Returns the grid points, and the names of the coefficients that differ between them."""
    grid = options.coefficients
    if options.sweep is None:
        return grid_points(grid), tuple(name for name, values in grid.items() if len(values) > 1)
    if many := [name for name, values in grid.items() if len(values) > 1]:
        raise UsageError(f"{many[0]}: expected one value in a sweep; several belong in --search")
    if twice := sorted(options.points[0].keys() & options.given):
        raise UsageError(f"{twice[0]}: it is searched, so it cannot be given as well")
    (base,) = grid_points(grid)
    return tuple({**base, **point} for point in options.points), tuple(options.points[0])


def grid_points(grid: Mapping[str, Sequence[float]]) -> tuple[Point, ...]:
    """Returns the product of all values of all coefficients, the last name varying fastest.

    An end without values, that of a constant, is in no point.

    >>> grid_points({"gamma": (0.9,), "reuse_sigma": (0.1, 1.0)})
    ({'gamma': 0.9, 'reuse_sigma': 0.1}, {'gamma': 0.9, 'reuse_sigma': 1.0})
    """
    for name, values in grid.items():
        if not values and name not in ENDS.values():
            raise UsageError(f"{name}: expected one or several numbers, got none")
        if len({np.float32(value) for value in values}) < len(values):
            listed = " ".join(f"{value:g}" for value in values)
            raise UsageError(f"{name}: expected values that differ, got {listed}")
    given = {name: values for name, values in grid.items() if values}
    return tuple(
        dict(zip(given, values, strict=True)) for values in itertools.product(*given.values())
    )


def name_points(
    points: Sequence[Mapping[str, float]], swept: Sequence[str], otherwise: str
) -> list[str]:
    """Returns a name for each point, unlike those of other values; ``otherwise`` if none is swept.

    >>> name_points([{"gamma": 0.9, "rho": 1}, {"gamma": 1.0, "rho": 1}], ["gamma"], "oappo")
    ['gamma=0.9', 'gamma=1']
    """
    columns = [
        [f"{name}={text}" for text in value_texts([point[name] for point in points])]
        for name in swept
    ]
    return [", ".join(entries) for entries in zip(*columns, strict=True)] or [otherwise]


def name_agents(agent_types: Sequence[str]) -> list[str]:
    """Returns a name for each agent: its type and its place.

    >>> name_agents(["red", "black"])
    ['red 0', 'black 1']
    """
    return [f"{kind} {index}" for index, kind in enumerate(agent_types)]


def value_texts(values: Sequence[float]) -> list[str]:
    """Returns numbers in six digits; in all of theirs if six make two of them look alike.

    >>> value_texts([0.1, 1e-05]), value_texts([0.9999991, 0.9999993])
    (['0.1', '1e-05'], ['0.9999991', '0.9999993'])
    """
    short = [f"{value:g}" for value in values]
    is_clear = len(set(short)) == len(set(values))
    return short if is_clear else [repr(value) for value in values]


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
