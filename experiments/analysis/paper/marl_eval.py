"""marl-eval's exchange format (Gorsane et al. 2022), in which others plot us beside their runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from experiments.analysis.paper.evidence import Outcome, Series

NUM_STEPS = 60
"""Evaluations per run at most."""

NAMES = {"return": "mean_episode_return", "success": "win_rate"}
"""Our metrics under the names that others use; the rest keep theirs."""


def save_marl_eval(outcome: Outcome, path: Path) -> None:
    """Saves environment -> task -> algorithm -> seed -> step.

    Every run has the same steps, as marl-eval wants.  A value is the mean over the training
    episodes of the last bin closed by then; ``elapsed_time`` is that of the program that trains
    all seeds side by side, spread evenly over its steps; ``absolute_metrics`` are those of the
    evaluation at the end where the figure has one, else over the last tenth of the run.
    """
    environment, _, task = outcome.figure.env.partition(":")
    moments = common_steps(outcome)
    algorithms = {
        series.label: {
            f"seed_{seed}": {
                **_step_entries(series, index, moments, outcome.metrics),
                "absolute_metrics": _absolute_metrics(series, index, outcome),
            }
            for index, seed in enumerate(series.result.summary["seeds"])
        }
        for series in outcome.series
    }
    content = {environment: {task: algorithms}}
    path.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n")


def common_steps(outcome: Outcome) -> np.ndarray:
    """Returns the environment steps of the evaluations: from when all seeds have one on."""
    curves = [
        series.result.seed_curve("return", series.point, seed)[0]
        for series in outcome.series
        for seed in range(series.result.num_seeds)
    ]
    if any(len(steps) == 0 for steps in curves):
        return np.empty(0, int)
    first = max(int(steps[0]) for steps in curves)
    last = min(series.measured.budget for series in outcome.series)
    return np.unique(np.linspace(first, last, NUM_STEPS).astype(int))


def _step_entries(
    series: Series, seed: int, moments: np.ndarray, metrics: tuple[str, ...]
) -> dict[str, Any]:
    curves = {name: series.result.seed_curve(name, series.point, seed) for name in metrics}
    seconds = series.result.summary["run_seconds"] / series.measured.budget
    entry: dict[str, Any] = {}
    for number, moment in enumerate(moments.tolist()):
        entry[f"step_{number}"] = {
            "step_count": moment,
            "elapsed_time": moment * seconds,
            **{NAMES.get(name, name): [_at(*curve, moment)] for name, curve in curves.items()},
        }
    return entry


def _absolute_metrics(series: Series, seed: int, outcome: Outcome) -> dict[str, list[float]]:
    of = series.evaluated if outcome.figure.evaluated else series.ends
    ends = {name: float(of(name)[seed]) for name in outcome.metrics}
    return {NAMES.get(name, name): [end] for name, end in ends.items() if np.isfinite(end)}


def _at(env_steps: np.ndarray, values: np.ndarray, moment: int) -> float:
    return float(values[np.searchsorted(env_steps, moment, side="right") - 1])
