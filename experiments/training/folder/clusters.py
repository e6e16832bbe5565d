"""What SEPS's pre-training found: clusters.json, and a line per seed on the console."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.console import Console

from experiments.training.folder.files import write_json
from experiments.training.settings.experiment import Experiment
from experiments.training.settings.points import name_agents
from oatrpo_jax.grouping import Grouping

FILE = "clusters.json"


def save_clusters(
    experiment: Experiment, grouping: Grouping, directory: Path, console: Console
) -> None:
    """Leaves clusters.json in the directory, and shows who shares a policy.

    Args:
        grouping: labels and scores of each seed, ``[K]``.
    """
    labels, scores = np.asarray(grouping.labels), np.asarray(grouping.scores, np.float64)
    seeds = [
        {
            "seed": seed,
            "labels": of_seed.tolist(),
            "davies_bouldin": {
                str(count): float(each) for count, each in enumerate(index, 2) if np.isfinite(each)
            },
        }
        for seed, of_seed, index in zip(experiment.seeds, labels, scores, strict=True)
    ]
    env_steps = experiment.config.grouping_length * experiment.config.num_envs
    write_json(directory / FILE, {"env_steps": env_steps, "seeds": seeds})
    names = name_agents(experiment.trainer.env.agent_types)
    for seed, of_seed in zip(experiment.seeds, labels, strict=True):
        console.print(f"seed {seed}: {clusters_text(names, of_seed)}", soft_wrap=True)


def clusters_text(names: Sequence[str], labels: np.ndarray) -> str:
    """Returns the agents that share a policy, in braces.

    >>> clusters_text(["red 0", "black 1", "red 2"], np.array([0, 1, 0]))
    '{red 0, red 2} {black 1}'
    """
    members = (
        [name for name, each in zip(names, labels, strict=True) if each == label]
        for label in range(labels.max() + 1)
    )
    return " ".join("{" + ", ".join(each) + "}" for each in members)
