"""Which settings a sweep tries, and how it ranks them."""

from __future__ import annotations

import dataclasses
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from experiments.training.errors import UsageError
from experiments.training.naming import command
from experiments.training.settings.command_line import changes_in_words
from experiments.training.settings.options import COEFFICIENTS, Options
from experiments.training.settings.parsing import nearest
from oatrpo_jax.hints import did_you_mean

MAX_POINTS = 1024
"""More do not fit side by side."""

LESS_IS_BETTER = (
    *("length", "total_path_length", "num_dirty_tiles", "ratio_dirty_tiles"),
    *("conceded", "out", "lost"),
)
"""The episode metrics of our environments and of jumanji's that are best where they are lowest."""

Order = Literal["highest", "lowest"]
"""Which values of an episode metric are the best."""

SYNTAX = "NAME=log:LOW:HIGH, NAME=uniform:LOW:HIGH or NAME=A,B,C"


@dataclass(frozen=True)
class Sweep:
    """Trains many settings side by side and ranks them; the best is saved as a preset.

    Attributes:
        search: what to vary: NAME=log:LOW:HIGH, NAME=uniform:LOW:HIGH or NAME=A,B,C.
        points: how many settings to draw; on a grid, how many values each range gets.
        method: draw settings at random, or take all combinations.
        search_seed: makes the drawing repeatable.
        rank_by: the episode metric that decides.
        rank_order: whether its highest or its lowest values are the best; if not given, the lowest
            of length, total_path_length, num_dirty_tiles, ratio_dirty_tiles, conceded, out and
            lost, the highest of all others.
        rank_over: the last tenth of the run, or all of it, which favours what learns quickly.
    """

    search: tuple[str, ...]
    points: int = 16
    method: Literal["random", "grid"] = "random"
    search_seed: int = 0
    rank_by: str = "return"
    rank_order: Order | None = None
    rank_over: Literal["end", "run"] = "end"


@dataclass(frozen=True)
class Range:
    """Numbers between two ends, evenly on a linear or a logarithmic scale."""

    low: float
    high: float
    is_log: bool

    def rvs(self, random_state: Any = None) -> float:
        """Returns one number drawn at random, as `ParameterSampler` asks for it."""
        from scipy import stats  # Slow to import.

        scale = stats.loguniform(self.low, self.high)
        even = stats.uniform(self.low, self.high - self.low)
        return self.typed((scale if self.is_log else even).rvs(random_state=random_state))

    def spread(self, count: int) -> list[float]:
        """Returns so many numbers from end to end; the middle if it is one."""
        space = np.geomspace if self.is_log else np.linspace
        ends = space(self.low, self.high, 3) if count == 1 else space(self.low, self.high, count)
        return [self.typed(value) for value in (ends[1:2] if count == 1 else ends)]

    def typed(self, value: float) -> float:
        """Returns the number, short enough to be typed again, within the range."""
        return min(self.high, max(self.low, float(f"{value:.4g}")))


def natural_order(metric: str) -> Order:
    """Returns which values of an episode metric are the best, going by its name.

    >>> natural_order("conceded"), natural_order("return")
    ('lowest', 'highest')
    """
    return "lowest" if metric in LESS_IS_BETTER else "highest"


Space = Range | list[float]
"""A range, or the values to choose from."""


def with_points(sweep: Sweep, options: Options) -> Options:
    """Returns the options with the points of the sweep in place of a grid.

    Those of a sweep that goes on are what it has stored.

    Raises:
        UsageError: if a range, a name or a number makes no sense, or if the sweep that goes on is
            another one.
    """
    if "resume" in options.given:
        raise UsageError(f"resume: a sweep goes on by {command('run')} --resume DIR")
    if options.run.dry_run:
        raise UsageError(
            f"dry_run: a sweep has none; {command('run')} has, with the values as a grid"
        )
    sweep = dataclasses.replace(sweep, rank_order=sweep.rank_order or natural_order(sweep.rank_by))
    if options.run.resume is not None:
        _check_same(sweep, options)
        return options
    points = search_points(sweep.search, sweep.points, sweep.method, sweep.search_seed)
    return dataclasses.replace(options, sweep=dataclasses.asdict(sweep), points=points)


