"""What the episodes of a trained team came to: evaluation.json or transfer.json, and a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from experiments.analysis.estimates import MEAN, Estimate, estimate, estimate_share, show
from experiments.analysis.statistics import TABLED
from experiments.analysis.summary import describe
from experiments.analysis.tables import Rows
from experiments.training.places import Place
from experiments.training.playing import Playing
from experiments.training.team import Team

Played = Sequence[tuple[Place, Mapping[str, np.ndarray]]]
"""Where a team played, and means over the episodes of each seed there, ``[K]`` by metric."""


def describe_evaluation(
    team: Team, point: int, checkpoint: str, how: Playing, played: Played
) -> dict[str, Any]:
    """Returns who played, how, where, and how well, under one name a place if there are two."""
    experiment, updates = team.experiment, team.updates[point].tolist()
    places = [
        {
            "environment": place.name,
            "env_options": place.env_options,
            "metrics": {name: _describe(name, each, how) for name, each in metrics.items()},
        }
        for place, metrics in played
    ]
    return {
        "algorithm": experiment.algorithm.name,
        "point": point,
        "hyperparameters": experiment.points[point],
        "seeds": experiment.seeds,
        "checkpoint": checkpoint,
        "updates": updates,
        "env_steps": [count * experiment.config.steps_per_update for count in updates],
        "episodes": how.num_episodes,
        "policy": how.policy,
        "seed": how.number,
        "intervals": "over seeds" if len(experiment.seeds) > 1 else "over episodes",
        "max_steps": how.max_steps,
        **(places[0] if len(places) == 1 else dict(zip(("home", "other"), places, strict=True))),
    }


def _describe(metric: str, per_seed: np.ndarray, how: Playing) -> dict[str, Any]:
    share = _share_of_episodes(metric, per_seed, how)
    return describe(per_seed) | ({"ci95": [share.low, share.high]} if share else {})


def _share_of_episodes(metric: str, per_seed: np.ndarray, how: Playing) -> Estimate | None:
    """Returns the success of a single seed, whose interval is over its episodes, else None."""
    is_share = metric == "success" and per_seed.size == 1
    return estimate_share(per_seed.item(), how.num_episodes) if is_share else None


def evaluation_table(played: Played, how: Playing) -> Rows:
    """Returns the metrics that all places report, over seeds; of one seed over its episodes."""
    heads = ((f"{place.name}\nmean, 95% interval", "\nseeds from .. to") for place, _ in played)
    rows = [["metric", *(head for pair in heads for head in pair)]]
    shared = set.intersection(*(set(metrics) for _, metrics in played))
    first = [name for name in TABLED if name in shared]
    for name in (*first, *sorted(shared - set(first))):
        row = [name]
        for _, metrics in played:
            per_seed = metrics[name]
            mean = _share_of_episodes(name, per_seed, how) or estimate(per_seed, MEAN)
            row += [show(mean), f"{per_seed.min():.3f} .. {per_seed.max():.3f}"]
        rows.append(row)
    return rows
