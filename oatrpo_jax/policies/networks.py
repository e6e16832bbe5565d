"""The actor's network, and a policy on rows of anybody's experience."""

from __future__ import annotations

import functools
from typing import Protocol

import flax.linen as nn
import jax
import jax.numpy as jnp

from oatrpo_jax.config import Config
from oatrpo_jax.policies.distributions import Distribution, mask_logits, policy_distribution
from oatrpo_jax.policies.initializers import orthogonal
from oatrpo_jax.types import PyTree


class MLP(nn.Module):
    """Hidden layers and a linear head: ``[..., features] -> [..., num_outputs]``."""

    hidden_sizes: tuple[int, ...]
    activation: str
    layer_norm: bool
    num_outputs: int
    head_scale: float

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        activate = {"tanh": nn.tanh, "relu": nn.relu}[self.activation]
        # By default accelerators round factors to 8 or 11 bits; ratios would not start at 1.
        dense = functools.partial(nn.Dense, dtype=jnp.float32, precision=jax.lax.Precision.HIGHEST)
        norm = functools.partial(nn.LayerNorm, dtype=jnp.float32, use_fast_variance=False)
        for size in self.hidden_sizes:
            x = dense(size, kernel_init=orthogonal(2**0.5))(x)
            x = activate(norm()(x) if self.layer_norm else x)
        return dense(self.num_outputs, kernel_init=orthogonal(self.head_scale))(x)


class Actor(nn.Module):
    """Logits of one agent's policy: ``[..., O], [..., A] -> [..., A]``, illegal actions at -1e9."""

    config: Config
    num_actions: int

    @nn.compact
    def __call__(self, agents_view: jax.Array, action_mask: jax.Array) -> jax.Array:
        config = self.config
        logits = MLP(
            config.hidden_sizes, config.activation, config.layer_norm, self.num_actions, 0.01
        )(agents_view)
        return mask_logits(logits, action_mask)


class HasViews(Protocol):
    """Rows that hold what an agent saw and what it was allowed to do."""

    @property
    def agents_view(self) -> jax.Array: ...

    @property
    def action_mask(self) -> jax.Array: ...


def policy_logits(actor: Actor, params: PyTree, rows: HasViews) -> jax.Array:
    """Returns ``[..., A]`` logits of one policy on rows of anybody's experience."""
    return jnp.asarray(actor.apply(params, rows.agents_view, rows.action_mask))


def policy_on(actor: Actor, params: PyTree, rows: HasViews) -> Distribution:
    """Returns one policy's distribution over actions on rows of anybody's experience."""
    return policy_distribution(policy_logits(actor, params, rows))
