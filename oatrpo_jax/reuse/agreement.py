"""How well another's experience stands in for one's own: errors of policy gradients."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from oatrpo_jax.advantages import divisor
from oatrpo_jax.reuse.experience import Experience, Slots
from oatrpo_jax.reuse.rows import blocks_of, spaced_envs, take_spaced
from oatrpo_jax.types import PyTree

NUM_BLOCKS = 8
"""Parts of a rollout whose gradients are compared, to tell a difference from noise."""


class GradientError(NamedTuple):
    """The error of the gradient that each slot gives, as an estimate of the learner's own.

    Both are squared norms, added up over all parameters; an own slot has no bias.  They are inf
    where fewer than two blocks tell, and NaN where the slot or the learner is.

    Attributes:
        variance: ``[G, N]`` of the slot's gradient, a mean over its rows.
        bias: ``[G, N]`` squared distance between the expected gradients of the slot and of the
            learner's own experience, as far as the noise lets it be seen, at least 0.
    """

    variance: jax.Array
    bias: jax.Array


def gradient_error(
    gradient: Callable[[jax.Array, Slots], PyTree], blocks: Experience, own_share: jax.Array
) -> GradientError:
    """Returns how far each slot's policy gradient is from the learner's own.

    The rows come in K blocks, nearly independent of each other, so that for any mean over them
    ``sum_k |x_k - mean|^2 / (K (K - 1))`` estimates the variance of that mean.  With ``d_k`` the
    difference between the learner's own gradient and the slot's in block k, the expectation of
    ``|mean d|^2`` is the squared bias plus the variance of ``mean d``, which is taken off.  Own and
    other rows share environments and advantages; as differences are taken block by block, noise
    that they have in common cancels.  K counts the blocks in which the slot has active rows, and
    for differences those in which the learner's own experience has some too.

    Args:
        gradient: (learner index, one slot's rows ``[T, E]``) -> gradient of the learner's
            objective.
        blocks: slots are ``[N, K, T, E]``, see `in_blocks`.
        own_share: ``[G, N]`` weights of the slots that make up the learner's own gradient.
    """
    has_rows = jnp.any(blocks.slots.active, axis=(-2, -1))

    def row(learner: jax.Array) -> GradientError:
        rows = blocks.seen_by(learner)
        gradients = jax.vmap(jax.vmap(gradient, (None, 0)), (None, 0))(learner, rows)
        is_own = has_rows & (own_share[learner] > 0)[:, None]
        has_own = jnp.any(is_own, axis=0)
        share = jnp.where(is_own, own_share[learner][:, None], 0.0)
        share /= jnp.where(has_own, jnp.sum(share, axis=0), 1.0)
        own = _masked_sum(jax.tree.map(lambda x: _beside(share, x) * x, gradients), is_own, axis=0)
        difference = jax.tree.map(jnp.subtract, own, gradients)
        gap, noise = _moments(difference, has_rows & has_own)
        _, variance = _moments(gradients, has_rows)
        bias = jnp.where(jnp.isinf(noise), noise, jnp.maximum(gap - noise, 0.0))
        return GradientError(variance, bias)

    return jax.lax.map(row, jnp.arange(len(own_share)))


def _moments(blocks: PyTree, counts: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Returns ``[N]`` squared norms of means over blocks, and the variances of those means.

    Args:
        blocks: leaves ``[N, K, ...]``.
        counts: ``[N, K]`` bool, which blocks count; the variance is inf with fewer than two.
    """
    number = jnp.sum(counts, axis=1)
    total = _masked_sum(blocks, counts, axis=1)
    # The inverse by itself: XLA divides by it, or not, as the program is for one device or several.
    share = 1.0 / divisor(number)
    mean = jax.tree.map(lambda x: x * _beside(share, x), total)
    spread = jax.tree.map(lambda x, mean: jnp.square(x - mean[:, None]), blocks, mean)
    pairs = divisor(number * (number - 1))
    variance = jnp.where(number > 1, _sum(_masked_sum(spread, counts, axis=1)) / pairs, jnp.inf)
    return _sum(jax.tree.map(jnp.square, mean)), variance


def _masked_sum(tree: PyTree, mask: jax.Array, axis: int) -> PyTree:
    """Returns the sum of every leaf ``[N, K, ...]`` over an axis, where the ``[N, K]`` mask is."""
    return jax.tree.map(lambda x: jnp.sum(jnp.where(_beside(mask, x), x, 0.0), axis=axis), tree)


def _sum(tree: PyTree) -> jax.Array:
    """Returns the sum over all but the first axis of all leaves."""
    sums = (jnp.sum(x, axis=range(1, x.ndim)) for x in jax.tree.leaves(tree))
    return sum(sums, jnp.float32(0))


def _beside(x: jax.Array, other: jax.Array) -> jax.Array:
    """Returns an array with as many trailing axes as it takes to broadcast against another."""
    return jnp.expand_dims(x, range(x.ndim, other.ndim))


def in_blocks(experience: Experience, num_rows: int) -> Experience:
    """Returns at most ``num_rows`` rows in blocks: ``[N, T, E] -> [N, K, T, E']``.

    A block is a group of environments, of one at the least, whatever ``num_rows`` is.  Where there
    are fewer environments than blocks, it is a stretch of time as well, unless policies remember
    what went before it.
    """
    slots = experience.slots
    num_groups = min(NUM_BLOCKS, slots.active.shape[-1])
    envs = spaced_envs(slots.active.shape, num_rows, num_groups)
    some, is_cut = jax.vmap(functools.partial(take_spaced, envs=envs)), slots.recall is None
    num_stretches = min(NUM_BLOCKS // num_groups, slots.active.shape[1]) if is_cut else 1
    return experience.arranged(lambda batch: blocks_of(some(batch), num_groups, num_stretches))
