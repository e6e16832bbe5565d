"""The points of a grid or a sweep: which values each coefficient has there."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

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
