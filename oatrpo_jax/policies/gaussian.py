"""The distribution over continuous actions: a Gaussian with independent dimensions."""

from __future__ import annotations

import math
from dataclasses import dataclass

import jax
import jax.numpy as jnp

ABSENT = -1e9
"""Log deviation of a dimension that an agent has not: its action there is exactly the mean, 0."""


def mask_gaussian(mean: jax.Array, log_std: jax.Array, action_mask: jax.Array) -> jax.Array:
    """Returns ``[..., 2 D]`` outputs of a Gaussian in the dimensions where the mask is True.

    Args:
        mean: ``[..., D]``.
        log_std: ``[D]`` natural logarithms of the deviations.
        action_mask: ``[..., D]`` bool.
    """
    parts = jnp.where(action_mask, mean, 0.0), jnp.where(action_mask, log_std, ABSENT)
    return jnp.concatenate(parts, axis=-1)


@dataclass(frozen=True)
class Gaussian:
    """D independent dimensions; a `Distribution` over actions ``[..., D]``.

    Not distrax's: dimensions that an agent has not are in no sum, and KL(p || p) is exactly 0,
    which the strict comparison of the KL gate needs.

    Attributes:
        outputs: ``[..., 2 D]`` means, then natural logarithms of the deviations, ``ABSENT`` in
            dimensions that there are not.
    """

    outputs: jax.Array

    @property
    def mean(self) -> jax.Array:
        """``[..., D]``."""
        return self._parts[0]

    @property
    def exists(self) -> jax.Array:
        """``[..., D]`` bool, False for dimensions that the agent has not."""
        return self._parts[1] != ABSENT

    @property
    def log_std(self) -> jax.Array:
        """``[..., D]``; 0 in dimensions that there are not, so that no term is infinite."""
        return jnp.where(self.exists, self._parts[1], 0.0)

    def sample(self, *, seed: jax.Array) -> jax.Array:
        """Returns ``[..., D]`` float32, 0 in dimensions that there are not."""
        noise = jax.random.normal(seed, self.mean.shape, jnp.float32)
        return self.mean + jnp.where(self.exists, jnp.exp(self.log_std) * noise, 0.0)

    def mode(self) -> jax.Array:
        """Returns the mean."""
        return self.mean

    def log_prob(self, value: jax.Array) -> jax.Array:
        """Returns ``[...]`` log-densities of ``[..., D]`` actions."""
        error = (value - self.mean) * jnp.exp(-self.log_std)
        return self._total(-0.5 * (jnp.square(error) + math.log(2.0 * math.pi)) - self.log_std)

    def entropy(self) -> jax.Array:
        """Returns ``[...]`` differential entropies; below 0 where deviations are small."""
        return self._total(self.log_std + 0.5 * math.log(2.0 * math.pi * math.e))

    def kl_divergence(self, other_dist: Gaussian) -> jax.Array:
        """Returns ``[...]``, 0 to the bit between equals."""
        wider = 2.0 * (self.log_std - other_dist.log_std)
        shift = (self.mean - other_dist.mean) * jnp.exp(-other_dist.log_std)
        return self._total(0.5 * (jnp.expm1(wider) - wider + jnp.square(shift)))

    def ratio_moment(self, behaviour: Gaussian) -> jax.Array:
        """Returns ``E[w^2]``, infinite where a variance is twice the behaviour's or more.

        With ``r`` the ratio of the variances and ``d`` the difference of the means in units of the
        behaviour's deviation it is ``exp(d^2 / (2 - r)) / sqrt(r (2 - r))`` in each dimension.
        """
        wider = 2.0 * (self.log_std - behaviour.log_std)
        shift = (self.mean - behaviour.mean) * jnp.exp(-behaviour.log_std)
        room = 2.0 - jnp.exp(wider)
        is_finite = ~(room <= 0)
        room = jnp.where(is_finite, room, 1.0)
        log_moment = jnp.square(shift) / room - 0.5 * (wider + jnp.log(room))
        return jnp.exp(self._total(jnp.where(is_finite, log_moment, jnp.inf)))

    def fisher_product(self, tangent: jax.Array, weight: jax.Array) -> jax.Array:
        """Returns ``weight x`` the tangent of means over variances, and twice that of log_std."""
        of_mean, of_log_std = jnp.split(tangent, 2, axis=-1)
        exists, each = self.exists, weight[..., None]
        parts = of_mean * jnp.exp(-2.0 * self.log_std), 2.0 * of_log_std
        return jnp.concatenate([jnp.where(exists, each * part, 0.0) for part in parts], axis=-1)

    @property
    def _parts(self) -> list[jax.Array]:
        """Means, and log deviations as they are."""
        return jnp.split(self.outputs, 2, axis=-1)

    def _total(self, x: jax.Array) -> jax.Array:
        """Returns the sum over the dimensions that there are."""
        return jnp.sum(jnp.where(self.exists, x, 0.0), axis=-1)
