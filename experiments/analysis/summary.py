"""Statistics of a run's end: what summary.json says, and how sure it is."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from experiments.analysis.results import Result
from experiments.analysis.statistics import Estimate, estimate, iqm


def summarise(result: Result) -> dict[str, Any]:
    """Returns what summary.json holds; docs/metrics.md explains each key.

    What it says of the best point and the best seeds nobody decides again.
    """
    training, config = result.training, result.config
    lanes = result.num_points * result.num_seeds
    points = [_point(result, point) for point in range(result.num_points if result.columns else 0)]
    summary = {
        "environment": config["environment"],
        "algorithm": config["algorithm"],
        "seeds": result.seeds,
        "completed": result.is_complete,
        "env_steps": result.env_steps,
        "compile_seconds": training["compile_seconds"],
        "run_seconds": training["run_seconds"],
        "env_steps_per_second": result.env_steps * lanes / training["run_seconds"],
        "best_point": _best_point(result, points),
        "diverged": training["diverged"],
        "points": points,
    }
    if config.get("optimal_episode_length") is not None:
        summary["optimal_episode_length"] = config["optimal_episode_length"]
    if result.clusters:
        summary["seps"] = result.clusters
    return finite_json(summary)


def _point(result: Result, point: int) -> dict[str, Any]:
    """Returns what it says of a grid point."""
    coefficients = result.config["points"][point].items()
    names = [name.removeprefix("episode/") for name in result.columns if "episode/" in name]
    names.remove("count")
    ends = {name: result.ends(name, point) for name in names}
    described = {
        "hyperparameters": {k: v for k, v in coefficients if k in result.config["reads"]},
        "best_seed": result.seeds[_best_seed(ends)],
        **{f"episode/{name}": describe(per_seed) for name, per_seed in ends.items()},
    }
    if absolute := result.absolute(point):
        measured = {name: describe(np.array(v, float)) for name, v in absolute["per_seed"].items()}
        rest = {name: value for name, value in absolute.items() if name != "per_seed"}
        described["absolute"] = rest | measured
    return described


def _best_point(result: Result, points: list[dict[str, Any]]) -> int | None:
    """Returns the sound grid point with the highest mean success, then return, if one is sound."""

    def score(point: int) -> tuple[float, ...]:
        means = (points[point].get(f"episode/{name}", {}) for name in ("success", "return"))
        return tuple(-math.inf if mean.get("mean") is None else mean["mean"] for mean in means)

    sound = [point for point in range(len(points)) if point not in result.diverged]
    return max(sound, key=score, default=None)


def _best_seed(ends: Mapping[str, np.ndarray]) -> int:
    """Returns the place of the seed with the highest success, then return."""
    # An environment need not report success, and NaN stands where no episode ended.
    columns = [np.nan_to_num(ends[n], nan=-np.inf) for n in ("success", "return") if n in ends]
    return max(range(len(columns[0])), key=lambda seed: [column[seed] for column in columns])


def describe(per_seed: np.ndarray) -> dict[str, Any]:
    """Returns mean, spread, interquartile mean and a 95% interval of the mean over seeds.

    Seeds without a finished episode (NaN) are left out; spread and interval need two seeds.
    """
    known = per_seed[np.isfinite(per_seed)]
    mean = estimate(known, statistic=np.mean)
    return {
        "per_seed": per_seed.tolist(),
        "mean": mean.value if known.size else None,
        "sd": float(known.std(ddof=1)) if known.size > 1 else None,
        "iqm": float(iqm(known)) if known.size else None,
        "ci95": [mean.low, mean.high] if mean.has_interval else None,
    }


def described_mean(described: Mapping[str, Any]) -> Estimate:
    """Returns the mean and its interval out of what `describe` says."""
    mean, known = described["mean"], [x for x in described["per_seed"] if x is not None]
    if mean is None:
        return Estimate(math.nan, math.nan, math.nan, 0)
    low, high = described["ci95"] or (mean, mean)
    return Estimate(mean, low, high, len(known))


def finite_json(value: Any) -> Any:
    """Returns the same with plain Python numbers, and None for what JSON cannot say."""
    if isinstance(value, Mapping):
        return {key: finite_json(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [finite_json(entry) for entry in value]
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    return value
