"""From finished runs to curves: what each series of a figure came to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from experiments.analysis.curves import Curve
from experiments.analysis.paper.claims import THRESHOLD, Finding, Measured, Verdict
from experiments.analysis.paper.figure import Figure, Plan
from experiments.analysis.results import Result
from experiments.analysis.statistics import iqm

METRICS = ("return", "success", "length", "optimality", "path_optimality")
"""Episode metrics that figures and tables show, where the environment reports them."""


@dataclass(frozen=True)
class Series:
    """One curve of a figure: a run, or a point of its grid."""

    label: str
    result: Result
    point: int
    measured: Measured

    def curve(self, metric: str) -> Curve:
        """Returns the interquartile mean over seeds, and its interval."""
        return self.result.curve(metric, self.point, iqm)

    def ends(self, metric: str) -> np.ndarray:
        """Returns ``[K]`` a metric over the last tenth."""
        return self.result.ends(metric, self.point)

    def evaluated(self, metric: str) -> np.ndarray:
        """Returns ``[K]`` a metric over new episodes at the end; NaN where it was not measured."""
        if metric not in self.result.summary["points"][self.point]["absolute"]:
            return np.full(self.result.num_seeds, np.nan)
        return self.result.evaluated(metric, self.point)


@dataclass(frozen=True)
class Outcome:
    """A figure with everything that was measured for it.

    Attributes:
        figure: what was asked.
        series: its curves, in the order of its runs.
        missing: labels of runs that did not finish.
        num_seeds: seeds of each.
    """

    figure: Figure
    series: tuple[Series, ...]
    missing: tuple[str, ...]
    num_seeds: int

    def by_label(self) -> dict[str, Series]:
        """Returns the series by their names."""
        return {series.label: series for series in self.series}

    def examine(self) -> list[tuple[int, str, list[Finding], Verdict]]:
        """Returns each claim's number and sentence, its findings and its verdict."""
        evidence = {series.label: series.measured for series in self.series}
        return [
            (claim.number, claim.sentence, *claim.examine(evidence)) for claim in self.figure.claims
        ]

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics that every run reports."""
        return tuple(
            name for name in METRICS if all(series.result.has(name) for series in self.series)
        )

    @property
    def caption(self) -> str:
        """What the marks of the figure mean, and over how many seeds."""
        if self.num_seeds == 1:
            return "One seed: no interval."
        gain = " (of the gain: ratio of means)" if self.figure.kind == "sizes" else ""
        return f"Interquartile mean{gain} and 95% bootstrap interval over {self.num_seeds} seeds."


def series_of(figure: Figure, plan: Plan, result: Result) -> list[Series]:
    """Returns a run's curves, one per point of its grid."""
    return [
        Series(
            label=_label(figure, plan, result, point),
            result=result,
            point=point,
            measured=measure(result, figure, point),
        )
        for point in range(result.num_points)
    ]


def measure(result: Result, figure: Figure, point: int) -> Measured:
    """Returns what claims compare: the end, and the steps to the threshold, per seed."""
    metric = figure.metric
    budget = int(result.summary["env_steps"])
    curves = [result.seed_curve(metric, point, seed) for seed in range(result.num_seeds)]
    first = [steps_to_threshold(*curve) for curve in curves]
    return Measured(
        end=(result.evaluated if figure.evaluated else result.ends)(metric, point),
        steps=np.array([budget if steps is None else steps for steps in first], float),
        reached=np.array([steps is not None for steps in first]),
        budget=budget,
    )


def steps_to_threshold(env_steps: np.ndarray, values: np.ndarray) -> int | None:
    """Returns the environment steps after which a seed first reaches the threshold, if it does.

    >>> steps_to_threshold(np.array([10, 20, 30]), np.array([0.1, 0.95, 0.8]))
    20
    """
    above = np.flatnonzero(values >= THRESHOLD)
    return int(env_steps[above[0]]) if above.size else None


def _label(figure: Figure, plan: Plan, result: Result, point: int) -> str:
    if figure.swept is None:
        return plan.label
    name, symbol = figure.swept
    return f"{symbol} = {result.summary['points'][point]['hyperparameters'][name]:g}"
