"""The networks of actors and critics: hidden layers, a memory where there is one, a linear head."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp

from oatrpo_jax.policies.distributions import mask_logits
from oatrpo_jax.policies.gaussian import mask_gaussian
from oatrpo_jax.policies.initializers import orthogonal
from oatrpo_jax.policies.layers import Layers, dense
from oatrpo_jax.policies.memory import GRU

HEAD_SCALE = 0.01
"""Of the actor's last layer: all policies begin alike, near uniform ones or means of 0."""


class MLP(nn.Module):
    """Hidden layers and a linear head: ``[..., features] -> [..., num_outputs]``."""

    layers: Layers
    num_outputs: int
    head_scale: float

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        x = self.layers(x)
        return dense(self.num_outputs, kernel_init=orthogonal(self.head_scale))(x)


class Actor(nn.Module):
    """One agent's policy: views and masks to outputs, see `distributions`.

    Without a memory it is ``[..., O], [..., A] -> [..., Z], None``.  With one, which lies between
    hidden layers and head, there is a leading axis of time:
    ``[T, ..., O], [T, ..., A], ([..., H], [T, ...]) -> [T, ..., Z], [..., H]``.  Of the past, the
    memory before the first step and where episodes ended (see `GRU`), it makes that after the last.

    Attributes:
        layers: the hidden ones.
        memory_size: H; 0 for no memory.
        num_actions: A; D where actions are continuous.
        is_continuous: whether an action is a vector ``[D]`` of real numbers, not one of A.
        initial_log_std: logarithm of the deviations with which continuous actions start.
    """

    layers: Layers
    memory_size: int
    num_actions: int
    is_continuous: bool
    initial_log_std: float

    @nn.compact
    def __call__(
        self,
        agents_view: jax.Array,
        action_mask: jax.Array,
        past: tuple[jax.Array, jax.Array] | None = None,
    ) -> tuple[jax.Array, jax.Array | None]:
        if past is None:
            head = MLP(self.layers, self.num_actions, HEAD_SCALE)(agents_view)
            return self._outputs(head, action_mask), None
        x, memory = GRU(self.memory_size)(self.layers(agents_view), *past)
        head = dense(self.num_actions, kernel_init=orthogonal(HEAD_SCALE))(x)
        return self._outputs(head, action_mask), memory

    def _outputs(self, head: jax.Array, action_mask: jax.Array) -> jax.Array:
        """Returns ``[..., Z]`` outputs of ``[..., A]`` heads: logits, or means of a Gaussian.

        The Gaussian's deviations are parameters, and the same whatever an agent sees.
        """
        if not self.is_continuous:
            return mask_logits(head, action_mask)
        start = nn.initializers.constant(self.initial_log_std)
        log_std = self.param("log_std", start, (self.num_actions,), jnp.float32)
        return mask_gaussian(head, log_std, action_mask)
