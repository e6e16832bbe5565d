"""Finished runs as they are compared: their curves, and what to call them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from experiments.analysis.curves import Curve
from experiments.analysis.results import Result, read_result
from experiments.training.errors import UsageError

COLUMNS = ("success", "return", "length")


class Finished(NamedTuple):
    """A run read back.

    Attributes:
        directory: where it lies.
        env: the environment's name and options.
        summary: summary.json.
        num_seeds: how many seeds it has.
        curves: one per grid point and column that the environment reports.
    """

    directory: Path
    env: str
    summary: dict
    num_seeds: int
    curves: list[dict[str, Curve]]


def read_run(directory: Path) -> Finished:
    """Returns what a run left.

    Raises:
        UsageError: if the directory holds no finished run.
    """
    result = read_result(directory)
    try:
        curves = [
            {name: result.curve(name, point) for name in COLUMNS if result.has(name)}
            for point in range(result.num_points)
        ]
        _check(result, curves)
        env = env_text(result.summary["environment"], result.config.get("env_options") or {})
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(
            f"runs: expected a run of experiments/run.py in {directory}, got files that lack or "
            f"misstate something ({error!r}). Leave it out, or train it again."
        ) from error
    return Finished(directory, env, result.summary, result.num_seeds, curves)


def _check(result: Result, curves: list[dict[str, Curve]]) -> None:
    """Raises an error of Python's if the summary lacks or misstates what is shown of a run."""
    for name in ("algorithm", "env_steps"):
        _ = result.summary[name]
    for index, (point, columns) in enumerate(zip(result.summary["points"], curves, strict=True)):
        _ = columns["return"], point_label(result.summary, index)
        for name in columns:
            _ = [point[f"episode/{name}"][key] for key in ("mean", "ci95")]


def env_text(name: str, options: Mapping[str, Any]) -> str:
    """Returns an environment with its options, as a user tells them apart.

    >>> env_text("maze", {}), env_text("maze", {"time_limit": 9, "num_per_colour": 4})
    ('maze', 'maze num_per_colour=4 time_limit=9')
    """
    return " ".join([name, *(f"{key}={value}" for key, value in sorted(options.items()))])


def labelled_points(runs: list[Finished]) -> list[tuple[str, Finished, int]]:
    """Returns (label, run, point) of everything to compare.

    A label is the algorithm and the coefficients that differ within the run; where two would be
    the same, the run's directory is added, by its name or, if that is not enough, its path.
    """
    points = [(run, point) for run in runs for point in range(len(run.curves))]
    labels = [point_label(run.summary, point) for run, point in points]
    for place in (lambda run: run.directory.resolve().name, lambda run: str(run.directory)):
        times = Counter(labels)
        labels = [
            f"{label} ({place(run)})" if times[label] > 1 else label
            for label, (run, _) in zip(labels, points, strict=True)
        ]
    return [(label, run, point) for label, (run, point) in zip(labels, points, strict=True)]


def point_label(summary: Mapping[str, Any], point: int) -> str:
    """Returns a grid point's algorithm and the coefficients that differ within the grid."""
    grid = [each.get("hyperparameters", {}) for each in summary["points"]]
    swept = [name for name in grid[point] if len({each.get(name) for each in grid}) > 1]
    words = [f"{name}={grid[point][name]:g}" for name in swept]
    if len(grid) > 1 and not swept:
        words = [f"point {point}"]
    label = " ".join([summary["algorithm"], *words])
    return label if is_complete(summary) else f"{label}, unfinished"


def is_complete(summary: Mapping[str, Any]) -> bool:
    """Returns whether a run did all its updates."""
    return summary.get("completed") is True
