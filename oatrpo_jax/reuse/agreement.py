"""How well another's experience stands in for one's own: errors of policy gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from oatrpo_jax.reuse.experience import Slots
from oatrpo_jax.types import PyTree

NUM_BLOCKS = 8
"""Parts of a rollout whose gradients are compared, to tell a difference from noise."""


class GradientError(NamedTuple):
    """The error of the gradient that each slot gives, as an estimate of the learner's own.

    Both are squared norms, added up over all parameters; an own slot has no bias.

    Attributes:
        variance: ``[G, N]`` of the slot's gradient, a mean over its rows.
        bias: ``[G, N]`` squared distance between the expected gradients of the slot and of the
            learner's own experience, as far as the noise lets it be seen, at least 0.
    """

    variance: jax.Array
    bias: jax.Array


def gradient_error(
    gradient: Callable[[jax.Array, Slots], PyTree], rows: Slots, own_share: jax.Array
) -> GradientError:
    """Returns how far each slot's policy gradient is from the learner's own.

    The rows come in K blocks, nearly independent of each other, so that for any mean over them
    ``sum_k |x_k - mean|^2 / (K (K - 1))`` estimates the variance of that mean.  With ``d_k`` the
    difference between the learner's own gradient and the slot's in block k, the expectation of
    ``|mean d|^2`` is the squared bias plus the variance of ``mean d``, which is taken off.  Own and
    other rows share environments and advantages; as differences are taken block by block, noise
    that they have in common cancels.

    Args:
        gradient: (learner index, rows ``[R]`` of one slot) -> gradient of the learner's objective.
        rows: ``[N, K, R]``, see `block_rows`.
        own_share: ``[G, N]`` weights of the slots that make up the learner's own gradient.
    """
    num_blocks = rows.active.shape[1]
    pairs = max(num_blocks * (num_blocks - 1), 1)

    def squared_norm(tree: PyTree, axes: int) -> jax.Array:
        """Returns the sum of squares over all but the first axes of every leaf."""
        sums = (jnp.sum(jnp.square(x), axis=range(axes, x.ndim)) for x in jax.tree.leaves(tree))
        return sum(sums, jnp.float32(0))

    def moments(blocks: PyTree) -> tuple[jax.Array, jax.Array]:
        """Returns ``[N]`` squared norm of the mean over blocks, and the variance of that mean."""
        mean = jax.tree.map(lambda x: jnp.mean(x, axis=1, keepdims=True), blocks)
        spread = squared_norm(jax.tree.map(jnp.subtract, blocks, mean), 1)
        return squared_norm(mean, 1), spread / pairs

    def row(learner: jax.Array) -> GradientError:
        blocks = jax.vmap(jax.vmap(gradient, (None, 0)), (None, 0))(learner, rows)
        share, exact = own_share[learner], jax.lax.Precision.HIGHEST
        own = jax.tree.map(lambda x: jnp.tensordot(share, x, 1, precision=exact), blocks)
        difference = jax.tree.map(lambda mine, all_: mine - all_, own, blocks)
        gap, noise = moments(difference)
        _, variance = moments(blocks)
        return GradientError(variance, jnp.maximum(gap - noise, 0.0))

    return jax.lax.map(row, jnp.arange(len(own_share)))


def block_rows(slots: Slots, num_rows: int) -> Slots:
    """Returns at most about ``num_rows`` rows of each slot in blocks: ``[N, T, E] -> [N, K, R]``.

    Evenly spaced steps are taken of all environments.  A block is a group of environments, or a
    stretch of time where there are fewer environments than blocks; rows left over are dropped.
    """
    _, length, num_envs = slots.active.shape
    num_steps = max(1, min(length, num_rows // num_envs))
    steps = np.linspace(0, length - 1, num_steps).round().astype(int)
    num_blocks = min(NUM_BLOCKS, num_steps * num_envs)
    size = num_steps * num_envs // num_blocks

    def split(x: jax.Array) -> jax.Array:
        by_env = jnp.moveaxis(x[:, steps], 2, 1)
        flat = by_env.reshape(len(x), num_steps * num_envs, *x.shape[3:])
        return flat[:, : num_blocks * size].reshape(len(x), num_blocks, size, *x.shape[3:])

    return jax.tree.map(split, slots)
