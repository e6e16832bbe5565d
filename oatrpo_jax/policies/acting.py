"""A team's policies at work: each agent acts by its own, and others look on if they are to learn.

A memory has axes ``[..., N, L, H]``.  L is 1 where agents remember what they need to act.  L is G
where every policy goes through what every agent sees: it then remembers what it would have, had it
acted in that agent's place, and that is what it needs to judge that agent's experience.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from oatrpo_jax.policies.memory import Recall
from oatrpo_jax.policies.policy import Policy
from oatrpo_jax.types import PyTree, Transition


def step_team(
    policy: Policy,
    params: PyTree,
    labels: jax.Array,
    view: jax.Array,
    mask: jax.Array,
    memory: jax.Array | None,
) -> tuple[jax.Array, jax.Array | None]:
    """Returns ``[..., N, Z]`` outputs, each agent's by its own policy, and the memory afterwards.

    Args:
        policy: whose parameters they are.
        params: of all policies, leading axis ``[G]``.
        labels: ``[N]`` the policy that each agent acts with.
        view: ``[..., N, O]``.
        mask: ``[..., N, A]`` bool, True where the action is legal.
        memory: ``[..., N, L, H]`` before; None where policies remember nothing.
    """
    if memory is not None and memory.shape[-2] > 1:
        # Agents in an axis of their own: the last one of rows is for environments, see `product`.
        of_all = jax.vmap(policy.step, in_axes=(None, -2, -2, -2), out_axes=-2)
        each = jax.vmap(of_all, in_axes=(0, None, None, -2), out_axes=-2)
        outputs, memory = each(params, view, mask, memory)
        return outputs[..., jnp.arange(len(labels)), labels, :], memory
    by_agent = jax.vmap(policy.step, in_axes=(0, -2, -2, -2), out_axes=-2)
    own = jax.tree.map(lambda x: x[labels], params)
    past = None if memory is None else memory[..., 0, :]
    outputs, after = by_agent(own, view, mask, past)
    return outputs, None if after is None else jnp.expand_dims(after, -2)


def recall_rollout(
    memory: jax.Array, trajectory: Transition, labels: jax.Array
) -> tuple[Recall, jax.Array | None]:
    """Returns what each agent remembered as it acted, and what each policy would have.

    Args:
        memory: ``[E, N, L, H]`` before the first row.
        trajectory: a Transition with leading axes ``[T, E]``.
        labels: ``[N]`` the policy that each agent acted with.

    Returns:
        ``[N, T, E]`` recall of the agents themselves, and ``[G, N, 1, E, H]`` the memories of all
        pairs; None where L is 1.
    """
    memories = jnp.transpose(memory, (2, 1, 0, 3))[:, :, None]  # [L, N, 1, E, H]
    num_memories, num_agents = memories.shape[:2]
    ended = trajectory.terminated | trajectory.truncated
    ended = jnp.broadcast_to(ended, (num_agents, *ended.shape))
    if num_memories == 1:
        return Recall(memories[0], ended), None
    return Recall(memories[labels, jnp.arange(num_agents)], ended), memories
