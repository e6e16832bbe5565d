"""OAPPO's local step: clipped importance ratios (Eq. 8)."""

from __future__ import annotations

import chex
import jax
import jax.numpy as jnp

from oatrpo_jax.hyperparams import Hyperparams
from oatrpo_jax.optimiser import Learning, adam_init
from oatrpo_jax.policies.policy import Policy
from oatrpo_jax.reuse.experience import Slots, record_log_ratio
from oatrpo_jax.reuse.sources import DrawSources, PolicyBatch
from oatrpo_jax.steps.gradient_passes import gradient_passes
from oatrpo_jax.steps.signature import Condition, PolicyStep, weighted_sum
from oatrpo_jax.types import PyTree


def clipped_objective(
    ratio: jax.Array,
    advantage: jax.Array,
    starts_at_one: jax.Array,
    *,
    clip_eps: jax.Array | float,
    dual_clip: jax.Array | float,
) -> jax.Array:
    """Returns ``min(ratio A, clip(ratio, 1 - eps, 1 + eps) A)`` per row (Eq. 8, with A inside).

    Off-agent ratios do not start at 1, so on others' rows a negative advantage counts at most
    ``dual_clip`` times: ``max(min(...), dual_clip A)`` where A < 0 (Ye et al. 2020, Eq. 5).

    Args:
        ratio: ``[...]`` pi(a|o) / mu(a|o).
        advantage: ``[...]``, times the compound ratio of the agents updated before.
        starts_at_one: ``[...]`` bool, True where the ratio is 1 before the step: on the learner's
            own rows, and on all that are recentred.
        clip_eps: how far the ratio may move and gain.
        dual_clip: cap on the ratio where the advantage is negative.
    """
    chex.assert_equal_shape([ratio, advantage, starts_at_one])
    clipped = jnp.clip(ratio, 1.0 - clip_eps, 1.0 + clip_eps)
    objective = jnp.minimum(ratio * advantage, clipped * advantage)
    capped = jnp.where(advantage < 0, jnp.maximum(objective, dual_clip * advantage), objective)
    return jnp.where(starts_at_one, objective, capped)


def recentre(
    policy: Policy, params: PyTree, slots: Slots, others: jax.Array, hparams: Hyperparams
) -> Slots:
    """Returns the slots, with ratios of others' rows to be clipped around the learner's own policy.

    With ``pi_k`` the policy before the step, ``w = pi_k / mu`` and ``rho = pi / pi_k``, the
    objective of another's row is ``min(w, dual_clip) x min(rho A, clip(rho, 1 - eps, 1 + eps) A)``.
    Where w is not capped, its gradient begins as that of the importance-weighted advantage.  Around
    the behaviour (Eq. 8), what passes outside of the clip draws the policy towards the behaviour,
    be advantages mere noise: where ``pi > mu`` a good action gains nothing there, and where
    ``pi < mu`` a bad one.

    Args:
        policy: whose parameters they are; its config says around what to clip.
        params: of pi_k.
        slots: all experience.
        others: ``[N]`` bool, the others' slots that the learner uses.
        hparams: has the cap on w.
    """
    if policy.config.clip_center == "behaviour":
        return slots
    none = jnp.zeros_like(slots.log_prob)
    log_weight = record_log_ratio(policy, params, slots, others, none)
    weight = jnp.minimum(jnp.exp(log_weight), hparams.dual_clip)
    return slots._replace(log_prob=slots.log_prob + log_weight, advantage=slots.advantage * weight)


def clip_loss(
    policy: Policy, params: PyTree, batch: PolicyBatch, hparams: Hyperparams
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Returns the loss of one slot's rows and sums for the metrics.

    ``- sum policy_weight x clipped objective - ent_coef x sum own_weight x entropy``.
    """
    rows = batch.rows
    distribution = policy.on(params, rows)
    log_ratio = jnp.where(rows.active, distribution.log_prob(rows.action) - rows.log_prob, 0.0)
    ratio = jnp.exp(log_ratio)
    objective = clipped_objective(
        ratio,
        rows.advantage,
        (batch.own_weight > 0) | (policy.config.clip_center == "own"),
        clip_eps=hparams.clip_eps,
        dual_clip=hparams.dual_clip,
    )
    policy_loss = -weighted_sum(batch.policy_weight, objective)
    entropy = weighted_sum(batch.own_weight, distribution.entropy())
    is_clipped = (jnp.abs(ratio - 1.0) > hparams.clip_eps).astype(jnp.float32)
    sums = {
        "loss": policy_loss,
        "entropy": entropy,
        "approx_kl": weighted_sum(batch.own_weight, ratio - 1.0 - log_ratio),
        "clip_fraction": weighted_sum(batch.own_weight, is_clipped),
        "ratio": weighted_sum(batch.own_weight, ratio),
        "own_weight": jnp.sum(batch.own_weight),
    }
    return policy_loss - hparams.ent_coef * entropy, sums


def clip_step(
    policy: Policy,
    learning: Learning,
    draw: DrawSources,
    condition: Condition | None,
    hparams: Hyperparams,
    key: jax.Array,
) -> tuple[Learning, dict[str, jax.Array]]:
    """Returns the policy after ``num_epochs`` passes of Adam; see `StepFunction`."""
    del condition  # Clipping bounds the step already.
    return gradient_passes(clip_loss, policy, learning, draw, hparams, key)


CLIP = PolicyStep(
    apply=clip_step,
    init=adam_init,
    reads=frozenset({"num_epochs", "actor_lr", "ent_coef", "clip_eps"}),
    reads_when_shared=frozenset({"clip_center", "dual_clip"}),
    prepare=recentre,
)
"""Clipped ratios and Adam (PPO)."""
