"""SEPS's pre-training: all agents act by one policy, and who fares alike shares parameters.

Christianos et al. 2021, section 3.  It comes before the first update, from the seed alone, and
leaves its result in the learner's state: whoever goes on from a checkpoint need not repeat it.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from rich.console import Console

from experiments.analysis.cluster_plots import save_clusters
from experiments.training import console as progress
from experiments.training.clustering import Partition, choose_partition
from experiments.training.folder.files import write_json
from experiments.training.program import Program
from experiments.training.settings.experiment import Experiment
from oatrpo_jax.identity import Embeddings, IdentityConfig, embed_agents
from oatrpo_jax.learner import LearnerState
from oatrpo_jax.rollout import init_rollout, rollout
from oatrpo_jax.train import Trainer, TrainState

FILE, PICTURE = "clusters.json", "clusters.png"


class Pretraining(NamedTuple):
    """How much experience is collected per seed, and how it is embedded."""

    num_envs: int = 64
    rollout_length: int = 128
    identity: IdentityConfig = IdentityConfig()

    @property
    def env_steps(self) -> int:
        """Environment steps per seed, which no other count includes."""
        return self.num_envs * self.rollout_length


DEFAULT = Pretraining()


def group_first(
    experiment: Experiment, program: Program, directory: Path, console: Console
) -> Program:
    """Returns the program with agents grouped in its initial state, each seed's for itself.

    Leaves clusters.json and clusters.png in the directory, and says what it found.
    """
    with progress.status(console, "telling agents apart ..."):
        learners = jax.tree.map(lambda x: x[0], program.init().learner)
        embeddings = embed_seeds(experiment.trainer, learners, experiment.seeds)
        partitions = [choose_partition(each) for each in embeddings]
    names = [f"{kind} {index}" for index, kind in enumerate(experiment.trainer.env.agent_types)]
    write_json(directory / FILE, describe(experiment.seeds, partitions))
    save_clusters(names, experiment.seeds, embeddings, partitions, directory / PICTURE)
    for seed, partition in zip(experiment.seeds, partitions, strict=True):
        console.print(f"seed {seed}: {tell(names, partition)}", soft_wrap=True)
    labels = jnp.asarray([partition.labels for partition in partitions], jnp.int32)

    def init() -> TrainState:
        state = program.init()
        every_point = jnp.broadcast_to(labels, state.learner.labels.shape)
        return state._replace(learner=state.learner._replace(labels=every_point))

    return replace(program, init=init)


def embed_seeds(
    trainer: Trainer,
    learners: LearnerState,
    seeds: Sequence[int],
    pretraining: Pretraining = DEFAULT,
) -> list[Embeddings]:
    """Returns the embeddings of each seed's agents, on the host.

    Args:
        trainer: environment and learner.
        learners: fresh ones with leading axis ``[K]``, all agents acting by one policy.
        seeds: numbers, ``[K]``; they alone decide what is drawn.
        pretraining: how much is collected, and how it is embedded.
    """

    def embed(now: tuple[LearnerState, jax.Array]) -> Embeddings:
        learner, key = now
        start_key, rollout_key, embed_key = jax.random.split(key, 3)
        act = functools.partial(trainer.learner.act, learner)
        start = init_rollout(trainer.env, pretraining.num_envs, start_key)
        _, trajectory, _ = rollout(trainer.env, act, start, pretraining.rollout_length, rollout_key)
        num_actions = trainer.learner.spec.num_actions
        return embed_agents(trajectory, num_actions, pretraining.identity, embed_key)[0]

    keys = jax.vmap(jax.random.key)(jnp.asarray(seeds))
    # Training begins with the keys themselves, the replay with 1 folded in.
    keys = jax.vmap(jax.random.fold_in, (0, None))(keys, 2)
    # One seed after the other: each holds more experience than an update does.
    found = jax.device_get(jax.jit(lambda *x: jax.lax.map(embed, x))(learners, keys))
    return [jax.tree.map(lambda x: x[index], found) for index in range(len(seeds))]  # noqa: B023


def describe(seeds: Sequence[int], partitions: Sequence[Partition]) -> dict[str, Any]:
    """Returns what clusters.json and summary.json say of the groups; see docs/metrics.md."""
    return {
        "env_steps": DEFAULT.env_steps,
        "seeds": [
            {
                "seed": seed,
                "labels": partition.labels.tolist(),
                "davies_bouldin": {str(count): score for count, score in partition.scores.items()},
            }
            for seed, partition in zip(seeds, partitions, strict=True)
        ],
    }


def tell(names: Sequence[str], partition: Partition) -> str:
    """Returns the agents that share a policy, in braces.

    >>> import numpy as np
    >>> tell(["red 0", "black 1", "red 2"], Partition(np.array([0, 1, 0]), {}))
    '{red 0, red 2} {black 1}'
    """
    clusters = [[] for _ in range(partition.labels.max() + 1)]
    for name, label in zip(names, partition.labels, strict=True):
        clusters[label].append(name)
    return " ".join("{" + ", ".join(members) + "}" for members in clusters)
