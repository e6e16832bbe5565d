"""Advantages: generalised advantage estimation and its normalisation."""

from __future__ import annotations

import chex
import jax
import jax.numpy as jnp

from oatrpo_jax.ranges import TINY
from oatrpo_jax.types import Transition


def generalized_advantage_estimation(
    trajectory: Transition,
    value: jax.Array,
    next_value: jax.Array,
    *,
    gamma: jax.Array | float,
    gae_lambda: jax.Array | float,
    neutralise: bool = False,
) -> jax.Array:
    """Returns advantages ``A_t = delta_t + gamma lambda A_{t+1}`` (Schulman et al. 2016, Eq. 16).

    ``delta_t = r_t + gamma V(s_{t+1}) - V(s_t)``, with V(s_{t+1}) = 0 after a termination.  The sum
    stops at the end of an episode, terminated or truncated; a truncation still bootstraps.

    Args:
        trajectory: a Transition with leading axes ``[T, ...]``.
        value: ``[T, ..., M]`` values of the states acted in, one of each critic slot.
        next_value: ``[T, ..., M]`` values of the states reached, before any reset.
        gamma: discount per step.
        gae_lambda: the exponential weight of longer estimates.
        neutralise: give truncated steps the advantage 0 instead of bootstrapping.

    Returns:
        ``[T, ..., M]`` advantages; add ``value`` for the returns that a critic learns.
    """
    chex.assert_equal_shape([value, next_value])
    chex.assert_equal_shape_prefix([trajectory.reward, value], trajectory.reward.ndim)
    reward, terminated, truncated = (
        jnp.broadcast_to(x[..., None], value.shape)
        for x in (trajectory.reward, trajectory.terminated, trajectory.truncated)
    )
    delta = reward + gamma * jnp.where(terminated, 0.0, next_value) - value
    if neutralise:
        delta = jnp.where(truncated & ~terminated, 0.0, delta)
    decay = gamma * gae_lambda * jnp.where(terminated | truncated, 0.0, 1.0)

    def backward(following: jax.Array, step: tuple[jax.Array, jax.Array]):
        delta, decay = step
        advantage = delta + decay * following
        return advantage, advantage

    _, advantage = jax.lax.scan(backward, jnp.zeros_like(delta[0]), (delta, decay), reverse=True)
    return advantage


def divisor(count: jax.Array) -> jax.Array:
    """Returns a count as a float32 to divide by: at least 1, so that a mean of nothing is 0."""
    return jnp.maximum(count, 1).astype(jnp.float32)


def masked_mean(x: jax.Array, mask: jax.Array, axis: int | tuple[int, ...] | None = None):
    """Returns the mean of ``x`` over the entries where ``mask`` is True; 0 where there is none."""
    return jnp.sum(jnp.where(mask, x, 0.0), axis=axis) / divisor(jnp.sum(mask, axis=axis))


RESOLUTION = 1e-6
"""Least deviation told from rounding, as a share of the mean: eight float32 steps."""


def mean_and_variance(
    x: jax.Array, mask: jax.Array, axis: tuple[int, ...] | None = None
) -> tuple[jax.Array, jax.Array]:
    """Returns the mean over the entries where ``mask`` is True, and the variance about it.

    The mean is taken in two steps, as a sum of many float32 numbers is off by several digits.

    Args:
        x: of any shape.
        mask: bool, of the same shape; of length 1 in what ``axis`` leaves, if that is given.
        axis: leading axes to go over; all if not given.
    """
    rough = masked_mean(x, mask, axis)
    mean = rough + masked_mean(x - rough, mask, axis)
    return mean, masked_mean(jnp.square(x - mean), mask, axis)


def scale_of(mean: jax.Array, variance: jax.Array) -> jax.Array:
    """Returns the deviation, but no less than rounding leaves of the mean; 0 if both are 0.

    No constant in units of reward is in it, so that learning does not depend on their scale.
    """
    return jnp.maximum(jnp.sqrt(variance), RESOLUTION * jnp.abs(mean))


def standardise(x: jax.Array, mean: jax.Array, scale: jax.Array) -> jax.Array:
    """Returns ``(x - mean) / scale``; 0 where there is no scale yet."""
    return jnp.where(scale > 0, (x - mean) / jnp.maximum(scale, TINY), 0.0)


def normalise(x: jax.Array, active: jax.Array) -> jax.Array:
    """Returns values with mean 0 and deviation 1 over the active entries, 0 elsewhere."""
    mean, variance = mean_and_variance(x, active)
    return jnp.where(active, standardise(x, mean, scale_of(mean, variance)), 0.0)
