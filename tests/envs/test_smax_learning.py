"""Death in a real SMAX rollout: whoever is dead influences no learner."""

import functools

import jax
import numpy as np
import pytest

import envs
from oatrpo_jax import Config, EnvSpec, Hyperparams, make_learner
from oatrpo_jax.rollout import init_rollout, rollout
from tests.probe_envs import spoil_dead_rows, tree_equal

pytestmark = pytest.mark.thorough  # tests/oatrpo_jax/test_learner.py tries the same on small games.

CONFIG = Config(hidden_sizes=(8,), num_epochs=2, critic_epochs=1, cg_iterations=3)
HPARAMS = Hyperparams.create(reuse_sigma=10.0, actor_lr=0.01)


@functools.cache
def battle():
    """A learner's state, and a rollout of 30 steps of 4 battles in which marines die."""
    env = envs.make("smax:3m")
    learner = make_learner(EnvSpec.from_env(env), "oappo", CONFIG)
    state = jax.jit(learner.init)(jax.random.key(0))

    @jax.jit
    def collect(key):
        start_key, key = jax.random.split(key)
        start = init_rollout(env, 4, start_key)
        return rollout(env, functools.partial(learner.act, state), start, 30, key, 30)[1]

    return env, state, collect(jax.random.key(1))


@functools.cache
def update_of(name):
    env, *_ = battle()
    return jax.jit(make_learner(EnvSpec.from_env(env), name, CONFIG).update)


def start_of(name):
    env, state, _ = battle()
    if name == "oappo":
        return state
    fresh = make_learner(EnvSpec.from_env(env), name, CONFIG).init(jax.random.key(0))
    return fresh._replace(policies=fresh.policies._replace(params=state.policies.params))


@pytest.mark.parametrize("name", ["oappo", "oatrpo"])
def test_what_dead_marines_saw_and_did_changes_no_bit(name):
    _, _, trajectory = battle()
    active = np.asarray(trajectory.observation.active)
    assert 0.02 < 1 - active.mean() < 0.9  # Some are dead for some of the time.
    before, metrics = update_of(name)(start_of(name), trajectory, HPARAMS, jax.random.key(2))
    after, spoilt = update_of(name)(
        start_of(name), spoil_dead_rows(trajectory), HPARAMS, jax.random.key(2)
    )
    assert tree_equal(before, after)
    assert tree_equal(metrics, spoilt)
    assert all(np.isfinite(value).all() for value in metrics.values())


@pytest.mark.parametrize("name", ["oappo", "oatrpo"])
def test_a_marine_that_is_dead_throughout_has_weight_0(name):
    _, _, trajectory = battle()
    seen = trajectory.observation
    buried = trajectory._replace(
        observation=seen._replace(active=seen.active.at[..., 2].set(False))
    )
    after, metrics = update_of(name)(start_of(name), buried, HPARAMS, jax.random.key(2))
    # Two others are alive: 0.7 on oneself, 0.3 on the other; the dead one learns from both.
    np.testing.assert_allclose(
        metrics["reuse/weight"],
        [[0.7, 0.3, 0.0], [0.3, 0.7, 0.0], [0.15, 0.15, 0.7]],
        atol=1e-6,
    )
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((after, metrics)))
