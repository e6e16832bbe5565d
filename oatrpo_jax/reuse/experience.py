"""Experience as a learner reads it: slots in the order of use, each row with its weights.

A local step never knows whose experience it sees, nor whether agents are updated in turn.  It
adds a function up over the slots with `fold_sources`; a slot that the learner does not use costs
nothing, so that with weights = identity the same code is HAPPO at HAPPO's price.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from oatrpo_jax.advantages import divisor, normalise
from oatrpo_jax.ranges import TINY
from oatrpo_jax.types import PyTree, Transition

PerLearner = Callable[[jax.Array], jax.Array]
"""Number of a learner -> something about every row, ``[N, T, E]``."""


class Slots(NamedTuple):
    """What each agent recorded in one rollout; every field has leading axes ``[N, T, E]``.

    Attributes:
        agents_view: ``[..., O]``.
        action_mask: ``[..., A]``.
        action: ``[...]`` int32.
        log_prob: ``[...]`` log mu(action), mu = the agent's policy during the rollout.
        logits: ``[..., A]`` logits of mu.
        advantage: ``[...]`` normalised joint advantage, the same for all agents under a central
            critic; times the compound ratio once a learner has its turn.
        active: ``[...]`` bool, False where the agent's action did not matter.
    """

    agents_view: jax.Array
    action_mask: jax.Array
    action: jax.Array
    log_prob: jax.Array
    logits: jax.Array
    advantage: jax.Array
    active: jax.Array


def make_slots(trajectory: Transition, logits: jax.Array, advantage: jax.Array) -> Slots:
    """Returns a trajectory by agent, ``[N, T, E]``, with normalised advantages.

    Args:
        trajectory: a Transition with leading axes ``[T, E]``.
        logits: ``[T, E, N, A]`` logits of the policies that acted.
        advantage: ``[T, E, 1]``, or ``[T, E, N]`` if each agent has its own.
    """
    seen = trajectory.observation
    each = jnp.broadcast_to(advantage, trajectory.action.shape)
    slots = Slots(
        agents_view=seen.active_views,
        action_mask=seen.action_mask,
        action=trajectory.action,
        log_prob=trajectory.log_prob,
        logits=logits,
        advantage=normalise(each, seen.active),
        active=seen.active,
    )
    return jax.tree.map(lambda x: jnp.moveaxis(x, 2, 0), slots)


class Experience(NamedTuple):
    """One rollout of the whole team.

    Attributes:
        slots: what each agent recorded, ``[N, T, E]``.
        own: ``[G, N]`` bool, the slots of the agents that act with each policy.
        advantage_of: the slots' advantages as each learner judges them; None where all agree.
    """

    slots: Slots
    own: jax.Array
    advantage_of: PerLearner | None = None

    def judged_by(self, learner: jax.Array) -> Slots:
        """Returns the slots with the advantages that one learner sees in them."""
        if self.advantage_of is None:
            return self.slots
        return self.slots._replace(advantage=self.advantage_of(learner))


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

    Its weighted sum is an unbiased estimate of the sum over all sources, at the price of one.
    The entropy bonus too, unless the learner's own slots have weight 0 and are never drawn.

    Args:
        key: consumed.
        sources: what to draw from.
        weights: ``[N]`` the learner's row of the reuse matrix.
    """
    shape = sources.batch.policy_weight.shape[1:]
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


def subsample_rows(batch: Batch, num_rows: int) -> Batch:
    """Returns at most ``num_rows`` evenly spaced rows of each slot: ``[N, T, E] -> [N, R]``."""

    def pick(x: jax.Array) -> jax.Array:
        flat = x.reshape(len(x), -1, *x.shape[3:])
        total = flat.shape[1]
        rows = np.linspace(0, total - 1, min(num_rows, total)).round().astype(int)
        return flat[:, rows]

    return jax.tree.map(pick, batch)


def thin_sources(sources: Sources[PolicyBatch], num_rows: int) -> Sources[PolicyBatch]:
    """Returns at most ``num_rows`` rows of each slot, which together weigh as much as all did.

    A slot that has no row of any weight among them weighs nothing.
    """
    some = subsample_rows(sources.batch, num_rows)

    def rescaled(all_: jax.Array, some: jax.Array) -> jax.Array:
        total = jnp.sum(all_, axis=(1, 2))
        left = jnp.sum(some, axis=1)
        return some * jnp.where(left > 0, total / jnp.maximum(left, TINY), 0.0)[:, None]

    return sources._replace(
        batch=some._replace(
            policy_weight=rescaled(sources.batch.policy_weight, some.policy_weight),
            own_weight=rescaled(sources.batch.own_weight, some.own_weight),
        )
    )


def take_envs(batch: Batch, envs: jax.Array | None) -> Batch:
    """Returns the rows ``[T, E', ...]`` of some environments; all of them for None."""
    return batch if envs is None else jax.tree.map(lambda x: x[:, envs], batch)


def minibatch_envs(key: jax.Array, num_envs: int, num_minibatches: int) -> jax.Array | None:
    """Returns ``[num_minibatches, E / num_minibatches]`` shuffled environments; None for one.

    Raises:
        ValueError: if the minibatches cannot be of equal size.
    """
    if num_envs % num_minibatches:
        raise ValueError(
            f"num_minibatches = {num_minibatches} does not divide the {num_envs} environments of "
            "the trajectory; choose a divisor"
        )
    if num_minibatches == 1:
        return None
    return jax.random.permutation(key, num_envs).reshape(num_minibatches, -1)
