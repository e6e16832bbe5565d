"""Who learns when, and from whom: the plan of one iteration."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from oatrpo_jax.advantages import masked_mean
from oatrpo_jax.config import Hyperparams
from oatrpo_jax.policies.networks import Actor, policy_logits, policy_on
from oatrpo_jax.reuse.agreement import GradientError, block_rows, gradient_error
from oatrpo_jax.reuse.divergence import pairwise_divergence
from oatrpo_jax.reuse.experience import Experience, Slots, subsample_rows
from oatrpo_jax.reuse.rules import Affinity, ReuseRule, own_share
from oatrpo_jax.types import PyTree


class UpdatePlan(NamedTuple):
    """Who learns when, and from whom, in this iteration.

    Attributes:
        experience: the rollout that all learn from.
        order: ``[G]`` int32, the learners in the order of their turns.
        weights: ``[G, N]`` reuse matrix M.
    """

    experience: Experience
    order: jax.Array
    weights: jax.Array


def make_plan(
    actor: Actor,
    reuse: ReuseRule,
    actors: PyTree,
    experience: Experience,
    hparams: Hyperparams,
    key: jax.Array,
) -> tuple[UpdatePlan, dict[str, jax.Array]]:
    """Returns a shuffled order and the reuse matrix for this iteration, and metrics.

    Args:
        actor: the module of one policy.
        reuse: the rule behind the matrix.
        actors: parameters of the policies, leading axis ``[G]``.
        experience: the rollout.
        hparams: coefficients.
        key: consumed.
    """
    config, own = actor.config, experience.own
    rows = subsample_rows(experience.slots, config.divergence_rows)

    def logits_of(learner: jax.Array) -> jax.Array:
        return policy_logits(actor, jax.tree.map(lambda x: x[learner], actors), rows)

    divergence, sample_size = pairwise_divergence(logits_of, rows, len(own), config, hparams)
    affinity = Affinity(
        divergence=jnp.where(own, 0.0, divergence),
        own=own,
        has_rows=jnp.any(rows.active, axis=1),
        sample_size=sample_size,
        gradient_error=lambda: policy_gradient_error(actor, actors, experience),
    )
    used = jnp.any(own, axis=1)
    weights = jnp.where(used[:, None], reuse.weights(affinity, hparams), 0.0)
    order = jax.random.permutation(key, len(own))
    # Policies without an agent come last: under vmap their turns are then idle in every lane.
    order = order[jnp.argsort(~used[order])]
    num_admitted = jnp.sum((weights > 0) & ~own, axis=1)
    return UpdatePlan(experience, order, weights), {
        "reuse/divergence": affinity.divergence,
        "reuse/weight": weights,
        "reuse/effective_sample_size": sample_size,
        "reuse/num_admitted": jnp.sum(num_admitted) / jnp.sum(used),
    }


def policy_gradient_error(actor: Actor, actors: PyTree, experience: Experience) -> GradientError:
    """Returns the ``[G, N]`` errors of the gradients of ``mean(ratio x advantage)`` on each slot.

    Args:
        actor: the module of one policy; its config says how many rows to look at.
        actors: parameters of the policies, leading axis ``[G]``.
        experience: the rollout.
    """

    def objective(params: PyTree, rows: Slots) -> jax.Array:
        policy = policy_on(actor, params, rows)
        # What a dead agent is said to have done may have probability 0.
        change = jnp.where(rows.active, policy.log_prob(rows.action) - rows.log_prob, 0.0)
        ratio = jnp.exp(change)
        return masked_mean(ratio * rows.advantage, rows.active, axis=-1)

    def gradient(learner: jax.Array, rows: Slots) -> PyTree:
        return jax.grad(objective)(jax.tree.map(lambda x: x[learner], actors), rows)

    rows = block_rows(experience.slots, actor.config.divergence_rows)
    return gradient_error(gradient, rows, own_share(experience.own))
