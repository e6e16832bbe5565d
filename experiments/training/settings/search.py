"""Which settings a sweep tries."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import numpy as np

from experiments.training.errors import UsageError
from oatrpo_jax.config import Hyperparams

Values = Callable[[np.ndarray], list[float]]
"""Shares in [0, 1] -> values of a range."""

Space = Values | list[float]
"""A range, or the values to choose from."""

MAX_POINTS = 1024
"""More do not fit side by side."""

SYNTAX = "NAME=log:LOW:HIGH, NAME=uniform:LOW:HIGH or NAME=A,B,C"


def search_points(
    searches: Sequence[str], count: int, method: Literal["random", "grid"], seed: int
) -> list[dict[str, float]]:
    """Returns the points to try, each a value by name.

    Args:
        searches: one text per coefficient, see `SYNTAX`.
        count: points to draw at random, or values per range on a grid.
        method: drawn independently and evenly (on the range's scale), or all combinations.  Of
            lists alone no combination is drawn twice, and all are taken if there are no more.
        seed: of the drawing.

    Raises:
        UsageError: if a text cannot be read, or there would be no point or too many.

    >>> search_points(["reuse_sigma=log:0.01:1", "gamma=0.9,0.99"], 3, "grid", 0)[:3]
    [{'reuse_sigma': 0.01, 'gamma': 0.9}, {'reuse_sigma': 0.01, 'gamma': 0.99}, \
{'reuse_sigma': 0.1, 'gamma': 0.9}]
    """
    if not searches:
        raise UsageError(f"search: expected at least one {SYNTAX}")
    if count < 1:
        raise UsageError(f"points: expected at least 1, got {count}")
    if seed < 0:
        raise UsageError(f"search_seed: expected at least 0, got {seed}; choose another")
    spaces: dict[str, Space] = {}
    for text in searches:
        name, space = parse_search(text)
        if name in spaces:
            raise UsageError(f"search: expected each name once, got {name} again")
        spaces[name] = space
    return _random(spaces, count, seed) if method == "random" else _grid(spaces, count)


def _random(spaces: Mapping[str, Space], count: int, seed: int) -> list[dict[str, float]]:
    """Returns points drawn independently; of lists alone, every combination once at most."""
    lists = {name: space for name, space in spaces.items() if not callable(space)}
    is_finite = len(lists) == len(spaces)
    if is_finite and count >= math.prod(map(len, lists.values())):
        return _grid(spaces, count)
    _check_number(count)
    generator = np.random.default_rng(seed)
    if not is_finite:
        return _draw(spaces, count, generator)
    drawn: dict[tuple[float, ...], None] = {}
    while len(drawn) < count:
        (point,) = _draw(spaces, 1, generator)
        drawn[tuple(point.values())] = None
    return [dict(zip(spaces, values, strict=True)) for values in drawn]


def _draw(
    spaces: Mapping[str, Space], count: int, generator: np.random.Generator
) -> list[dict[str, float]]:
    columns = {
        name: space(generator.random(count))
        if callable(space)
        else generator.choice(space, count).tolist()
        for name, space in spaces.items()
    }
    rows = zip(*columns.values(), strict=True)
    return [dict(zip(columns, row, strict=True)) for row in rows]


def _grid(spaces: Mapping[str, Space], count: int) -> list[dict[str, float]]:
    shares = np.linspace(0, 1, count) if count > 1 else np.array([0.5])
    values = [space(shares) if callable(space) else space for space in spaces.values()]
    _check_number(math.prod(map(len, values)))
    return [dict(zip(spaces, row, strict=True)) for row in itertools.product(*values)]


def _check_number(count: int) -> None:
    if count > MAX_POINTS:
        raise UsageError(f"points: expected at most {MAX_POINTS} settings in all, got {count}")


def parse_search(text: str) -> tuple[str, Space]:
    """Returns a coefficient's name and its range, or the list of its values."""
    name, equals, space = text.partition("=")
    known = [field.name for field in dataclasses.fields(Hyperparams)]
    if not equals:
        raise UsageError(f"search: expected {SYNTAX}, got {text!r}")
    if name not in known:
        raise UsageError(
            f"search: unknown coefficient {name!r}; expected one of {', '.join(known)}"
        )
    scale, *bounds = space.split(":")
    try:
        if not bounds:
            return name, _distinct(text, [float(value) for value in scale.split(",")])
        low, high = map(float, bounds)
    except ValueError:
        raise UsageError(f"search: expected {SYNTAX}, got {text!r}") from None
    if scale not in ("log", "uniform"):
        raise UsageError(f"search: expected the scale log or uniform, got {text!r}")
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise UsageError(f"search: expected LOW < HIGH, both finite, got {text!r}")
    if scale == "log" and low <= 0:
        raise UsageError(f"search: expected LOW above 0 on a logarithmic scale, got {text!r}")
    return name, _Range(low, high, scale == "log")


@dataclasses.dataclass(frozen=True)
class _Range:
    low: float
    high: float
    is_log: bool

    def __call__(self, shares: np.ndarray) -> list[float]:
        if self.is_log:
            values = np.exp(np.log(self.low) + shares * np.log(self.high / self.low))
        else:
            values = self.low + shares * (self.high - self.low)
        # Short enough to be typed again.
        return [min(self.high, max(self.low, float(f"{value:.4g}"))) for value in values]


def _distinct(text: str, values: list[float]) -> list[float]:
    if len(set(values)) < len(values):
        raise UsageError(f"search: expected values that differ, got {text!r}")
    return values
