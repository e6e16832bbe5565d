"""Experience: what each agent recorded in a rollout, and what each learner makes of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from oatrpo_jax.advantages import normalise
from oatrpo_jax.policies.acting import recall_rollout
from oatrpo_jax.policies.memory import Recall
from oatrpo_jax.policies.policy import Policy
from oatrpo_jax.types import PyTree, Transition

PerLearner = Callable[[jax.Array], jax.Array]
"""Number of a learner -> something about every row, ``[N, T, E]``."""


class Slots(NamedTuple):
    """What each agent recorded in one rollout; every field has leading axes ``[N, T, E]``.

    Attributes:
        agents_view: ``[..., O]``.
        action_mask: ``[..., A]``.
        action: ``[...]`` int32, or ``[..., D]`` float32.
        log_prob: ``[...]`` log mu(action), mu = the agent's policy during the rollout.
        advantage: ``[...]`` normalised joint advantage, the same for all agents under a central
            critic; times the compound ratio once a learner has its turn.
        active: ``[...]`` bool, False where the agent's action did not matter.
        recall: what whoever reads the rows would remember; None where policies remember nothing.
    """

    agents_view: jax.Array
    action_mask: jax.Array
    action: jax.Array
    log_prob: jax.Array
    advantage: jax.Array
    active: jax.Array
    recall: Recall | None = None


def by_agent(x: jax.Array) -> jax.Array:
    """Returns ``[N, T, E, ...]`` of ``[T, E, N, ...]``."""
    return jnp.moveaxis(x, 2, 0)


class Experience(NamedTuple):
    """One rollout of the whole team.

    Attributes:
        slots: what each agent recorded, ``[N, T, E]``.
        own: ``[G, N]`` bool, the slots of the agents that act with each policy.
        advantage_of: the slots' advantages as each learner judges them; None where all agree.
        memories: ``[G, N, 1, E, H]`` what each learner would have remembered before the first row,
            had it seen what agents saw; None where it is not asked about others' slots.
    """

    slots: Slots
    own: jax.Array
    advantage_of: PerLearner | None = None
    memories: jax.Array | None = None

    def seen_by(self, learner: jax.Array) -> Slots:
        """Returns the slots with what one learner judges and remembers by itself."""
        slots = self.slots
        if self.advantage_of is not None:
            slots = slots._replace(advantage=self.advantage_of(learner))
        if self.memories is not None and slots.recall is not None:  # Both or none.
            recall = slots.recall._replace(memory=self.memories[learner])
            slots = slots._replace(recall=recall)
        return slots

    def arranged(self, change: Callable[[PyTree], PyTree]) -> Experience:
        """Returns the experience with ``change`` done to all that has axes ``[N, T, E]``.

        Advantages are those on which all agree.
        """
        memories = None if self.memories is None else jax.vmap(change)(self.memories)
        return Experience(change(self.slots), self.own, memories=memories)


def make_experience(
    num_policies: int,
    labels: jax.Array,
    trajectory: Transition,
    views: jax.Array,
    memory: jax.Array | None,
    advantage: jax.Array,
) -> Experience:
    """Returns a trajectory by agent, ``[N, T, E]``, with normalised advantages.

    Args:
        num_policies: G.
        labels: ``[N]`` the policy that each agent acted with.
        trajectory: a Transition with leading axes ``[T, E]``.
        views: ``[T, E, N, O]`` as policies see them.
        memory: ``[E, N, L, H]`` before the first row; None where policies remember nothing.
        advantage: ``[T, E, 1]``, or ``[T, E, N]`` if each agent has its own.
    """
    seen = trajectory.observation
    recall, memories = None, None
    if memory is not None:
        recall, memories = recall_rollout(memory, trajectory, labels)
    each = jnp.broadcast_to(advantage, trajectory.log_prob.shape)
    slots = Slots(
        agents_view=by_agent(views),
        action_mask=by_agent(seen.action_mask),
        action=by_agent(trajectory.existing_actions),
        log_prob=by_agent(trajectory.log_prob),
        advantage=by_agent(normalise(each, seen.active)),
        active=by_agent(seen.active),
        recall=recall,
    )
    return Experience(slots, jnp.arange(num_policies)[:, None] == labels, memories=memories)


def log_ratio(log_prob: jax.Array, rows: Slots) -> jax.Array:
    """Returns ``[...]`` log pi(a|o) - log mu(a|o) of ``[...]`` log pi(a|o).

    It is 0 on inactive rows: what a dead agent is said to have done may have probability 0.
    """
    return jnp.where(rows.active, log_prob - rows.log_prob, 0.0)


def record_log_ratio(
    policy: Policy, params: PyTree, slots: Slots, chosen: jax.Array, table: jax.Array
) -> jax.Array:
    """Returns a table of log-ratios, ``[N, T, E]``, with some slots filled in: see `log_ratio`.

    Args:
        policy: whose parameters they are.
        params: of pi.
        slots: the experience; ``log_prob`` is that of mu.
        chosen: ``[N]`` bool; what is in the table of other slots stays.
        table: the log-ratios so far.
    """
    chosen_first = jnp.argsort(~chosen)

    def fill(position: jax.Array, table: jax.Array) -> jax.Array:
        slot = chosen_first[position]
        rows = jax.tree.map(lambda x: x[slot], slots)
        return table.at[slot].set(log_ratio(policy.log_prob(params, rows), rows))

    return jax.lax.fori_loop(0, jnp.sum(chosen), fill, table)
