"""SEAC's local step: the policy gradient on own and on others' experience."""

from __future__ import annotations

import functools

import jax

from oatrpo_jax.config import Config
from oatrpo_jax.hyperparams import Hyperparams
from oatrpo_jax.optimiser import adam_init
from oatrpo_jax.reuse.sources import PolicyBatch
from oatrpo_jax.steps.gradient_passes import gradient_passes
from oatrpo_jax.steps.signature import PolicyStep, Scored


def policy_gradient_objective(
    scored: Scored, batch: PolicyBatch, config: Config, hparams: Hyperparams
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Returns ``w log pi(a|o) A`` of each row, and nothing else to log.

    ``w = pi(a|o) / mu(a|o)`` is neither clipped nor differentiated (Christianos et al. 2020,
    Eq. 3).  On own rows of the first step w = 1, which makes it advantage actor-critic.
    """
    return jax.lax.stop_gradient(scored.ratio) * scored.log_prob * batch.rows.advantage, {}


POLICY_GRADIENT = PolicyStep(
    apply=functools.partial(gradient_passes, policy_gradient_objective),
    init=adam_init,
    reads=frozenset({"num_epochs", "actor_lr", "ent_coef"}),
)
"""Detached importance weights and Adam (A2C); one pass in the original."""
