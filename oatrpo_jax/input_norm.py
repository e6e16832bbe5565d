"""Running statistics of what networks see, and inputs in units of them."""

from __future__ import annotations

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

from oatrpo_jax.advantages import divisor, mean_and_variance, scale_of, standardise

MAX_ROWS = 2**30
"""Rows that statistics count up to.  From there on older ones fade."""

MAX_DISTANCE = 2.0**50
"""From the mean, at which a row counts at most: the squares of 10^8 such rows are still finite."""

MAX_DEVIATIONS = 10.0
"""Inputs are cut off here, lest something that hardly ever differs from its mean count for all."""


class RunningMoments(NamedTuple):
    """Mean and variance of each feature over all rows so far.

    A new batch moves them by a share of its distance, which float32 soon loses beside the mean:
    what each addition loses is kept and added to the next one.

    Attributes:
        count: ``[]`` int32, rows so far.
        mean: ``[F]``.
        variance: ``[F]`` about that mean.
        lost_mean: ``[F]`` what additions to the mean have lost.
        lost_variance: ``[F]`` the same of the variance.
    """

    count: jax.Array
    mean: jax.Array
    variance: jax.Array
    lost_mean: jax.Array
    lost_variance: jax.Array

    @classmethod
    def create(cls, num_features: int) -> RunningMoments:
        """Returns statistics of nothing, by which all inputs are 0.

        So nothing that is learnt depends on their scale and offset, from the first update on.
        """
        zeros = jnp.zeros(num_features, jnp.float32)
        return cls(jnp.int32(0), zeros, zeros, zeros, zeros)

    def update(self, x: jax.Array, is_counted: jax.Array) -> RunningMoments:
        """Returns the statistics with more rows (Chan, Golub, LeVeque 1979, Eq. 2.1).

        Args:
            x: ``[..., F]``.
            is_counted: ``[...]`` bool, the rows that count.
        """
        chex.assert_shape(x, (*is_counted.shape, len(self.mean)))
        axes = tuple(range(is_counted.ndim))
        # About the mean so far, which leaves no offset in what is summed.
        distance = jnp.clip(x - self.mean, -MAX_DISTANCE, MAX_DISTANCE)
        change, variance = mean_and_variance(distance, is_counted[..., None], axes)
        change = change - self.lost_mean
        num_rows = jnp.sum(is_counted, dtype=jnp.int32)
        count = self.count + num_rows
        share = num_rows.astype(jnp.float32) / divisor(count)
        spread = variance - self.variance - self.lost_variance + (1.0 - share) * jnp.square(change)
        mean, lost_mean = _add(self.mean, self.lost_mean, share * change)
        variance, lost_variance = _add(self.variance, self.lost_variance, share * spread)
        count = jnp.minimum(count, MAX_ROWS)
        return RunningMoments(count, mean, jnp.maximum(variance, 0.0), lost_mean, lost_variance)

    def normalise(self, x: jax.Array) -> jax.Array:
        """Returns inputs ``[..., F]`` in deviations from the mean, `MAX_DEVIATIONS` at most.

        They are 0 before the first update, and for what has always been 0.
        """
        scaled = standardise(x, self.mean, scale_of(self.mean, self.variance))
        return jnp.clip(scaled, -MAX_DEVIATIONS, MAX_DEVIATIONS)


def _add(total: jax.Array, lost: jax.Array, x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Returns ``total + lost + x`` rounded, and what the rounding has lost (Kahan 1965).

    Args:
        total: the sum so far.
        lost: what is to be added to it besides: what earlier roundings have lost.
        x: the next summand.
    """
    x = x + lost
    new = total + x
    return new, x - (new - total)


class InputNorm(NamedTuple):
    """Statistics that standardise what networks see; one set for all agents of a team.

    Policies that are taken back to when they played best take their views along, and critics stay.

    Attributes:
        views: ``[O]`` of the views of active agents, for policies.
        features: ``[F]`` of what critics see, see `critic_features`.
    """

    views: RunningMoments
    features: RunningMoments

    @classmethod
    def create(cls, view_size: int, num_features: int) -> InputNorm:
        """Returns statistics of nothing, for views ``[O]`` and critics' features ``[F]``."""
        return cls(RunningMoments.create(view_size), RunningMoments.create(num_features))
