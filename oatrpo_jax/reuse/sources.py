"""The slots that a learner uses, in the order of use, each row with its weights.

A local step never knows whose experience it sees, nor whether agents are updated in turn.  It
adds a function up over the slots with `fold_sources`; a slot that the learner does not use costs
nothing, so that with weights = identity the same code is HAPPO at HAPPO's price.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

import jax
import jax.numpy as jnp

from oatrpo_jax.advantages import divisor
from oatrpo_jax.ranges import TINY
from oatrpo_jax.reuse.experience import Slots
from oatrpo_jax.reuse.rows import spaced_envs, subsample_envs
from oatrpo_jax.types import PyTree


class PolicyBatch(NamedTuple):
    """Rows of one slot, weighted for one learner; fields have leading axes ``[T, E]``.

    Attributes:
        rows: the recorded experience.
        policy_weight: ``[T, E]``; summing weight x loss gives M[g, n] x (mean over active rows).
        own_weight: ``[T, E]``; sums to 1 over all rows of the learner's own slots, 0 elsewhere.
    """

    rows: Slots
    policy_weight: jax.Array
    own_weight: jax.Array


Batch = TypeVar("Batch", bound=PyTree)


class Sources(NamedTuple, Generic[Batch]):
    """The slots that a learner uses.

    Attributes:
        batch: rows with leading axes ``[N, T, E]``.
        order: ``[N]`` int32, slots in the order of use: own ones, then the admitted ones.
        count: ``[]`` int32, how many of them are used.
    """

    batch: Batch
    order: jax.Array
    count: jax.Array


def make_sources(slots: Slots, weights: jax.Array, own: jax.Array) -> Sources[PolicyBatch]:
    """Returns the sources of one learner.

    Args:
        slots: all recorded experience.
        weights: ``[N]`` the learner's row of the reuse matrix.
        own: ``[N]`` bool, the slots of the agents that act with the learner's policy.
    """
    num_active = jnp.sum(slots.active, axis=(1, 2), keepdims=True)
    share = slots.active.astype(jnp.float32) / divisor(num_active)
    own_share = jnp.where(own, 1.0 / divisor(jnp.sum(own)), 0.0)
    batch = PolicyBatch(
        rows=slots,
        policy_weight=weights[:, None, None] * share,
        own_weight=own_share[:, None, None] * share,
    )
    used = own | (weights > 0)
    order = jnp.argsort(jnp.where(own, 0, jnp.where(used, 1, 2)))
    return Sources(batch, order, jnp.sum(used))


def sample_sources(
    key: jax.Array, sources: Sources[PolicyBatch], weights: jax.Array
) -> Sources[PolicyBatch]:
    """Returns one slot whose every row comes from a source drawn with probability ``weights``.

    Where policies remember, a source is drawn for every environment, of which it has all rows.

    Its weighted sum is an unbiased estimate of the sum over all sources, at the price of one.
    The entropy bonus too, unless the learner's own slots have weight 0 and are never drawn.

    Args:
        key: consumed.
        sources: what to draw from.
        weights: ``[N]`` the learner's row of the reuse matrix.
    """
    length, num_envs = sources.batch.policy_weight.shape[1:]
    shape = (length if sources.batch.rows.recall is None else 1), num_envs
    drawn = jax.random.categorical(key, jnp.log(weights), shape=shape)
    probability = jnp.maximum(weights, jnp.finfo(weights.dtype).tiny)[:, None, None]
    unbiased = sources.batch._replace(
        policy_weight=sources.batch.policy_weight / probability,
        own_weight=sources.batch.own_weight / probability,
    )

    def pick(x: jax.Array) -> jax.Array:
        index = drawn.reshape(1, *shape, *([1] * (x.ndim - 3)))
        return jnp.take_along_axis(x, index, axis=0)

    return Sources(jax.tree.map(pick, unbiased), jnp.zeros(1, jnp.int32), jnp.int32(1))


Total = TypeVar("Total", bound=PyTree)


def add_trees(left: Total, right: Total) -> Total:
    """Returns the leaf-wise sum."""
    return jax.tree.map(jnp.add, left, right)


def fold_sources(
    function: Callable[[Batch], Total],
    sources: Sources[Batch],
    combine: Callable[[Total, Total], Total] = add_trees,
) -> Total:
    """Returns ``function`` of each used slot, combined, starting from zeros.

    The number of slots is a traced value: only as many are visited as are used.
    """

    def visit(position: jax.Array, total: Total) -> Total:
        slot = sources.order[position]
        return combine(total, function(jax.tree.map(lambda x: x[slot], sources.batch)))

    shapes = jax.eval_shape(lambda: function(jax.tree.map(lambda x: x[0], sources.batch)))
    zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
    return jax.lax.fori_loop(0, sources.count, visit, zeros)


def thin_sources(sources: Sources[PolicyBatch], num_rows: int) -> Sources[PolicyBatch]:
    """Returns sequences of at most ``num_rows`` rows of each slot, which weigh as much as all did.

    A slot that has no row of any weight among them weighs nothing.
    """
    envs = spaced_envs(sources.batch.policy_weight.shape, num_rows)
    some = subsample_envs(sources.batch, envs)

    def rescaled(all_: jax.Array, some: jax.Array) -> jax.Array:
        total = jnp.sum(all_, axis=(1, 2))
        left = jnp.sum(some, axis=(1, 2))
        return some * jnp.where(left > 0, total / jnp.maximum(left, TINY), 0.0)[:, None, None]

    return sources._replace(
        batch=some._replace(
            policy_weight=rescaled(sources.batch.policy_weight, some.policy_weight),
            own_weight=rescaled(sources.batch.own_weight, some.own_weight),
        )
    )
