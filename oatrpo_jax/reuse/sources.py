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
from oatrpo_jax.reuse.rows import spaced_envs, take_spaced
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
    """The slots that a learner uses, own ones first.

    Attributes:
        slot: position in the order of use -> rows with leading axes ``[T, E]``.
        count: ``[]`` int32, how many positions there are.
    """

    slot: Callable[[jax.Array], Batch]
    count: jax.Array

    @classmethod
    def of(
        cls, slot: Callable[[jax.Array], Batch], used: jax.Array, own: jax.Array | None = None
    ) -> Sources[Batch]:
        """Returns the slots that are used, in their order but for own ones, which come first.

        Args:
            slot: number of a slot -> its rows.
            used: ``[N]`` bool.
            own: ``[N]`` bool, some of those; None for all.
        """
        order = jnp.argsort(~used if own is None else jnp.where(own, 0, jnp.where(used, 1, 2)))
        return cls(lambda position: slot(order[position]), jnp.sum(used))

    @property
    def num_envs(self) -> int:
        """E, of every slot."""
        return jax.tree.leaves(jax.eval_shape(self.slot, jnp.int32(0)))[0].shape[1]


DrawSources = Callable[[jax.Array], Sources[PolicyBatch]]
"""key -> the sources of one pass: the same each time, or with rows drawn afresh."""

PrepareOthers = Callable[[Slots, jax.Array], Slots]
"""(slots ``[N, T, E]``, ``[N]`` bool the others' that are used) -> what the step is to see."""


def as_recorded(slots: Slots, others: jax.Array) -> Slots:
    """Returns the slots as they are."""
    return slots


Estimator = Callable[[Slots, jax.Array, jax.Array, PrepareOthers], DrawSources]
"""(all recorded experience, ``[N]`` the learner's row of the reuse matrix, ``[N]`` bool the slots
of the agents that act with its policy, what becomes of others' slots) -> how it gets sources."""


def make_sources(slots: Slots, weights: jax.Array, own: jax.Array) -> Sources[PolicyBatch]:
    """Returns the sources of one learner.

    Args:
        slots: all recorded experience.
        weights: ``[N]`` the learner's row of the reuse matrix.
        own: ``[N]`` bool, the slots of the agents that act with the learner's policy.
    """
    num_active, own_weights = _num_active(slots), _own_weights(own)

    def slot(index: jax.Array) -> PolicyBatch:
        rows = jax.tree.map(lambda x: x[index], slots)
        share = rows.active.astype(jnp.float32) / num_active[index]
        return PolicyBatch(rows, weights[index] * share, own_weights[index] * share)

    return Sources.of(slot, own | (weights > 0), own)


def slot_drawer(
    slots: Slots, weights: jax.Array, own: jax.Array
) -> Callable[[jax.Array], PolicyBatch]:
    """Returns what draws a slot by a key: each of its rows from a source in proportion to weights.

    Where policies remember, a source is drawn for every environment, of which it has all rows.

    Args:
        slots: all recorded experience.
        weights: ``[N]``, 0 and up; that they are all 0 makes rows of weight 0.
        own: ``[N]`` bool, the slots of the agents that act with the learner's policy.
    """
    length, num_envs = slots.active.shape[1:]
    shape = (length if slots.recall is None else 1), num_envs
    num_active, total = _num_active(slots), jnp.sum(weights)
    own_weights = total * _own_weights(own) / jnp.where(weights > 0, weights, jnp.inf)

    def draw(key: jax.Array) -> PolicyBatch:
        # By one number a row: `jax.random.categorical` takes one for each source.
        source = jax.random.choice(key, len(weights), shape, p=weights)

        def pick(x: jax.Array) -> jax.Array:
            index = source.reshape(1, *shape, *([1] * (x.ndim - 3)))
            return jnp.take_along_axis(x, index, axis=0, mode="clip")[0]

        rows = jax.tree.map(pick, slots)
        share = rows.active.astype(jnp.float32) / num_active[source]
        return PolicyBatch(rows, total * share, own_weights[source] * share)

    return draw


def _num_active(slots: Slots) -> jax.Array:
    """Returns ``[N]`` numbers of active rows; 1 where there is none."""
    return divisor(jnp.sum(slots.active, axis=(1, 2)))


def _own_weights(own: jax.Array) -> jax.Array:
    """Returns ``[N]`` weights that spread evenly over own slots."""
    return jnp.where(own, 1.0 / divisor(jnp.sum(own)), 0.0)


