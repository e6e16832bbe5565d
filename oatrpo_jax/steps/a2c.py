"""SEAC's local step: the policy gradient on own and on others' experience."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from oatrpo_jax.hyperparams import Hyperparams
from oatrpo_jax.optimiser import Learning, adam_init
from oatrpo_jax.policies.policy import Policy
from oatrpo_jax.reuse.sources import DrawSources, PolicyBatch
from oatrpo_jax.steps.gradient_passes import gradient_passes
from oatrpo_jax.steps.signature import Condition, PolicyStep, weighted_sum
from oatrpo_jax.types import PyTree


def policy_gradient_loss(
    policy: Policy, params: PyTree, batch: PolicyBatch, hparams: Hyperparams
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Returns the loss of one slot's rows and sums for the metrics.

    ``- sum policy_weight x w log pi(a|o) A - ent_coef x sum own_weight x entropy``, where
    ``w = pi(a|o) / mu(a|o)`` is neither clipped nor differentiated (Christianos et al. 2020,
    Eq. 3).  On own rows of the first step w = 1, which makes it advantage actor-critic.
    """
    rows = batch.rows
    distribution = policy.on(params, rows)
    log_prob = jnp.where(rows.active, distribution.log_prob(rows.action), 0.0)
    log_ratio = jnp.where(rows.active, log_prob - rows.log_prob, 0.0)
    ratio = jax.lax.stop_gradient(jnp.exp(log_ratio))
    policy_loss = -weighted_sum(batch.policy_weight, ratio * log_prob * rows.advantage)
    entropy = weighted_sum(batch.own_weight, distribution.entropy())
    sums = {
        "loss": policy_loss,
        "entropy": entropy,
        "approx_kl": weighted_sum(batch.own_weight, ratio - 1.0 - log_ratio),
        "ratio": weighted_sum(batch.own_weight, ratio),
        "own_weight": jnp.sum(batch.own_weight),
    }
    return policy_loss - hparams.ent_coef * entropy, sums


def policy_gradient_step(
    policy: Policy,
    learning: Learning,
    draw: DrawSources,
    condition: Condition | None,
    hparams: Hyperparams,
    key: jax.Array,
) -> tuple[Learning, dict[str, jax.Array]]:
    """Returns the policy after ``num_epochs`` passes (1 in the original); see `StepFunction`."""
    del condition  # Nothing bounds the step but the clip to the gradient's norm.
    return gradient_passes(policy_gradient_loss, policy, learning, draw, hparams, key)


POLICY_GRADIENT = PolicyStep(
    apply=policy_gradient_step,
    init=adam_init,
    reads=frozenset({"num_epochs", "actor_lr", "ent_coef"}),
)
"""Detached importance weights and Adam (A2C)."""
