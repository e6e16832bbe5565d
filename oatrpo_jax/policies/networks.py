"""The networks of actors and critics: hidden layers, a memory where there is one, a linear head."""

from __future__ import annotations

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp

from oatrpo_jax.config import Config
from oatrpo_jax.policies.distributions import mask_logits
from oatrpo_jax.policies.gaussian import mask_gaussian
from oatrpo_jax.policies.initializers import orthogonal
from oatrpo_jax.policies.layers import dense
from oatrpo_jax.policies.memory import GRU

HEAD_SCALE = 0.01
"""Of the actor's last layer: all policies begin alike, near uniform ones or means of 0."""


def hidden_layers(
    x: jax.Array, sizes: tuple[int, ...], activation: str, layer_norm: bool
) -> jax.Array:
    """Returns ``[..., sizes[-1]]`` features; called inside a module, whose layers they are."""
    activate = {"tanh": nn.tanh, "relu": nn.relu}[activation]
    norm = functools.partial(nn.LayerNorm, dtype=jnp.float32, use_fast_variance=False)
    for size in sizes:
        x = dense(size, kernel_init=orthogonal(2**0.5))(x)
        x = activate(norm()(x) if layer_norm else x)
    return x


class MLP(nn.Module):
    """Hidden layers and a linear head: ``[..., features] -> [..., num_outputs]``."""

    hidden_sizes: tuple[int, ...]
    activation: str
    layer_norm: bool
    num_outputs: int
    head_scale: float

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        x = hidden_layers(x, self.hidden_sizes, self.activation, self.layer_norm)
        return dense(self.num_outputs, kernel_init=orthogonal(self.head_scale))(x)


class _ActorBase(nn.Module):
    """What actors have in common.

    Attributes:
        config: says how the network is built.
        num_actions: A; D where actions are continuous.
        is_continuous: whether actions are vectors of real numbers.
    """

    config: Config
    num_actions: int
    is_continuous: bool

    def outputs(self, head: jax.Array, action_mask: jax.Array) -> jax.Array:
        """Returns ``[..., Z]`` outputs of ``[..., A]`` heads: logits, or means of a Gaussian.

        The Gaussian's deviations are parameters, and the same whatever an agent sees.
        """
        if not self.is_continuous:
            return mask_logits(head, action_mask)
        start = nn.initializers.constant(self.config.initial_log_std)
        log_std = self.param("log_std", start, (self.num_actions,), jnp.float32)
        return mask_gaussian(head, log_std, action_mask)


class Actor(_ActorBase):
    """One agent's policy: ``[..., O], [..., A] -> [..., Z]``, see `distributions`."""

    @nn.compact
    def __call__(self, agents_view: jax.Array, action_mask: jax.Array) -> jax.Array:
        config = self.config
        sizes, num_actions = config.hidden_sizes, self.num_actions
        mlp = MLP(sizes, config.activation, config.layer_norm, num_actions, HEAD_SCALE)
        return self.outputs(mlp(agents_view), action_mask)


class RecurrentActor(_ActorBase):
    """The same with a memory between hidden layers and head, along a leading axis of time.

    ``[T, ..., O], [T, ..., A], [..., H], [T, ...] -> [T, ..., Z], [..., H]``: of the memory before
    the first step it makes that after the last; for ``ended`` see `GRU`.
    """

    @nn.compact
    def __call__(
        self, agents_view: jax.Array, action_mask: jax.Array, memory: jax.Array, ended: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        config = self.config
        x = hidden_layers(agents_view, config.hidden_sizes, config.activation, config.layer_norm)
        x, memory = GRU(config.memory_size)(x, memory, ended)
        head = dense(self.num_actions, kernel_init=orthogonal(HEAD_SCALE))(x)
        return self.outputs(head, action_mask), memory
