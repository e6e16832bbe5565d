"""Whole episodes of trained teams, for all grid points and seeds in one program."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.training.placement import OfBlock, Placement, grid_of, lanes_of, over_devices
from oatrpo_jax import keys
from oatrpo_jax.learner import LearnerState
from oatrpo_jax.rollout import MAX_EPISODE_STEPS
from oatrpo_jax.train import Metrics, Trainer

Evaluate = Callable[[np.ndarray, LearnerState, jax.Array], Metrics]
"""(counts of the placement, learners ``[P, K]``, keys ``[K]``) -> metrics ``[P, K]``."""


class Purpose(IntEnum):
    """What episodes are played for: each has a branch of a run's key, see `oatrpo_jax.keys`."""

    CURVE, ABSOLUTE, AFTERWARDS, REPLAY = keys.EPISODES


def episode_keys(seeds: Sequence[int], purpose: Purpose, number: int = 0) -> jax.Array:
    """Returns ``[K]`` keys, one per training seed, that depend on these arguments alone.

    Args:
        seeds: as on training's command line.
        purpose: what the episodes are for.
        number: tells sets of episodes for one purpose apart: the update, say.
    """
    of_runs = jax.vmap(jax.random.key)(jnp.asarray(seeds))
    return jax.vmap(lambda key: keys.branch(key, purpose, number))(of_runs)


class Playing(NamedTuple):
    """How a team plays.

    Attributes:
        num_episodes: of each seed.
        max_steps: of an episode, after which it is cut off.
        greedy: take the likeliest actions.
        number: another one plays other episodes.
    """

    num_episodes: int
    max_steps: int = MAX_EPISODE_STEPS
    greedy: bool = True
    number: int = 0

    @property
    def policy(self) -> str:
        """How actions are chosen, as evaluation.json says it."""
        return "greedy" if self.greedy else "sample"


def make_evaluate(
    trainer: Trainer,
    how: Playing,
    placement: Placement,
    of_block: Callable[[Callable[..., Metrics]], OfBlock],
) -> Evaluate:
    """Returns the jitted evaluation of all grid points and seeds.

    All points of a seed play the same episodes, as far as their actions let them.

    Args:
        how: how many episodes, how long and by which actions.
        of_block: `Placement.of_block`, or `in_turn` so that one lane at a time has episodes.
    """

    def evaluate(_: None, learner: LearnerState, key: jax.Array) -> Metrics:
        return trainer.evaluate(learner, key, how.num_episodes, how.greedy, how.max_steps)

    of_lanes = over_devices(of_block(evaluate), placement)

    def of_grid(counts: jax.Array, learner: LearnerState, keys: jax.Array) -> Metrics:
        num_points, every_key = len(learner.labels), jnp.arange(placement.num_lanes) % len(keys)
        return grid_of(of_lanes(counts, None, lanes_of(learner), keys[every_key]), num_points)

    where = placement.everywhere
    return jax.jit(of_grid, in_shardings=where, out_shardings=where)


def short_names(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the same without the group in front of each name.

    >>> short_names({"evaluation/success": 1.0})
    {'success': 1.0}
    """
    return {name.partition("/")[2]: value for name, value in metrics.items()}


def warn_of_cut_off(cut_off: Any, num_episodes: int, max_steps: int, option: str) -> None:
    """Says on stderr how many episodes were cut off, if any was.

    Args:
        cut_off: numbers of such episodes, of any shape.
        num_episodes: that each of these numbers is out of.
    """
    if (number := int(np.sum(cut_off))) > 0:
        total = num_episodes * np.size(cut_off)
        print(
            f"{number} of {total} episodes were cut off after {max_steps} steps, and count with "
            f"what they had by then; a higher {option} lets them go on.",
            file=sys.stderr,
        )
