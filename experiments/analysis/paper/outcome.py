"""What a figure's runs came to: its curves, and what was measured of each."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from experiments.analysis.colours import Look, tell_apart
from experiments.analysis.grids import point_looks, run_look
from experiments.analysis.paper.claims import THRESHOLD, Claim, Finding, Measured, Verdict
from experiments.analysis.paper.plans import Figure, Plan
from experiments.analysis.results import Result

METRICS = ("return", "success", "length", "optimality", "path_optimality")
"""Episode metrics that figures and tables show, where the environment reports them."""


@dataclass(frozen=True)
class Series:
    """One curve of a figure: a run, or a point of its grid."""

    label: str
    result: Result
    point: int
    measured: Measured

    @property
    def lacks(self) -> str:
        """Why there is nothing to draw, in words; "" if there is something."""
        if self.point in self.result.diverged:
            return "diverged"
        if not len(self.result.curve("return", self.point).env_steps):
            return "ended too few episodes (a larger --budget lets it)"
        return ""

    def ends(self, metric: str) -> np.ndarray:
        """Returns ``[K]`` a metric over the last tenth."""
        return self.result.ends(metric, self.point)

    def seed_curve(self, metric: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns environment steps and a metric of one seed, ``[bins]`` each."""
        return self.result.seed_curve(metric, self.point, seed)


@dataclass(frozen=True)
class Outcome:
    """A figure with everything that was measured for it.

    Attributes:
        figure: what was asked.
        series: its curves, in the order of its runs.
        missing: labels of the curves that there is nothing of: the run did not finish, the point
            diverged, or too few episodes ended.
        num_seeds: seeds of each.
        commands: what trains its runs.
    """

    figure: Figure
    series: tuple[Series, ...]
    missing: tuple[str, ...]
    num_seeds: int
    commands: tuple[str, ...] = ()

    @property
    def measured(self) -> dict[str, Measured]:
        """What was measured, by the names of the series."""
        return {series.label: series.measured for series in self.series}

    @cached_property
    def verdicts(self) -> list[tuple[Claim, list[Finding], Verdict]]:
        """The figure's claims, each with its findings and its verdict."""
        return [(claim, *claim.examine(self.measured)) for claim in self.figure.claims]

    def qualified(self, verdict: Verdict) -> str:
        """Returns a verdict with what limits it."""
        if verdict != "undecided":
            return verdict
        seeds = "one seed" if self.num_seeds == 1 else f"{self.num_seeds} seeds"
        return f"undecided at {seeds}"

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics that every run reports."""
        runs = [series.result for series in self.series]
        return tuple(name for name in METRICS if all(run.has(name) for run in runs))

    @property
    def caption(self) -> str:
        """What the marks of the figure mean, and over how many seeds."""
        if self.num_seeds == 1:
            return "One seed: no interval."
        return f"Interquartile mean and 95% interval over {self.num_seeds} seeds."

    @property
    def looks(self) -> list[Look]:
        """How each curve is drawn: in its algorithm's colour, or by what is swept."""
        if self.figure.swept:
            return [point_looks(one.result).looks[one.point] for one in self.series]
        return tell_apart([run_look(one.result) for one in self.series])


def series_of(figure: Figure, plan: Plan, result: Result) -> list[Series]:
    """Returns a run's curves, one per point of its grid."""
    labels = [plan.label]
    if symbol := figure.swept:
        labels = [f"{symbol} = {point[f'reuse_{symbol}']:g}" for point in result.config["points"]]
    return [
        Series(label, result, point, measure(result, figure, point))
        for point, label in enumerate(labels)
    ]


def measure(result: Result, figure: Figure, point: int) -> Measured:
    """Returns what claims compare: the end, and steps and seconds to the threshold, per seed.

    All lanes are one program, whose seconds they share evenly.
    """
    end = (result.evaluated if figure.evaluated else result.ends)(figure.metric, point)
    budget = result.steps_after(result.num_updates)
    steps, reached = result.steps_to(figure.metric, point, THRESHOLD)
    seconds = seconds_until(result, steps) / (result.num_points * result.num_seeds)
    return Measured(end, steps, reached, budget, seconds)


def seconds_until(result: Result, steps: Any) -> Any:
    """Returns the seconds of the program that trains all lanes until each has done so many steps.

    They are spread evenly over the steps of training: steps before it take none.  Compiling is
    not among them, but what it took to log and to save is.

    Args:
        result: the run.
        steps: environment steps of a lane, a number or an array.
    """
    share = (steps - result.steps_before_training) / result.env_steps
    return share * result.training["run_seconds"]
