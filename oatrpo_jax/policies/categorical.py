"""The distribution over discrete actions: distrax's, and what trust regions and reuse need."""

from __future__ import annotations

import distrax
import jax
import jax.numpy as jnp

from oatrpo_jax.ranges import TINY


class Categorical(distrax.Categorical):
    """One of A actions by logits ``[..., A]``; a `Distribution`."""

    def ratio_moment(self, behaviour: Categorical) -> jax.Array:
        """Returns ``sum_a self(a)^2 / behaviour(a)``.

        It is taken over all actions, and not over those drawn, which cannot show that probable ones
        are missing.
        """
        moment = jnp.square(self.probs) / jnp.maximum(behaviour.probs, TINY)
        return jnp.sum(moment, axis=-1)

    def fisher_product(self, tangent: jax.Array, weight: jax.Array) -> jax.Array:
        """Returns ``weight x (diag(p) - p p') tangent``."""
        mean = jnp.sum(self.probs * tangent, axis=-1, keepdims=True)
        return weight[..., None] * self.probs * (tangent - mean)
