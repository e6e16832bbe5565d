"""What a sweep found: the points in order, and the best of them as a preset."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table

from experiments.estimates import Estimate, estimate, show
from experiments.experiment import Experiment
from experiments.files import replace_bytes, write_json
from experiments.markdown import markdown
from experiments.preset_files import describe_preset
from experiments.results import Result, read_result

SHOWN = ("return", "success", "length")


class Ranked(NamedTuple):
    """A point and its score: the interquartile mean over seeds."""

    point: int
    score: Estimate


def save_ranking(
    experiment: Experiment, directory: Path, metric: str, over: str, console: Console
) -> None:
    """Saves table.md and preset.json beside a finished sweep, and prints the table."""
    result = read_result(directory)
    ranked = rank(result, metric, over)
    rows = [
        [
            str(place),
            *(f"{experiment.points[one.point][name]:g}" for name in experiment.swept),
            show(one.score),
            *(show(estimate(result.ends(name, one.point))) for name in SHOWN),
        ]
        for place, one in enumerate(ranked, 1)
    ]
    score = f"{metric}, {'last tenth' if over == 'end' else 'whole run'}"
    head = ["rank", *experiment.swept, score, *SHOWN]
    text = f"Interquartile mean and 95% bootstrap interval over {result.num_seeds} seeds."
    replace_bytes(directory / "table.md", f"{text}\n\n{markdown([head, *rows])}\n".encode())
    write_json(directory / "preset.json", describe_preset(experiment, ranked[0].point))
    table = Table(
        *head, title=f"{experiment.options.run.env}, {experiment.algorithm.name}", box=None
    )
    for row in rows:
        table.add_row(*row)
    console.print(table)
    console.print(f"The best: python experiments/run.py --preset {directory / 'preset.json'}")


def rank(result: Result, metric: str, over: str) -> list[Ranked]:
    """Returns the points from the best on; those in which no episode ended come last."""
    scores = [estimate(seed_scores(result, metric, over, p)) for p in range(result.num_points)]
    ranked = [Ranked(point, score) for point, score in enumerate(scores)]
    return sorted(ranked, key=lambda one: -np.nan_to_num(one.score.value, nan=-np.inf))


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
