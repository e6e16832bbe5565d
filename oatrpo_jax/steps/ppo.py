"""OAPPO's local step: clipped importance ratios (Eq. 8)."""

from __future__ import annotations

import functools

import chex
import jax
import jax.numpy as jnp

from oatrpo_jax.config import Config
from oatrpo_jax.hyperparams import Hyperparams
from oatrpo_jax.optimiser import adam_init
from oatrpo_jax.policies.policy import Policy
from oatrpo_jax.reuse.experience import Slots, record_log_ratio
from oatrpo_jax.reuse.sources import PolicyBatch
from oatrpo_jax.steps.gradient_passes import gradient_passes
from oatrpo_jax.steps.signature import PolicyStep, Scored
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
    policy: Policy,
    params: PyTree,
    slots: Slots,
    others: jax.Array,
    config: Config,
    hparams: Hyperparams,
) -> Slots:
    """Returns the slots, with ratios of others' rows to be clipped around the learner's own policy.

    With ``pi_k`` the policy before the step, ``w = pi_k / mu`` and ``rho = pi / pi_k``, the
    objective of another's row is ``min(w, dual_clip) x min(rho A, clip(rho, 1 - eps, 1 + eps) A)``.
    Where w is not capped, its gradient begins as that of the importance-weighted advantage.  Around
    the behaviour (Eq. 8), what passes outside of the clip draws the policy towards the behaviour,
    be advantages mere noise: where ``pi > mu`` a good action gains nothing there, and where
    ``pi < mu`` a bad one.

    Args:
        policy: whose parameters they are.
        params: of pi_k.
        slots: all experience.
        others: ``[N]`` bool, the others' slots that the learner uses.
        config: says around what to clip; the slots stay as they are if around the behaviour.
        hparams: has the cap on w.
    """
    if config.clip_center == "behaviour":
        return slots
    none = jnp.zeros_like(slots.log_prob)
    log_weight = record_log_ratio(policy, params, slots, others, none)
    weight = jnp.minimum(jnp.exp(log_weight), hparams.dual_clip)
    return slots._replace(log_prob=slots.log_prob + log_weight, advantage=slots.advantage * weight)


def clip_objective(
    scored: Scored, batch: PolicyBatch, config: Config, hparams: Hyperparams
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Returns `clipped_objective` of each row, and where the ratio is beyond the clip."""
    objective = clipped_objective(
        scored.ratio,
        batch.rows.advantage,
        (batch.own_weight > 0) | (config.clip_center == "own"),
        clip_eps=hparams.clip_eps,
        dual_clip=hparams.dual_clip,
    )
    is_clipped = (jnp.abs(scored.ratio - 1.0) > hparams.clip_eps).astype(jnp.float32)
    return objective, {"clip_fraction": is_clipped}


CLIP = PolicyStep(
    apply=functools.partial(gradient_passes, clip_objective),
    init=adam_init,
    reads=frozenset({"num_epochs", "actor_lr", "ent_coef", "clip_eps"}),
    reads_when_shared=frozenset({"clip_center", "dual_clip"}),
    prepare=recentre,
)
"""Clipped ratios and Adam (PPO)."""
