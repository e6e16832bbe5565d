"""Who learns when, and from whom: the plan of one iteration."""

from __future__ import annotations

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

from oatrpo_jax.advantages import masked_mean
from oatrpo_jax.config import Config
from oatrpo_jax.hyperparams import Hyperparams
from oatrpo_jax.policies.policy import Policy
from oatrpo_jax.reuse.agreement import GradientError, gradient_error, in_blocks
from oatrpo_jax.reuse.divergence import (
    Compared,
    pairwise_divergence,
    pairwise_sample_size,
    rows_to_compare,
)
from oatrpo_jax.reuse.experience import Experience, Slots, log_ratio
from oatrpo_jax.reuse.rules import Affinity, ReuseRule, own_share
from oatrpo_jax.types import PyTree


class UpdatePlan(NamedTuple):
    """Who learns when, and from whom, in this iteration.

    Attributes:
        experience: the rollout that all learn from.
        order: ``[G]`` int32, the learners in the order of their turns.
        weights: ``[G, N]`` reuse matrix M.
        compared: rows on which Condition 1 is asked of policies that have learnt.
    """

    experience: Experience
    order: jax.Array
    weights: jax.Array
    compared: Compared


def make_plan(
    policy: Policy,
    reuse: ReuseRule,
    actors: PyTree,
    experience: Experience,
    *,
    config: Config,
    hparams: Hyperparams,
    key: jax.Array,
) -> tuple[UpdatePlan, dict[str, jax.Array]]:
    """Returns a shuffled order and the reuse matrix for this iteration, and metrics.

    How far policies are apart is computed, and is among the metrics, where the rule asks for it or
    the config wants it logged.

    Args:
        policy: what parameters mean.
        reuse: the rule behind the matrix.
        actors: parameters of the policies, leading axis ``[G]``.
        experience: the rollout.
        config: says on how many rows, and how, policies are compared, and what is logged.
        hparams: coefficients.
        key: consumed.
    """
    own, num_rows = experience.own, config.divergence_rows
    compared = rows_to_compare(policy, actors, experience, num_rows)

    divergence = functools.cache(
        lambda: jnp.where(own, 0.0, pairwise_divergence(policy, actors, compared, config, hparams))
    )
    sample_size = functools.cache(lambda: pairwise_sample_size(policy, actors, compared))
    affinity = Affinity(
        own=own,
        has_rows=jnp.any(compared.experience.slots.active, axis=(1, 2)),
        divergence=divergence,
        sample_size=sample_size,
        gradient_error=lambda: policy_gradient_error(policy, actors, experience, num_rows),
    )
    used = jnp.any(own, axis=1)
    weights = jnp.where(used[:, None], reuse.weights(affinity, hparams), 0.0)
    order = jax.random.permutation(key, len(own))
    # Policies without an agent come last: under vmap their turns are then idle in every lane.
    order = order[jnp.argsort(~used[order])]
    num_admitted, num_used = jnp.sum((weights > 0) & ~own), jnp.sum(used)
    measures = {"reuse/divergence": divergence, "reuse/effective_sample_size": sample_size}
    logged = {
        name: measure()
        for name, measure in measures.items()
        if config.log_affinity or measure.cache_info().currsize  # The rule has asked.
    }
    return UpdatePlan(experience, order, weights, compared), {
        "reuse/weight": weights,
        "reuse/num_admitted": num_admitted.astype(jnp.float32) / num_used.astype(jnp.float32),
        **logged,
    }


def policy_gradient_error(
    policy: Policy, actors: PyTree, experience: Experience, num_rows: int
) -> GradientError:
    """Returns the ``[G, N]`` errors of the gradients of ``mean(ratio x advantage)`` on each slot.

    At most ``num_rows`` rows are looked at, see `in_blocks`.
    """

    def objective(params: PyTree, rows: Slots) -> jax.Array:
        ratio = jnp.exp(log_ratio(policy.log_prob(params, rows), rows))
        return masked_mean(ratio * rows.advantage, rows.active)

    def gradient(learner: jax.Array, rows: Slots) -> PyTree:
        return jax.grad(objective)(jax.tree.map(lambda x: x[learner], actors), rows)

    blocks = in_blocks(experience, num_rows)
    return gradient_error(gradient, blocks, own_share(experience.own))
