"""Adam, and what it carries along."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from oatrpo_jax.types import PyTree


class Learning(NamedTuple):
    """What one network carries through its updates."""

    params: PyTree
    opt_state: PyTree


def adam(
    learning_rate: jax.Array | float, max_grad_norm: jax.Array | float
) -> optax.GradientTransformation:
    """Returns Adam behind a clip to the global norm; made where used, as both may be traced."""
    return optax.chain(clip_to_norm(max_grad_norm), optax.adam(learning_rate, eps=1e-5))


def clip_to_norm(max_norm: jax.Array | float) -> optax.GradientTransformation:
    """Returns ``optax.clip_by_global_norm`` without the 0 / 0 that it makes of a zero gradient."""

    def clip(grads: PyTree, _: PyTree) -> PyTree:
        norm = jnp.asarray(optax.tree.norm(grads))
        fits = norm < max_norm
        divisor = jnp.where(fits, 1.0, norm)
        return jax.tree.map(lambda x: jnp.where(fits, x, x / divisor * max_norm), grads)

    return optax.stateless(clip)


def adam_init(params: PyTree) -> PyTree:
    """Returns the state of `adam`, which does not depend on its coefficients."""
    return adam(0.0, 1.0).init(params)


def adam_step(
    learning: Learning, grads: PyTree, learning_rate: jax.Array, max_grad_norm: jax.Array
) -> Learning:
    """Returns the network after one step of `adam` down the gradients."""
    return descend(adam(learning_rate, max_grad_norm), learning, grads)


def descend(optimiser: optax.GradientTransformation, learning: Learning, grads: PyTree) -> Learning:
    """Returns the network after one step of any optimiser down the gradients."""
    # Optax raises coefficients to whole numbers, which strict rules of promotion refuse.
    with jax.numpy_dtype_promotion("standard"):
        updates, opt_state = optimiser.update(grads, learning.opt_state)
    return Learning(optax.apply_updates(learning.params, updates), opt_state)
