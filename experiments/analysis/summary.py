"""Statistics of a run's end: what summary.json says, and how sure it is."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from experiments.analysis.statistics import iqm
from experiments.training.settings.experiment import Experiment

TAIL = 0.1
"""Share of the updates, at the end, that the summary looks at."""


class Timing(NamedTuple):
    """Seconds that a run took: to trace and compile, and to train with logging."""

    compile_seconds: float
    run_seconds: float


def summarise(
    experiment: Experiment,
    history: Mapping[str, np.ndarray],
    timing: Timing,
    *,
    is_sound: bool = True,
) -> dict[str, Any]:
    """Returns what summary.json holds; docs/metrics.md explains each key.

    Args:
        experiment: what was run.
        history: metrics ``[U, P, K, ...]`` of the updates done.
        timing: what it took.
        is_sound: whether every number was finite.
    """
    num_updates = len(next(iter(history.values()), ()))
    env_steps = num_updates * experiment.config.steps_per_update
    lanes = len(experiment.points) * len(experiment.seeds)
    summary = {
        "environment": experiment.options.run.env,
        "algorithm": experiment.algorithm.name,
        "seeds": list(experiment.seeds),
        "completed": is_sound and num_updates == experiment.config.num_updates,
        "env_steps": env_steps,
        "compile_seconds": timing.compile_seconds,
        "run_seconds": timing.run_seconds,
        "env_steps_per_second": env_steps * lanes / timing.run_seconds,
        "points": _points(experiment, history) if num_updates else [],
    }
    optimal = getattr(experiment.trainer.env, "optimal_episode_length", None)
    if optimal is not None:
        summary["optimal_episode_length"] = float(optimal)
    return finite_json(summary)


def _points(experiment: Experiment, history: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
    reads = experiment.algorithm.reads(experiment.config)
    ends = {
        name: tail_means(value, history["episode/count"])
        for name, value in history.items()
        if name.startswith("episode/") and name != "episode/count"
    }
    return [
        {"hyperparameters": {name: value for name, value in point.items() if name in reads}}
        | {name: describe(per_seed[index]) for name, per_seed in ends.items()}
        for index, point in enumerate(experiment.points)
    ]


def add_absolute(summary: dict[str, Any], absolute: Sequence[Mapping[str, Any]]) -> None:
    """Adds to each grid point how well its best policies play, where that was measured."""
    for point, measured in zip(summary["points"], absolute, strict=False):
        point["absolute"] = measured


def tail_means(value: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Returns ``[P, K]`` the mean over all episodes that ended in the last tenth of the updates.

    Args:
        value: ``[U, P, K]`` mean over the episodes that ended in each update.
        count: ``[U, P, K]`` how many did.
    """
    tail = math.ceil(TAIL * len(value))
    return episode_mean(value[-tail:], count[-tail:])


def episode_mean(value: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Returns the mean over axis 0 with each entry weighted by its episodes; NaN without any."""
    total = np.sum(np.where(count > 0, value, 0.0) * count, axis=0, dtype=np.float64)
    episodes = np.sum(count, axis=0, dtype=np.float64)
    return np.where(episodes > 0, total / np.maximum(episodes, 1), np.nan)


def describe(per_seed: np.ndarray) -> dict[str, Any]:
    """Returns mean, spread, interquartile mean and a 95% interval of the mean over seeds.

    Seeds without a finished episode (NaN) are left out; spread and interval need two seeds.
    """
    known = per_seed[np.isfinite(per_seed)]
    return {
        "per_seed": per_seed.tolist(),
        "mean": known.mean() if known.size else None,
        "sd": known.std(ddof=1) if known.size > 1 else None,
        "iqm": iqm(known) if known.size else None,
        "ci95": confidence_interval(known),
    }


def confidence_interval(values: np.ndarray) -> list[float] | None:
    """Returns a 95% bootstrap interval of the mean (BCa, or percentiles where that fails)."""
    if values.size < 2:
        return None
    if np.ptp(values) == 0:
        return [float(values[0])] * 2
    from scipy import stats  # Takes a second to import, and training begins without it.

    for method in ("BCa", "percentile"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", stats.DegenerateDataWarning)
            result = stats.bootstrap(
                (values,), np.mean, method=method, rng=np.random.default_rng(0)
            )
        low, high = result.confidence_interval
        if np.isfinite([low, high]).all():
            return [float(low), float(high)]
    return None


def finite_json(value: Any) -> Any:
    """Returns the same with plain Python numbers, and None for what JSON cannot say."""
    if isinstance(value, Mapping):
        return {key: finite_json(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [finite_json(entry) for entry in value]
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    return value


def best_point(summary: Mapping[str, Any]) -> int:
    """Returns the index of the grid point with the highest mean success, then return."""

    def score(index: int) -> tuple[float, float]:
        point = summary["points"][index]
        # An environment need not tell of success.
        means = (point.get(f"episode/{n}", {}).get("mean") for n in ("success", "return"))
        success, episode_return = (-math.inf if mean is None else mean for mean in means)
        return success, episode_return

    return max(range(len(summary["points"])), key=score)


def best_seed(summary: Mapping[str, Any], point: int) -> int:
    """Returns the place of a grid point's seed with the highest success, then return."""
    told = (summary["points"][point].get(f"episode/{name}") for name in ("success", "return"))
    columns = [each["per_seed"] for each in told if each]

    def score(index: int) -> tuple[float, ...]:
        return tuple(-math.inf if column[index] is None else column[index] for column in columns)

    return max(range(len(columns[0])), key=score)
