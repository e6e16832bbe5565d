"""Statistics of a run's end: what summary.json says, and how sure it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from experiments.analysis.estimates import MEAN, estimate
from experiments.analysis.ranking import rank
from experiments.analysis.results import Point, Result, reported
from experiments.analysis.statistics import DECISIVE


def summarise(result: Result) -> dict[str, Any]:
    """Returns what summary.json holds; docs/metrics.md explains each key.

    What it says of the best point and the best seeds nobody decides again.
    """
    training, config = result.training, result.config
    points = [_describe(point) for point in result.points] if result.num_updates else []
    best = best_first(result)[0] if points else None
    lane_steps = result.env_steps * len(result.points) * result.num_seeds
    summary = {
        "environment": config["environment"],
        "algorithm": config["algorithm"],
        "seeds": result.seeds,
        "completed": result.is_complete,
        "env_steps": result.env_steps,
        "compile_seconds": training["compile_seconds"],
        "run_seconds": training["run_seconds"],
        "env_steps_per_second": lane_steps / max(training["run_seconds"], 1e-9),
        "diverged": training["diverged"],
        "best_point": None if best is None or best.is_diverged else best.number,
        "points": points,
    }
    if "sweep" in config and result.is_complete:
        score = next(iter(rank(result).values()))
        summary["best_score"] = score.value if score.num_seeds else None
    if config.get("optimal_episode_length") is not None:
        summary["optimal_episode_length"] = config["optimal_episode_length"]
    if result.clusters:
        summary["seps"] = result.clusters
    return summary


def _describe(point: Point) -> dict[str, Any]:
    """Returns what it says of a grid point."""
    columns, read = point.result.log.names, point.result.config["reads"]
    names = [name.removeprefix("episode/") for name in columns if "episode/" in name]
    ends = {name: point.ends(name) for name in names if name != "count"}
    decisive = [ends[name] for name in DECISIVE if name in ends]
    described = {
        "hyperparameters": {k: v for k, v in point.coefficients.items() if k in read},
        "best_seed": point.result.seeds[_places_from_best(decisive)[0]],
        **{f"episode/{name}": describe(per_seed) for name, per_seed in ends.items()},
    }
    if absolute := dict(point.absolute):
        per_seed = absolute.pop("per_seed")
        played = {name: describe(point.evaluated(name)) for name in per_seed}
        described["absolute"] = absolute | played
    return described


def best_first(result: Result) -> list[Point]:
    """Returns the points from the best on, those that diverged last.

    A finished sweep ranks them; in any other run their means over seeds do.
    """
    if "sweep" in result.config and result.is_complete:
        return [*rank(result)]
    means = [
        [estimate(point.ends(name), MEAN).value for point in result.points]
        for name in reported([result], DECISIVE)
    ]
    ordered = [result.points[place] for place in _places_from_best(means)]
    return sorted(ordered, key=lambda point: point.is_diverged)


def _places_from_best(columns: Sequence[Any]) -> list[int]:
    """Returns places from the highest number of the first column on, of equals those of the next.

    What is not known is below all; of equals in every column the first comes first.

    >>> _places_from_best([[None, 0.5, 0.5], [9.0, 1.0, 2.0]])
    [2, 1, 0]
    """
    scores = np.nan_to_num(np.array(columns, float), nan=-np.inf)
    return sorted(range(scores.shape[1]), key=lambda place: tuple(-scores[:, place]))


def describe(per_seed: np.ndarray) -> dict[str, Any]:
    """Returns mean, spread, interquartile mean and a 95% interval of the mean over seeds.

    Seeds without a finished episode (NaN) are left out; spread and interval need two seeds.
    """
    known = per_seed[np.isfinite(per_seed)]
    mean = estimate(known, MEAN)
    return {
        "per_seed": per_seed.tolist(),
        "mean": mean.value if known.size else None,
        "sd": float(known.std(ddof=1)) if known.size > 1 else None,
        "iqm": estimate(known).value if known.size else None,
        "ci95": [mean.low, mean.high] if mean.num_seeds > 1 else None,
    }
