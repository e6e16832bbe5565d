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

from oatrpo_jax.advantages import masked_mean
from oatrpo_jax.config import Config, Hyperparams
from oatrpo_jax.policies.networks import MLP
from oatrpo_jax.types import Observation


class Critic(nn.Module):
    """Values, standardised where the config says so: ``[..., features] -> [...]``."""

    config: Config

    @nn.compact
    def __call__(self, features: jax.Array) -> jax.Array:
        config = self.config
        values = MLP(config.hidden_sizes, config.activation, config.layer_norm, 1, 1.0)(features)
        return values[..., 0]


class ValueNorm(NamedTuple):
    """Running statistics of the returns, by exponential averages without a start-up bias.

    Attributes:
        mean: ``[]`` decayed sum of batch means.
        square: ``[]`` decayed sum of batch mean squares.
        weight: ``[]`` decayed sum of ones: divide by it.
    """

    mean: jax.Array
    square: jax.Array
    weight: jax.Array

    @classmethod
    def create(cls) -> ValueNorm:
        """Returns statistics of nothing, with which normalising changes nothing."""
        return cls(jnp.float32(0), jnp.float32(0), jnp.float32(0))

    def update(self, returns: jax.Array, mask: jax.Array, decay: jax.Array) -> ValueNorm:
        """Returns the statistics with one more batch of returns, where mask is True."""
        mean = masked_mean(returns, mask)
        square = masked_mean(jnp.square(returns), mask)
        new = ValueNorm(
            decay * self.mean + (1.0 - decay) * mean,
            decay * self.square + (1.0 - decay) * square,
            decay * self.weight + (1.0 - decay),
        )
        return jax.tree.map(lambda new, old: jnp.where(jnp.any(mask), new, old), new, self)

    def location_scale(self) -> tuple[jax.Array, jax.Array]:
        """Returns the running mean and deviation; 0 and 1 before the first batch."""
        weight = jnp.maximum(self.weight, 1e-12)
        mean = self.mean / weight
        variance = jnp.maximum(self.square / weight - jnp.square(mean), 1e-4)
        return mean, jnp.where(self.weight > 0, jnp.sqrt(variance), 1.0)

    def normalise(self, values: jax.Array) -> jax.Array:
        """Returns values in units of the critic's output."""
        mean, deviation = self.location_scale()
        return (values - mean) / deviation

    def denormalise(self, outputs: jax.Array) -> jax.Array:
        """Returns the critic's outputs in units of return."""
        mean, deviation = self.location_scale()
        return outputs * deviation + mean


def critic_features(observation: Observation, is_central: bool) -> jax.Array:
    """Returns what the critic slots see: ``[..., 1, S]`` if central, else ``[..., N, O]``."""
    if is_central:
        return observation.global_state[..., None, :]
    return observation.agents_view


def critic_active(observation: Observation, is_central: bool) -> jax.Array:
    """Returns which rows of the critic slots count, ``[..., M]`` bool."""
    if is_central:
        return jnp.any(observation.active, axis=-1, keepdims=True)
    return observation.active


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


def explained_variance(value: jax.Array, returns: jax.Array, mask: jax.Array) -> jax.Array:
    """Returns ``1 - var(returns - value) / var(returns)`` over the rows where mask is True."""

    def variance(x: jax.Array) -> jax.Array:
        return masked_mean(jnp.square(x - masked_mean(x, mask)), mask)

    return 1.0 - variance(returns - value) / jnp.maximum(variance(returns), 1e-8)
