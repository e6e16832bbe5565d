"""Distributions over actions, as algorithms see them: one protocol, two families.

What an actor says of each row is an array of *outputs*, ``[..., Z]``: A logits where actions are
discrete, D means and D log deviations where they are continuous.
"""

from __future__ import annotations

from typing import Protocol, Self

import jax
import jax.numpy as jnp

_ILLEGAL_LOGIT = -1e9
"""Logit of an illegal action: its probability underflows to exactly 0, and no term is infinite."""


class Distribution(Protocol):
    """What the algorithms ask of a distribution over actions; arrays have the rows' axes."""

    def sample(self, *, seed: jax.Array) -> jax.Array:
        """Returns an action of each row; consumes the key."""
        ...

    def mode(self) -> jax.Array:
        """Returns the likeliest action of each row."""
        ...

    def log_prob(self, value: jax.Array) -> jax.Array:
        """Returns the log-probability, or log-density, of an action of each row."""
        ...

    def entropy(self) -> jax.Array:
        """Returns the entropy in nats."""
        ...

    def kl_divergence(self, other_dist: Self) -> jax.Array:
        """Returns ``KL(self || other)`` in nats."""
        ...

    def ratio_moment(self, behaviour: Self) -> jax.Array:
        """Returns ``E[w^2]`` of ``w = self(a) / behaviour(a)`` where the behaviour acts."""
        ...

    def fisher_product(self, tangent: jax.Array, weight: jax.Array) -> jax.Array:
        """Returns ``weight x H tangent``.

        H is the Hessian of ``KL(self || other)`` in the outputs of the other, where they are equal.

        Args:
            tangent: ``[..., Z]``.
            weight: ``[...]``.
        """
        ...


def mask_logits(logits: jax.Array, action_mask: jax.Array) -> jax.Array:
    """Returns ``[..., A]`` logits, at -1e9 where the mask is False: the action is illegal."""
    return jnp.where(action_mask, logits, _ILLEGAL_LOGIT)
