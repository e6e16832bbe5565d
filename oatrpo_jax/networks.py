"""Actor and critic networks, and the masked distribution over actions."""

from __future__ import annotations

from typing import Protocol, cast

import flax.linen as nn
import jax
import jax.numpy as jnp

from oatrpo_jax.config import Config
from oatrpo_jax.initializers import orthogonal
from oatrpo_jax.types import PyTree

_ILLEGAL_LOGIT = -1e9
"""Logit of an illegal action: its probability underflows to exactly 0, and no term is infinite."""


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
        for size in self.hidden_sizes:
            x = nn.Dense(size, kernel_init=orthogonal(2**0.5))(x)
            x = activate(nn.LayerNorm()(x) if self.layer_norm else x)
        return nn.Dense(self.num_outputs, kernel_init=orthogonal(self.head_scale))(x)


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
        return jnp.where(action_mask, logits, _ILLEGAL_LOGIT)


class Critic(nn.Module):
    """Values, standardised where the config says so: ``[..., features] -> [...]``."""

    config: Config

    @nn.compact
    def __call__(self, features: jax.Array) -> jax.Array:
        config = self.config
        values = MLP(config.hidden_sizes, config.activation, config.layer_norm, 1, 1.0)(features)
        return values[..., 0]


class Policy(Protocol):
    """What the algorithms ask of a distribution over actions; distrax's fulfil it."""

    @property
    def probs(self) -> jax.Array: ...

    def sample(self, *, seed: jax.Array) -> jax.Array: ...

    def mode(self) -> jax.Array: ...

    def log_prob(self, value: jax.Array) -> jax.Array: ...

    def entropy(self) -> jax.Array: ...

    def kl_divergence(self, other_dist: Policy) -> jax.Array: ...


def policy_distribution(logits: jax.Array) -> Policy:
    """Returns the distribution over actions that an actor's ``[..., A]`` logits stand for."""
    import distrax  # Half of the time that importing this package would take.

    return cast(Policy, distrax.Categorical(logits=logits))


class HasViews(Protocol):
    """Rows that hold what an agent saw and what it was allowed to do."""

    @property
    def agents_view(self) -> jax.Array: ...

    @property
    def action_mask(self) -> jax.Array: ...


def policy_logits(actor: Actor, params: PyTree, rows: HasViews) -> jax.Array:
    """Returns ``[..., A]`` logits of one policy on rows of anybody's experience."""
    return jnp.asarray(actor.apply(params, rows.agents_view, rows.action_mask))
