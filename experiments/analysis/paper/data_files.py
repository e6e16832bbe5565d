"""A figure's numbers for other programs: data.csv and marl-eval.json (Gorsane et al. 2022)."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np

from experiments.analysis.paper.outcome import Outcome, Series, seconds_until
from experiments.training.folder.files import write_json

NUM_STEPS = 60
"""Evaluations per run at most in marl-eval.json."""

NAMES = {"return": "mean_episode_return", "success": "win_rate"}
"""Our metrics under the names that others use; the rest keep theirs."""


def save_data(outcome: Outcome, path: Path) -> None:
    """Saves every seed's curve in long form: one row per series, seed, metric and bin."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["series", "seed", "metric", "env_steps", "value"])
        for series in outcome.series:
            for index, seed in enumerate(series.result.seeds):
                for metric in outcome.metrics:
                    for env_steps, value in zip(
                        *series.point.seed_curve(metric, index), strict=True
                    ):
                        writer.writerow([series.label, seed, metric, env_steps, f"{value:.6g}"])


def save_marl_eval(outcome: Outcome, path: Path) -> None:
    """Saves environment -> task -> algorithm -> seed -> step.

    Every run has the same steps, as marl-eval wants.  A value is the mean over the training
    episodes of the last bin closed by then; ``elapsed_time`` is that of the program that trains
    all seeds side by side, spread evenly over the steps of training; ``absolute_metrics`` are those
    of the evaluation at the end where the figure has one, else over the last tenth of the run.
    """
    environment, _, task = outcome.figure.env.partition(":")
    moments = common_steps(outcome)
    algorithms = {
        series.label: {
            f"seed_{seed}": {
                **step_entries(series, index, moments, outcome.metrics),
                "absolute_metrics": _absolute_metrics(series, index, outcome),
            }
            for index, seed in enumerate(series.result.seeds)
        }
        for series in outcome.series
    }
    write_json(path, {environment: {task: algorithms}})


def common_steps(outcome: Outcome) -> list[int]:
    """Returns the environment steps of the evaluations: from when all seeds have one on.

    There are none if a run ends before another has its first.
    """
    seeds = range(outcome.num_seeds)
    curves = [
        series.point.seed_curve("return", seed)[0] for series in outcome.series for seed in seeds
    ]
    if not all(len(steps) for steps in curves):
        return []
    first = max(steps[0] for steps in curves)
    last = min(series.measured.budget for series in outcome.series)
    if first > last:
        return []
    return np.unique(np.linspace(first, last, NUM_STEPS).astype(int)).tolist()


def step_entries(
    series: Series, seed: int, moments: list[int], metrics: tuple[str, ...]
) -> dict[str, Any]:
    """Returns what is said of a seed after each of these numbers of steps."""
    curves = {NAMES.get(name, name): series.point.seed_curve(name, seed) for name in metrics}
    return {
        f"step_{number}": {
            "step_count": moment,
            "elapsed_time": seconds_until(series.result, moment),
            **{
                name: [float(values[np.searchsorted(env_steps, moment, side="right") - 1])]
                for name, (env_steps, values) in curves.items()
            },
        }
        for number, moment in enumerate(moments)
    }


def _absolute_metrics(series: Series, seed: int, outcome: Outcome) -> dict[str, list[float]]:
    of = series.point.evaluated if outcome.figure.evaluated else series.point.ends
    ends = {NAMES.get(name, name): float(of(name)[seed]) for name in outcome.metrics}
    return {name: [end] for name, end in ends.items() if np.isfinite(end)}
