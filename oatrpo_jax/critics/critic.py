"""Critics, and what they see and learn: features, value normalisation, the value loss.

A central critic is one critic with one slot, the global state; local critics have a slot per
agent, its own view.  Beyond that choice nothing here knows the difference.
"""

from __future__ import annotations

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from oatrpo_jax.advantages import mean_and_variance, scale_of, standardise
from oatrpo_jax.config import Config
from oatrpo_jax.hyperparams import Hyperparams
from oatrpo_jax.policies.layers import Layers
from oatrpo_jax.policies.networks import MLP
from oatrpo_jax.ranges import TINY
from oatrpo_jax.types import Observation


class Critic(nn.Module):
    """Values, standardised where the config says so: ``[..., features] -> [...]``."""

    layers: Layers

    @nn.compact
    def __call__(self, features: jax.Array) -> jax.Array:
        return MLP(self.layers, 1, 1.0)(features)[..., 0]


class ValueNorm(NamedTuple):
    """Running statistics of the returns, by exponential averages without a start-up bias.

    Attributes:
        mean: ``[]``.
        variance: ``[]`` about that mean.
        weight: ``[]`` what the batches so far weigh together: 0 at first, towards 1.
    """

    mean: jax.Array
    variance: jax.Array
    weight: jax.Array

    @classmethod
    def create(cls, normalise_values: bool = True) -> ValueNorm:
        """Returns statistics of nothing, or those with which normalising changes nothing.

        By statistics of nothing all values are 0: what a fresh critic says is in no unit of
        reward, and would be most of the first returns where rewards are small.
        """
        return cls(jnp.float32(0), jnp.float32(not normalise_values), jnp.float32(0))

    def update(self, returns: jax.Array, decay: jax.Array) -> ValueNorm:
        """Returns the statistics with one more batch of returns.

        Both variances are about their own means, and the distance of the means is added: a
        difference of squares would lose a deviation that is small beside the mean.
        """
        mean, variance = mean_and_variance(returns, jnp.ones_like(returns, bool))
        weight = decay * self.weight + (1.0 - decay)
        share = (1.0 - decay) / weight  # 1 for the first batch; decay < 1.
        change = mean - self.mean
        spread = variance - self.variance + (1.0 - share) * jnp.square(change)
        return ValueNorm(self.mean + share * change, self.variance + share * spread, weight)

    @property
    def scale(self) -> jax.Array:
        """``[]`` the running deviation: a unit of the critic's output in units of return."""
        return scale_of(self.mean, self.variance)

    def normalise(self, values: jax.Array) -> jax.Array:
        """Returns values in units of the critic's output."""
        return standardise(values, self.mean, self.scale)

    def denormalise(self, outputs: jax.Array) -> jax.Array:
        """Returns the critic's outputs in units of return."""
        return outputs * self.scale + self.mean


def critic_features(observation: Observation, is_central: bool) -> jax.Array:
    """Returns what the critic slots see: ``[..., 1, S]`` if central, else ``[..., N, O]``.

    Inactive agents' views are among them: advantages bootstrap from their values, so that these
    have to be learnt as all others.
    """
    if is_central:
        return observation.global_state[..., None, :]
    return observation.finite_views


def value_loss(
    output: jax.Array,
    old_output: jax.Array,
    target: jax.Array,
    config: Config,
    hparams: Hyperparams,
) -> jax.Array:
    """Returns the Huber loss of each row; `clipped` takes the worse of it and its clipped form.

    ``max(l(V), l(V_old + clip(V - V_old, -eps, eps)))``, l = Huber with ``huber_delta``.
    """
    loss = optax.losses.huber_loss(output, target, delta=hparams.huber_delta)
    if config.value_loss == "huber":
        return loss
    eps = hparams.value_clip_eps
    near = old_output + jnp.clip(output - old_output, -eps, eps)
    return jnp.maximum(loss, optax.losses.huber_loss(near, target, delta=hparams.huber_delta))


def explained_variance(value: jax.Array, returns: jax.Array) -> jax.Array:
    """Returns ``1 - var(returns - value) / var(returns)``; 0 where the returns are all the same."""
    variance = jnp.var(returns)
    unexplained = jnp.var(returns - value) / jnp.maximum(variance, TINY)
    return jnp.where(variance > 0, 1.0 - unexplained, 0.0)
