"""How far policies are from each other, on rows that somebody recorded."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from oatrpo_jax.advantages import divisor, masked_mean
from oatrpo_jax.config import Config
from oatrpo_jax.hyperparams import Hyperparams
from oatrpo_jax.policies.policy import Policy
from oatrpo_jax.reuse.experience import Experience
from oatrpo_jax.reuse.rows import spaced_envs, take_spaced
from oatrpo_jax.types import PyTree


class Compared(NamedTuple):
    """Rows on which learners are compared with those who recorded them.

    Attributes:
        experience: some of a rollout, ``[N, T, E']``.
        outputs: ``[N, T, E', Z]`` of those who recorded it, see `distributions`.
    """

    experience: Experience
    outputs: jax.Array


def rows_to_compare(
    policy: Policy, actors: PyTree, experience: Experience, num_rows: int
) -> Compared:
    """Returns at most ``num_rows`` rows of a rollout.

    Args:
        policy: whose parameters they are.
        actors: parameters of the policies that acted, leading axis ``[G]``.
        experience: the rollout.
        num_rows: of all slots together, see `spaced_envs`.
    """
    envs = spaced_envs(experience.slots.active.shape, num_rows)
    some = experience.arranged(jax.vmap(functools.partial(take_spaced, envs=envs)))
    acting = jax.tree.map(lambda x: x[jnp.argmax(some.own, axis=0)], actors)
    return Compared(some, jax.vmap(policy.outputs)(acting, some.slots))


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


def divergence_from_sources(
    policy: Policy,
    params: PyTree,
    learner: jax.Array,
    compared: Compared,
    config: Config,
    hparams: Hyperparams,
) -> jax.Array:
    """Returns how far a policy is from each source's, on the source's experience (Condition 1).

    ``D[n] = mean over active rows of KL( mu_n(.|o^n) || pi(.|o^n) )``.

    Args:
        policy: whose parameters they are.
        params: of pi.
        learner: its number, by which it remembers what others saw.
        compared: the rows.
        config: says how they are summarised.
        hparams: has the quantile.

    Returns:
        ``[N]``, NaN where a policy is.
    """
    kl = policy.distribution(compared.outputs).kl_divergence(
        policy.on(params, compared.experience.seen_by(learner))
    )
    return summarise_rows(kl, compared.experience.slots.active, config, hparams)


def pairwise_divergence(
    policy: Policy, actors: PyTree, compared: Compared, config: Config, hparams: Hyperparams
) -> jax.Array:
    """Returns ``[G, N]`` how far each of the policies ``[G]`` is from each source's.

    See `divergence_from_sources`.
    """

    def row(params: PyTree, learner: jax.Array) -> jax.Array:
        return divergence_from_sources(policy, params, learner, compared, config, hparams)

    return _for_each_learner(row, actors)


def pairwise_sample_size(policy: Policy, actors: PyTree, compared: Compared) -> jax.Array:
    """Returns how many of each source's rows are worth as much as all, for each policy.

    The effective sample size ``1 / E[w^2]`` of the importance ratios ``w = pi_g / mu_n`` as a share
    of the active rows (Kong 1992).  The expectation is that of the distributions, and not the mean
    over actions drawn, which cannot show that probable ones are missing.

    Returns:
        ``[G, N]`` in [0, 1] of policies ``[G]``, NaN where a policy is.
    """
    behaviour = policy.distribution(compared.outputs)

    def row(params: PyTree, learner: jax.Array) -> jax.Array:
        distribution = policy.on(params, compared.experience.seen_by(learner))
        each = distribution.ratio_moment(behaviour)
        moment = masked_mean(each, compared.experience.slots.active, axis=(-2, -1))
        return 1.0 / jnp.maximum(moment, 1.0)

    return _for_each_learner(row, actors)


def _for_each_learner(row: Callable[[PyTree, jax.Array], jax.Array], actors: PyTree) -> jax.Array:
    """Returns ``[G, N]`` what (parameters, number of a learner) -> ``[N]`` finds of each."""
    numbers = jnp.arange(len(jax.tree.leaves(actors)[0]))
    return jax.lax.map(lambda now: row(*now), (actors, numbers))
