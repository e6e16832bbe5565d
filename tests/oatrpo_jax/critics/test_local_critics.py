"""Local critics where an agent dies before its episode ends."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from oatrpo_jax import Config, EnvSpec, Hyperparams, Observation, Transition, make_learner
from tests.tiers import in_tiers

LENGTH, NUM_ENVS, GAMMA = 6, 2, 0.9
SPEC = EnvSpec(num_agents=2, num_actions=2, view_size=LENGTH, state_size=LENGTH)
CONFIG = Config(hidden_sizes=(16,), num_epochs=1, critic_epochs=4)


@pytest.mark.parametrize("name", in_tiers(("ippo-separate", "ippo", "seac"), ("ippo-separate",)))
def test_what_an_agent_is_worth_once_it_is_dead_is_learnt(name):
    """Every step pays 1, whoever lives; agent 1 dies in the first of six."""
    learner = make_learner(SPEC, name, CONFIG)
    time = jnp.broadcast_to(jnp.eye(LENGTH)[:, None], (LENGTH, NUM_ENVS, LENGTH))
    view = jnp.stack([time, time], axis=2)
    active = jnp.ones((LENGTH, NUM_ENVS, 2), bool).at[1:, :, 1].set(False)
    seen = Observation(view, jnp.ones((LENGTH, NUM_ENVS, 2, 2), bool), time, active)
    last = jnp.broadcast_to(jnp.arange(LENGTH)[:, None] == LENGTH - 1, (LENGTH, NUM_ENVS))
    following = jax.tree.map(lambda x: jnp.roll(x, -1, axis=0), seen)
    hparams = Hyperparams.create(gamma=GAMMA, critic_lr=3e-3, actor_lr=0.0)

    @jax.jit
    def learn(key):
        def step(state, key):
            act_key, update_key = jax.random.split(key)
            action, log_prob = learner.act(state, seen, act_key)
            reward, never = jnp.ones_like(last, float), jnp.zeros_like(last)
            episode = Transition(seen, action, log_prob, reward, last, never, following)
            return learner.update(state, episode, hparams, update_key)[0], None

        init_key, run_key = jax.random.split(key)
        state, _ = jax.lax.scan(step, learner.init(init_key), jax.random.split(run_key, 400))
        return learner.value(state, seen)

    # 1 + 0.9 + ... over the steps that are left: 4.69, 4.10, 3.44, 2.71, 1.9, 1
    expected = (1 - GAMMA ** np.arange(LENGTH, 0, -1)) / (1 - GAMMA)
    value = np.asarray(learn(jax.random.key(0)))
    np.testing.assert_allclose(value, np.broadcast_to(expected[:, None, None], value.shape), 0.03)
