"""A team's policies at work: whose memory is whose."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from oatrpo_jax.config import Config
from oatrpo_jax.policies.acting import step_team
from oatrpo_jax.policies.policy import Policy

POLICY = Policy.of(Config(hidden_sizes=(5,), memory_size=4), num_actions=3)
NUM_ENVS, NUM_AGENTS, NUM_POLICIES = 2, 4, 3
LABELS = np.array([1, 0, 1, 1])
"""Agents 0, 2 and 3 share a policy; with the third one nobody acts."""


@functools.cache
def given():
    """Parameters ``[G]``, and views, masks and memories of all pairs ``[E, N, ...]``."""
    keys = jax.random.split(jax.random.key(0), 4)
    policies = jax.random.split(keys[0], NUM_POLICIES)
    params = jax.jit(jax.vmap(lambda key: POLICY.init(key, view_size=2)))(policies)
    view = jax.random.normal(keys[1], (NUM_ENVS, NUM_AGENTS, 2))
    mask = jnp.ones((NUM_ENVS, NUM_AGENTS, 3), bool).at[0, 1, 2].set(False)
    memory = jax.random.normal(keys[2], (NUM_ENVS, NUM_AGENTS, NUM_POLICIES, 4))
    return jax.device_get((params, view, mask, jnp.tanh(memory)))


step = jax.jit(functools.partial(step_team, POLICY))


def test_each_policy_goes_through_what_each_agent_sees():
    params, view, mask, memory = given()
    logits, after = step(params, LABELS, view, mask, memory)
    alone = jax.jit(POLICY.step)
    for policy in range(NUM_POLICIES):
        own = jax.tree.map(lambda x, policy=policy: x[policy], params)
        expected, remembered = alone(own, view, mask, memory[:, :, policy])
        np.testing.assert_allclose(after[:, :, policy], remembered, atol=1e-6)
        acts = policy == LABELS
        np.testing.assert_allclose(logits[:, acts], expected[:, acts], atol=1e-6)


def test_agents_act_alike_whether_or_not_others_look_on():
    params, view, mask, memory = given()
    logits, after = step(params, LABELS, view, mask, memory)
    agents = np.arange(NUM_AGENTS)
    own, own_after = step(params, LABELS, view, mask, memory[:, agents, LABELS, None])
    assert own_after.shape == (NUM_ENVS, NUM_AGENTS, 1, 4)
    np.testing.assert_allclose(own, logits, atol=1e-6)
    np.testing.assert_allclose(own_after[:, :, 0], after[:, agents, LABELS], atol=1e-6)
