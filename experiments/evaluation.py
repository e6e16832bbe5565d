"""Whole episodes played with what was trained: their keys, their program, the best so far."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from oatrpo_jax.learner import LearnerState
from oatrpo_jax.train import Metrics, Trainer
from oatrpo_jax.types import PyTree

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


class Best(NamedTuple):
    """The policies that were best when evaluated, per grid point and seed: ``[P, K, ...]``.

    Attributes:
        success: their share of successes; minus infinity before the first evaluation.
        episode_return: their mean return, which decides where successes are equal.
        update: int32, when that was; 0 before the first evaluation.
        actors: their parameters.
    """

    success: jax.Array
    episode_return: jax.Array
    update: jax.Array
    actors: PyTree


def no_best(learner: LearnerState, shape: tuple[int, int]) -> Best:
    """Returns what stands before the first evaluation, for ``[P, K]`` learners."""
    worst = jnp.full(shape, -jnp.inf)
    actors = jax.tree.map(jnp.zeros_like, learner.policies.params)
    return Best(worst, worst, jnp.zeros(shape, jnp.int32), actors)


@jax.jit
def keep_better(best: Best, learner: LearnerState, metrics: Metrics, update: jax.Array) -> Best:
    """Returns, per point and seed, the better of two; of equals the earlier."""
    success, episode_return = metrics["evaluation/success"], metrics["evaluation/return"]
    is_better = (success > best.success) | (
        (success == best.success) & (episode_return > best.episode_return)
    )
    new = Best(success, episode_return, jnp.full_like(best.update, update), learner.policies.params)

    def choose(new: jax.Array, old: jax.Array) -> jax.Array:
        return jnp.where(is_better.reshape(*is_better.shape, *[1] * (new.ndim - 2)), new, old)

    return jax.tree.map(choose, new, best)


def with_actors(learner: LearnerState, actors: PyTree) -> LearnerState:
    """Returns the learner acting by other parameters."""
    return learner._replace(policies=learner.policies._replace(params=actors))


def select(learner: LearnerState, point: int) -> LearnerState:
    """Returns the learners of one grid point, ``[1, K]`` of ``[P, K]``."""
    return jax.tree.map(lambda x: x[point : point + 1], learner)


def short_names(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the same without the group in front of each name.

    >>> short_names({"evaluation/success": 1.0})
    {'success': 1.0}
    """
    return {name.partition("/")[2]: value for name, value in metrics.items()}