def weighted_sources(
    slots: Slots, weights: jax.Array, own: jax.Array, prepare: PrepareOthers
) -> DrawSources:
    """Returns all sources, whatever the key; the arguments are those of an `Estimator`."""
    sources = make_sources(prepare(slots, (weights > 0) & ~own), weights, own)
    return lambda key: sources


def sampled_sources(
    slots: Slots, weights: jax.Array, own: jax.Array, prepare: PrepareOthers
) -> DrawSources:
    """Returns one slot, whose every row is drawn; the arguments are those of an `Estimator`.

    Its weighted sum is an unbiased estimate of the sum over all sources, at the price of one.
    The entropy bonus too, unless the learner's own slots have weight 0 and are never drawn.
    """
    draw_slot = slot_drawer(prepare(slots, (weights > 0) & ~own), weights, own)

    def draw(key: jax.Array) -> Sources[PolicyBatch]:
        drawn = draw_slot(key)
        return Sources(lambda position: drawn, jnp.int32(1))

    return draw


def paired_sources(
    slots: Slots, weights: jax.Array, own: jax.Array, prepare: PrepareOthers
) -> DrawSources:
    """Returns own slots, whole, and one whose rows are drawn among the others'.

    The weighted sum is an unbiased estimate of the sum over all sources, at the price of one more
    slot than the learner's own.  It is that sum where at most one other is used, and then costs
    what that costs.  The arguments are those of an `Estimator`.
    """
    whole = make_sources(slots, jnp.where(own, weights, 0.0), own)
    others = jnp.where(own, 0.0, weights)
    draw_slot, has_others = slot_drawer(slots, others, own), jnp.any(others > 0)

    def drawn_slot(key: jax.Array) -> PolicyBatch:
        batch = draw_slot(key)
        rows = prepare(jax.tree.map(lambda x: x[None], batch.rows), jnp.ones(1, bool))
        return batch._replace(rows=jax.tree.map(lambda x: x[0], rows))

    def draw(key: jax.Array) -> Sources[PolicyBatch]:
        drawn = jax.lax.cond(has_others, drawn_slot, lambda key: _zeros(drawn_slot, key), key)

        def slot(position: jax.Array) -> PolicyBatch:
            return jax.lax.cond(position < whole.count, whole.slot, lambda _: drawn, position)

        return Sources(slot, whole.count + has_others.astype(whole.count.dtype))

    return draw


ESTIMATORS: dict[str, Estimator] = {
    "weighted": weighted_sources,
    "paired": paired_sources,
    "sampled": sampled_sources,
    "mapping": weighted_sources,
}
"""By the config's name; for `mapping` the weights are one-hot, see `draw_mapping`."""


Total = TypeVar("Total", bound=PyTree)


def fold_sources(function: Callable[[Batch], Total], sources: Sources[Batch]) -> Total:
    """Returns the sum of ``function`` over the slots used.

    The number of slots is a traced value: only as many are visited as are used.
    """

    def visit(position: jax.Array, total: Total) -> Total:
        return jax.tree.map(jnp.add, total, function(sources.slot(position)))

    zeros = _zeros(lambda: function(sources.slot(jnp.int32(0))))
    return jax.lax.fori_loop(0, sources.count, visit, zeros)


def _zeros(function: Callable[..., Total], *args: jax.Array) -> Total:
    """Returns zeros in the place of what a function would return."""
    return jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), jax.eval_shape(function, *args))


def thin_sources(sources: Sources[PolicyBatch], num_rows: int) -> Sources[PolicyBatch]:
    """Returns sequences of at most ``num_rows`` rows of each slot, which weigh as much as all did.

    A slot that has no row of any weight among them weighs nothing.
    """

    def rescaled(all_: jax.Array, some: jax.Array) -> jax.Array:
        left = jnp.sum(some)
        return some * jnp.where(left > 0, jnp.sum(all_) / jnp.maximum(left, TINY), 0.0)

    def slot(position: jax.Array) -> PolicyBatch:
        batch = sources.slot(position)
        some = take_spaced(batch, spaced_envs(batch.policy_weight.shape, num_rows))
        return some._replace(
            policy_weight=rescaled(batch.policy_weight, some.policy_weight),
            own_weight=rescaled(batch.own_weight, some.own_weight),
        )

    return sources._replace(slot=slot)
