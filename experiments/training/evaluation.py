"""Whole episodes played with what was trained: their keys and their program."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum
from typing import Any

import jax
import jax.numpy as jnp

from oatrpo_jax.learner import LearnerState
from oatrpo_jax.train import Metrics, Trainer

Evaluate = Callable[[LearnerState, jax.Array], Metrics]
"""(learners ``[P, K]``, keys ``[K]``) -> metrics ``[P, K]``."""


class Purpose(IntEnum):
    """What episodes are played for; each has keys that nothing else uses.

    Training takes the first few branches of a seed's key, which is why these are far from zero.
    """

    CURVE = 2**20
    ABSOLUTE = 2**20 + 1
    AFTERWARDS = 2**20 + 2
    REPLAY = 2**20 + 3


def episode_keys(seeds: Sequence[int], purpose: Purpose, number: int = 0) -> jax.Array:
    """Returns ``[K]`` keys, one per training seed, that depend on these arguments alone.

    Args:
        seeds: as on training's command line.
        purpose: what the episodes are for.
        number: tells sets of episodes for one purpose apart: the update, say.
    """

    def branch(seed: jax.Array) -> jax.Array:
        return jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), purpose), number)

    return jax.vmap(branch)(jnp.asarray(seeds))


def make_evaluate(trainer: Trainer, num_episodes: int, greedy: bool = True) -> Evaluate:
    """Returns the jitted evaluation of all grid points and seeds, each by ``num_episodes``.

    All points of a seed play the same episodes, as far as their actions let them.
    """

    def evaluate(learner: LearnerState, key: jax.Array) -> Metrics:
        return trainer.evaluate(learner, key, num_episodes, greedy)

    return jax.jit(jax.vmap(jax.vmap(evaluate), (0, None)))


def select(learner: LearnerState, point: int) -> LearnerState:
    """Returns the learners of one grid point, ``[1, K]`` of ``[P, K]``."""
    return jax.tree.map(lambda x: x[point : point + 1], learner)


def short_names(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the same without the group in front of each name.

    >>> short_names({"evaluation/success": 1.0})
    {'success': 1.0}
    """
    return {name.partition("/")[2]: value for name, value in metrics.items()}
