"""Slots of three agents with four actions, the third dead in all environments but one."""

import functools

import jax
import jax.numpy as jnp

from oatrpo_jax.policies.memory import Recall
from oatrpo_jax.reuse.experience import Slots

NUM_AGENTS, NUM_ACTIONS = 3, 4


@functools.cache
@functools.partial(jax.jit, static_argnums=(0, 1))
def some_slots(num_steps=3, num_envs=4) -> Slots:
    keys = jax.random.split(jax.random.key(0), 3)
    shape = (NUM_AGENTS, num_steps, num_envs)
    logits = jax.random.normal(keys[0], (*shape, NUM_ACTIONS))
    return Slots(
        agents_view=jax.random.normal(keys[1], (*shape, 2)),
        action_mask=jnp.ones((*shape, NUM_ACTIONS), bool),
        action=jnp.zeros(shape, jnp.int32),
        log_prob=jax.nn.log_softmax(logits)[..., 0],
        advantage=jax.random.normal(keys[2], shape),
        active=jnp.ones(shape, bool).at[2, :, 1:].set(False),
    )


def remembered(slots: Slots) -> Slots:
    """Returns the slots with a memory before the first row that says whose it is."""
    num_slots, length, num_envs = slots.active.shape
    whose = jnp.arange(num_slots, dtype=jnp.float32).reshape(-1, 1, 1, 1)
    memory = jnp.broadcast_to(whose, (num_slots, 1, num_envs, 2))
    return slots._replace(recall=Recall(memory, jnp.zeros((num_slots, length, num_envs), bool)))
