"""What a figure's runs came to: its curves, and what was measured of each."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from experiments.analysis.colours import Look, tell_apart
from experiments.analysis.grids import point_looks, run_look
from experiments.analysis.paper.claims import THRESHOLD, Claim, Finding, Measured, Verdict
from experiments.analysis.paper.plans import Figure, Plan
from experiments.analysis.results import Point, Result, reported
from experiments.analysis.statistics import PUBLISHED


@dataclass(frozen=True)
class Series:
    """One curve of a figure: a run, or a point of its grid."""

    label: str
    point: Point
    measured: Measured

    @property
    def result(self) -> Result:
        """The run."""
        return self.point.result

    @property
    def lacks(self) -> str:
        """Why there is nothing to draw, in words; "" if there is something."""
        if self.point.is_diverged:
            return "diverged"
        if not self.point.has_curve:
            return "ended too few episodes (a larger --budget lets it)"
        return ""


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
        return tuple(reported([series.result for series in self.series], PUBLISHED))

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
        values = [point.coefficients[f"reuse_{symbol}"] for point in result.points]
        labels = [f"{symbol} = {value:g}" for value in values]
    return [
        Series(label, point, measure(point, figure))
        for label, point in zip(labels, result.points, strict=True)
    ]


def measure(point: Point, figure: Figure) -> Measured:
    """Returns what claims compare: the end, and steps and seconds to the threshold, per seed.

    All lanes are one program, whose seconds they share evenly.
    """
    result = point.result
    end = (point.evaluated if figure.evaluated else point.ends)(figure.metric)
    budget = result.steps_after(result.num_updates)
    steps, reached = point.steps_to(figure.metric, THRESHOLD)
    seconds = seconds_until(result, steps) / (len(result.points) * result.num_seeds)
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
