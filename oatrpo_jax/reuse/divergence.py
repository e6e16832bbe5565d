"""How far policies are from each other, on rows that somebody recorded."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from oatrpo_jax.advantages import divisor, masked_mean
from oatrpo_jax.config import Config, Hyperparams
from oatrpo_jax.policies.distributions import Distribution
from oatrpo_jax.policies.policy import Policy
from oatrpo_jax.reuse.experience import Slots

OutputsOf = Callable[[jax.Array], jax.Array]
"""Number of a learner -> ``[N, T, E, Z]`` its outputs on every slot's rows."""


def summarise_rows(
    kl: jax.Array, active: jax.Array, config: Config, hparams: Hyperparams
) -> jax.Array:
    """Returns one divergence from the KL of every active row: mean, maximum or quantile.

    Args:
        kl: ``[..., T, E]``, clamped at 0 here against rounding.
        active: ``[..., T, E]`` bool; a slot without active rows has divergence 0.
        config: says which summary.
        hparams: has the quantile.

    Returns:
        ``[...]``, NaN where an active row is.
    """
    kl = jnp.maximum(kl, 0.0)
    if config.divergence == "max":
        return jnp.max(jnp.where(active, kl, 0.0), axis=(-2, -1))
    if config.divergence == "quantile":
        is_sound = ~jnp.any(active & jnp.isnan(kl), axis=(-2, -1))
        flat, counts = (x.reshape(*x.shape[:-2], -1) for x in (kl, active))
        quantile = masked_quantile(flat, counts, hparams.divergence_quantile)
        return jnp.where(is_sound, quantile, jnp.nan)
    return masked_mean(kl, active, axis=(-2, -1))


def masked_quantile(x: jax.Array, mask: jax.Array, quantile: jax.Array) -> jax.Array:
    """Returns ``[...]`` the quantile of ``[..., R]`` entries where ``mask`` is; 0 where none is.

    Interpolated linearly between the two entries beside it.
    """
    # Sorted to the end; not inf, whose product with 0 would be NaN.
    ordered = jnp.sort(jnp.where(mask, x, jnp.finfo(x.dtype).max), axis=-1)
    place = quantile * (divisor(jnp.sum(mask, axis=-1)) - 1.0)
    low, high = (
        jnp.take_along_axis(ordered, each(place).astype(jnp.int32)[..., None], axis=-1)[..., 0]
        for each in (jnp.floor, jnp.ceil)
    )
    share = place - jnp.floor(place)
    return jnp.where(jnp.any(mask, axis=-1), low * (1.0 - share) + high * share, 0.0)


def pairwise_divergence(
    policy: Policy, outputs_of: OutputsOf, slots: Slots, num_policies: int, hparams: Hyperparams
) -> jax.Array:
    """Returns how far each learner's policy is from each source's, on the source's experience.

    ``D[g, n] = mean over active rows of KL( mu_n(.|o^n) || pi_g(.|o^n) )`` (Condition 1).

    Args:
        policy: whose outputs they are; its config says how rows are summarised.
        outputs_of: gives each learner's outputs on the rows.
        slots: the rows, ``[N, T, E, ...]``.
        num_policies: G.
        hparams: has the quantile.

    Returns:
        ``[G, N]``, NaN where a policy is.
    """

    def divergence(behaviour: Distribution, learner: Distribution) -> jax.Array:
        kl = behaviour.kl_divergence(learner)
        return summarise_rows(kl, slots.active, policy.config, hparams)

    return _compare_policies(divergence, policy, outputs_of, slots, num_policies)


def pairwise_sample_size(
    policy: Policy, outputs_of: OutputsOf, slots: Slots, num_policies: int
) -> jax.Array:
    """Returns how many of each source's rows are worth as much as all, for each learner.

    The effective sample size ``1 / E[w^2]`` of the importance ratios ``w = pi_g / mu_n`` as a share
    of the active rows (Kong 1992).  The expectation is that of the distributions, and not the mean
    over actions drawn, which cannot show that probable ones are missing.

    Args:
        policy: whose outputs they are.
        outputs_of: gives each learner's outputs on the rows.
        slots: the rows, ``[N, T, E, ...]``.
        num_policies: G.

    Returns:
        ``[G, N]`` in [0, 1], NaN where a policy is.
    """

    def sample_size(behaviour: Distribution, learner: Distribution) -> jax.Array:
        moment = masked_mean(learner.ratio_moment(behaviour), slots.active, axis=(-2, -1))
        return 1.0 / jnp.maximum(moment, 1.0)

    return _compare_policies(sample_size, policy, outputs_of, slots, num_policies)


def _compare_policies(
    measure: Callable[[Distribution, Distribution], jax.Array],
    policy: Policy,
    outputs_of: OutputsOf,
    slots: Slots,
    num_policies: int,
) -> jax.Array:
    """Returns ``[G, N]`` what (behaviour of all slots, one policy) -> ``[N]`` finds."""
    behaviour = policy.distribution(slots.outputs)
    return jax.lax.map(
        lambda learner: measure(behaviour, policy.distribution(outputs_of(learner))),
        jnp.arange(num_policies),
    )