def _check_same(sweep: Sweep, options: Options) -> None:
    """Raises a UsageError unless a sweep that goes on is the one that is typed, its points too."""
    directory, before = options.run.resume, options.sweep
    if before is None:
        raise UsageError(f"out: expected a sweep in {directory}, got another run; choose another")
    after = {k: [*v] if isinstance(v, tuple) else v for k, v in dataclasses.asdict(sweep).items()}
    if differ := [name for name, value in after.items() if value != before.get(name)]:
        raise UsageError(
            f"resume_or_start: the sweep in {directory} cannot go on as another one: "
            f"{changes_in_words(differ, before, after)}. Type it as it was, or choose another --out"
        )


def search_points(
    searches: Sequence[str], count: int, method: Literal["random", "grid"], seed: int
) -> tuple[dict[str, float], ...]:
    """Returns the points to try, each a value by name.

    Args:
        searches: one text per coefficient, see `SYNTAX`.
        count: points to draw at random, or values per range on a grid.
        method: drawn independently and evenly (on the range's scale), or all combinations.  Of
            lists alone no combination is drawn twice, and all are taken if there are no more.

    Raises:
        UsageError: if a text cannot be read, or there would be no point or too many.

    >>> search_points(["reuse_sigma=log:0.01:1", "gamma=0.9,0.99"], 3, "grid", 0)[:3]
    ({'gamma': 0.9, 'reuse_sigma': 0.01}, {'gamma': 0.9, 'reuse_sigma': 0.1}, \
{'gamma': 0.9, 'reuse_sigma': 1.0})
    """
    if not searches:
        raise UsageError(f"search: expected at least one {SYNTAX}")
    if count < 1:
        raise UsageError(f"points: expected at least 1, got {count}")
    if not 0 <= seed < 2**32:
        raise UsageError(f"search_seed: expected a number in [0, {2**32 - 1}], got {seed}")
    spaces: dict[str, Space] = {}
    for text in searches:
        name, space = parse_search(text)
        if name in spaces:
            raise UsageError(f"search: expected each name once, got {name} again")
        spaces[name] = space
    return _drawn(spaces, count, seed) if method == "random" else _grid(spaces, count)


def _drawn(spaces: Mapping[str, Space], count: int, seed: int) -> tuple[dict[str, float], ...]:
    from sklearn.model_selection import ParameterSampler  # Slow to import.

    lists = [space for space in spaces.values() if isinstance(space, list)]
    is_finite = len(lists) == len(spaces)
    _check_number(min(count, math.prod(map(len, lists))) if is_finite else count)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The total space of parameters")  # Then all are taken.
        return tuple(ParameterSampler(dict(spaces), count, random_state=seed))


def _grid(spaces: Mapping[str, Space], count: int) -> tuple[dict[str, float], ...]:
    from sklearn.model_selection import ParameterGrid  # Slow to import.

    values = {
        name: space.spread(count) if isinstance(space, Range) else space
        for name, space in spaces.items()
    }
    _check_number(math.prod(map(len, values.values())))
    return tuple(ParameterGrid(values))


def _check_number(count: int) -> None:
    if count > MAX_POINTS:
        raise UsageError(f"points: expected at most {MAX_POINTS} settings in all, got {count}")


def parse_search(text: str) -> tuple[str, Space]:
    """Returns a coefficient's name and its range, or the list of its values."""
    typed, equals, space = text.partition("=")
    name = typed.replace("-", "_")
    known = {name: each.metadata["doc"] for name, each in COEFFICIENTS.items()}
    if not equals:
        raise UsageError(f"search: expected {SYNTAX}, got {text!r}")
    if name not in known:
        hint = did_you_mean(nearest(name, known))
        raise UsageError(
            f"search: unknown coefficient {typed!r}; expected one of {', '.join(known)}.{hint}"
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
    return name, Range(low, high, scale == "log")


def _distinct(text: str, values: list[float]) -> list[float]:
    if len(set(values)) < len(values):
        raise UsageError(f"search: expected values that differ, got {text!r}")
    return values
