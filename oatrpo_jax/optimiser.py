"""Adam, and what it carries along."""

from __future__ import annotations

from typing import NamedTuple

import jax
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
    return optax.chain(
        optax.clip_by_global_norm(max_grad_norm), optax.adam(learning_rate, eps=1e-5)
    )


def adam_init(params: PyTree) -> PyTree:
    """Returns the state of `adam`, which does not depend on its coefficients."""
    return adam(0.0, 1.0).init(params)


def adam_step(
    learning: Learning, grads: PyTree, learning_rate: jax.Array, max_grad_norm: jax.Array
) -> Learning:
    """Returns the network after one step of `adam` down the gradients."""
    optimiser = adam(learning_rate, max_grad_norm)
    updates, opt_state = optimiser.update(grads, learning.opt_state)
    return Learning(optax.apply_updates(learning.params, updates), opt_state)
