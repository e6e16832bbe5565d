"""Distributions over actions, as algorithms see them."""

from __future__ import annotations

from typing import Protocol, cast

import jax
import jax.numpy as jnp

_ILLEGAL_LOGIT = -1e9
"""Logit of an illegal action: its probability underflows to exactly 0, and no term is infinite."""


class Distribution(Protocol):
    """What the algorithms ask of a distribution over actions; distrax's fulfil it."""

    @property
    def probs(self) -> jax.Array: ...

    def sample(self, *, seed: jax.Array) -> jax.Array: ...

    def mode(self) -> jax.Array: ...

    def log_prob(self, value: jax.Array) -> jax.Array: ...

    def entropy(self) -> jax.Array: ...

    def kl_divergence(self, other_dist: Distribution) -> jax.Array: ...


def mask_logits(logits: jax.Array, action_mask: jax.Array) -> jax.Array:
    """Returns ``[..., A]`` logits, at -1e9 where the mask is False: the action is illegal."""
    return jnp.where(action_mask, logits, _ILLEGAL_LOGIT)


def policy_distribution(logits: jax.Array) -> Distribution:
    """Returns the distribution over actions that an actor's ``[..., A]`` logits stand for."""
    import distrax  # Half of the time that importing this package would take.

    return cast(Distribution, distrax.Categorical(logits=logits))
