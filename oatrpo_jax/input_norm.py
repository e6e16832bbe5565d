"""Running statistics of what networks see, and inputs in units of them."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from oatrpo_jax.advantages import divisor, mean_and_variance, scale_of, standardise

MAX_ROWS = 2**30
"""Rows that statistics count up to.  From there on older ones fade."""

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

        Networks that see nothing yet make learning independent of the inputs' scale and offset.
        """
        zeros = jnp.zeros(num_features, jnp.float32)
        return cls(jnp.int32(0), zeros, zeros, zeros, zeros)

    def update(self, x: jax.Array, is_counted: jax.Array) -> RunningMoments:
        """Returns the statistics with more rows (Chan, Golub, LeVeque 1979, Eq. 2.1).

        Args:
            x: ``[..., F]``.
            is_counted: ``[...]`` bool, the rows that count.
        """
        axes = tuple(range(is_counted.ndim))
        # About the mean so far, which leaves no offset in what is summed.
        change, variance = mean_and_variance(x - self.mean, is_counted[..., None], axes)
        change = change - self.lost_mean
        num_rows = jnp.sum(is_counted)
        count = self.count + num_rows
        share = num_rows.astype(jnp.float32) / divisor(count)
        spread = variance - self.variance + (1.0 - share) * jnp.square(change)
        mean, lost_mean = _add(self.mean, self.lost_mean, share * change)
        variance, lost_variance = _add(self.variance, self.lost_variance, share * spread)
        count = jnp.minimum(count, MAX_ROWS)
        return RunningMoments(count, mean, jnp.maximum(variance, 0.0), lost_mean, lost_variance)

    def normalise(self, x: jax.Array) -> jax.Array:
        """Returns inputs ``[..., F]`` in deviations from the mean; 0 for what has never varied."""
        scaled = standardise(x, self.mean, scale_of(self.mean, self.variance))
        return jnp.clip(scaled, -MAX_DEVIATIONS, MAX_DEVIATIONS)


def _add(total: jax.Array, lost: jax.Array, x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Returns ``total + x``, and what it lacks of the exact sum (Kahan 1965)."""
    x = x + lost
    new = total + x
    return new, x - (new - total)


class InputNorm(NamedTuple):
    """What all networks of a team see by: one set for all agents, as they read each other's rows.

    Attributes:
        views: of the views of active agents, by which policies see.
        features: of what critics see, see `critic_features`.
    """

    views: RunningMoments
    features: RunningMoments

    @classmethod
    def create(cls, view_size: int, num_features: int) -> InputNorm:
        """Returns statistics of nothing, for views ``[O]`` and critics' features ``[F]``."""
        return cls(RunningMoments.create(view_size), RunningMoments.create(num_features))
