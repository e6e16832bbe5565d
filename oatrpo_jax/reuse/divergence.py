"""How far policies are from each other, on rows that somebody recorded."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from oatrpo_jax.advantages import masked_mean
from oatrpo_jax.config import Config, Hyperparams
from oatrpo_jax.policies.distributions import policy_distribution
from oatrpo_jax.ranges import TINY
from oatrpo_jax.reuse.experience import Slots


def summarise_rows(
    kl: jax.Array, active: jax.Array, config: Config, hparams: Hyperparams
) -> jax.Array:
    """Returns one divergence from the KL of every active row: mean, maximum or quantile.

    Args:
        kl: ``[..., R]``, clamped at 0 here against rounding.
        active: ``[..., R]`` bool; a slot without active rows has divergence 0.
        config: says which summary.
        hparams: has the quantile.

    Returns:
        ``[...]``.
    """
    kl = jnp.maximum(kl, 0.0)
    if config.divergence == "max":
        return jnp.max(jnp.where(active, kl, 0.0), axis=-1)
    if config.divergence == "quantile":
        rows = jnp.where(active, kl, jnp.nan)
        return jnp.nan_to_num(jnp.nanquantile(rows, hparams.divergence_quantile, axis=-1))
    return masked_mean(kl, active, axis=-1)


def pairwise_divergence(
    logits_of: Callable[[jax.Array], jax.Array],
    slots: Slots,
    num_policies: int,
    config: Config,
    hparams: Hyperparams,
) -> tuple[jax.Array, jax.Array]:
    """Returns how far each learner's policy is from each source's, on the source's experience.

    ``D[g, n] = mean over active rows of KL( mu_n(.|o^n) || pi_g(.|o^n) )`` (Condition 1), and the
    effective sample size ``1 / E[w^2]`` of the importance ratios ``w = pi_g / mu_n`` as a share of
    the active rows (Kong 1992).  ``E[w^2] = sum_a pi_g(a)^2 / mu_n(a)`` is taken over all actions,
    and not over those drawn, which cannot show that probable ones are missing.

    Args:
        logits_of: learner index -> ``[N, R, A]`` its logits on every slot's rows.
        slots: the same rows, ``[N, R, ...]``.
        num_policies: G.
        config: says how rows are summarised.
        hparams: has the quantile.

    Returns:
        ``[G, N]`` divergences and ``[G, N]`` effective sample sizes in [0, 1].
    """
    behaviour = policy_distribution(slots.logits)

    def row(learner: jax.Array) -> tuple[jax.Array, jax.Array]:
        policy = policy_distribution(logits_of(learner))
        kl = behaviour.kl_divergence(policy)
        second = jnp.square(policy.probs) / jnp.maximum(behaviour.probs, TINY)
        second_moment = masked_mean(jnp.sum(second, axis=-1), slots.active, axis=-1)
        divergence = summarise_rows(kl, slots.active, config, hparams)
        return divergence, 1.0 / jnp.maximum(second_moment, 1.0)

    return jax.lax.map(row, jnp.arange(num_policies))
