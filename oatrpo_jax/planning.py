"""Who learns when, and from whom: the plan of one iteration."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from oatrpo_jax.config import Config, Hyperparams
from oatrpo_jax.divergence import pairwise_divergence, subsample_rows
from oatrpo_jax.networks import Actor, policy_logits
from oatrpo_jax.reuse import Affinity, ReuseRule
from oatrpo_jax.sources import Slots
from oatrpo_jax.types import PyTree


class UpdatePlan(NamedTuple):
    """Who learns when, and from whom, in this iteration.

    Attributes:
        order: ``[G]`` int32, the learners in the order of their turns.
        weights: ``[G, N]`` reuse matrix M.
        own: ``[G, N]`` bool, the slots of the agents that act with each policy.
        divergence_limit: ``[]`` what a trust region must keep reused slots' divergence at.
    """

    order: jax.Array
    weights: jax.Array
    own: jax.Array
    divergence_limit: jax.Array


def make_plan(
    actor: Actor,
    config: Config,
    reuse: ReuseRule,
    actors: PyTree,
    slots: Slots,
    *,
    own: jax.Array,
    hparams: Hyperparams,
    key: jax.Array,
) -> tuple[UpdatePlan, dict[str, jax.Array]]:
    """Returns a shuffled order and the reuse matrix for this iteration, and metrics.

    Args:
        actor: the module of one policy.
        config: static settings.
        reuse: the rule behind the matrix.
        actors: parameters of the policies, leading axis ``[G]``.
        slots: the experience, ``[N, T, E]``.
        own: ``[G, N]`` bool, the slots of the agents that act with each policy.
        hparams: coefficients.
        key: consumed.
    """
    rows = subsample_rows(slots, config.divergence_rows)

    def logits_of(learner: jax.Array) -> jax.Array:
        return policy_logits(actor, jax.tree.map(lambda x: x[learner], actors), rows)

    divergence, sample_size = pairwise_divergence(logits_of, rows, len(own), config, hparams)
    affinity = Affinity(
        divergence=jnp.where(own, 0.0, divergence),
        own=own,
        has_rows=jnp.any(slots.active, axis=(1, 2)),
    )
    weights = reuse.weights(affinity, hparams)
    order = jax.random.permutation(key, len(own))
    return UpdatePlan(order, weights, own, reuse.divergence_limit(hparams)), {
        "reuse/divergence": affinity.divergence,
        "reuse/weight": weights,
        "reuse/effective_sample_size": sample_size,
        "reuse/num_admitted": jnp.mean(jnp.sum((weights > 0) & ~own, axis=1)),
    }
