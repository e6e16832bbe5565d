"""What a sweep found: the points in order, and the best of them as a preset."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table

from experiments.analysis.results import Result, read_result
from experiments.analysis.statistics import Estimate, estimate, show
from experiments.analysis.tables import markdown
from experiments.training.folder.files import replace_bytes, write_json
from experiments.training.folder.metrics import INDEX_COLUMNS
from experiments.training.settings.experiment import Experiment
from experiments.training.settings.preset_files import describe_preset

SHOWN = ("return", "success", "length")


class Ranked(NamedTuple):
    """A point, its score (the interquartile mean over seeds), and whether it diverged."""

    point: int
    score: Estimate
    has_diverged: bool


def save_ranking(
    experiment: Experiment, directory: Path, metric: str, over: str, console: Console
) -> int:
    """Saves table.md and preset.json beside a finished sweep, and prints the table.

    Returns:
        The exit code: 1, and no preset.json, if no point has a score.
    """
    result = read_result(directory)
    ranked = rank(result, metric, over)
    shown = [name for name in SHOWN if result.has(name)]
    rows = [_row(experiment, result, shown, place, one) for place, one in enumerate(ranked, 1)]
    score = f"{metric}, {'last tenth' if over == 'end' else 'whole run'}"
    head = ["rank", *experiment.swept, score, *shown]
    text = f"Interquartile mean and 95% bootstrap interval over {result.num_seeds} seeds."
    replace_bytes(directory / "table.md", f"{text}\n\n{markdown([head, *rows])}\n".encode())
    table = Table(
        *head, title=f"{experiment.options.run.env}, {experiment.algorithm.name}", box=None
    )
    for row in rows:
        table.add_row(*row)
    console.print(table)
    if not np.isfinite(ranked[0].score.value):
        print(
            f"No point has a {metric}: no episode ended in time. No preset.json was written; train "
            "longer (--total-steps), or give the episodes an earlier end.",
            file=sys.stderr,
        )
        return 1
    write_json(directory / "preset.json", describe_preset(experiment, ranked[0].point))
    console.print(f"The best: python experiments/run.py --preset {directory / 'preset.json'}")
    return 0


def _row(
    experiment: Experiment, result: Result, shown: Sequence[str], place: int, one: Ranked
) -> list[str]:
    values = (f"{experiment.points[one.point][name]:g}" for name in experiment.swept)
    score = "diverged" if one.has_diverged else show(one.score)
    ends = (show(estimate(result.ends(name, one.point))) for name in shown)
    return [str(place), *values, score, *ends]


def rank(result: Result, metric: str, over: str) -> list[Ranked]:
    """Returns the points from the best on.

    Those in which no episode ended come after all that have a score, and those that diverged, whose
    score is NaN, last of all.
    """
    ranked = []
    for point in range(result.num_points):
        bad = has_diverged(result, point)
        scores = seed_scores(result, metric, over, point)
        ranked.append(Ranked(point, estimate(scores * np.nan if bad else scores), bad))
    return sorted(
        ranked, key=lambda one: (one.has_diverged, -np.nan_to_num(one.score.value, nan=-np.inf))
    )


def has_diverged(result: Result, point: int) -> bool:
    """Returns whether a number of a point was not finite; a mean over no episodes may be NaN."""
    has_ended = result.columns["episode/count"][:, point] > 0
    for name, column in result.columns.items():
        is_bad = ~np.isfinite(column[:, point])
        if name.startswith("episode/"):
            is_bad &= has_ended | np.isinf(column[:, point])
        if name not in INDEX_COLUMNS and is_bad.any():
            return True
    return False


def seed_scores(result: Result, metric: str, over: str, point: int) -> np.ndarray:
    """Returns ``[K]`` a metric over the last tenth, or its mean over the steps of the whole run."""
    if over == "end":
        return result.ends(metric, point)
    curves = [result.seed_curve(metric, point, seed) for seed in range(result.num_seeds)]
    return np.array([_mean_height(*curve) for curve in curves])


def _mean_height(env_steps: np.ndarray, values: np.ndarray) -> float:
    return (
        float(np.average(values, weights=np.diff(env_steps, prepend=0))) if values.size else np.nan
    )
