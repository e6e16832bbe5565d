"""The bridge on the original engine, where it is installed: against a recording and the academy."""

import importlib.util

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import envs
from envs.football.env import collect
from envs.football.observation import Facts
from envs.football.types import End
from envs.grf.engine import Match
from tests.envs.made_up_match import SCENARIO

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("gfootball_engine") is None,
    reason="gfootball_engine is not installed (docs/football-bridge.md)",
)

RECORDED_SEED = 547756574
RECORDED = [
    [5, 4, 6],
    [13, 13, 13],
    *[[0, 0, 0]] * 6,
    *[[12, 0, 0]] * 8,
    *[[0, 0, 0]] * 5,
    [0, 3, 0],
]
"""An episode recorded through ``gfootball.env`` 2.10.2: sprint at the goal, shoot, score.

Agent 0 collects the circles at the steps below, and all agents the rest with the goal.
"""
RECORDED_GAINS = {1: [0.7, 0, 0], 4: [0.1, 0, 0], 13: [0.1, 0, 0], 22: [1.1, 2, 2]}
RECORDED_BALL = {10: [0.6916, 0.0001, 0.145], 21: [0.9961, -0.0101, 0.12]}


@pytest.fixture(scope="module")
def backends():
    """The academy in JAX and the engine, under one interface."""
    return [envs.make(f"{family}:{SCENARIO}") for family in ("football", "grf")]


@pytest.fixture(scope="module")
def random_play(backends):
    """Time steps ``[8, 100, ...]`` of both backends under the same random actions."""
    actions = jax.random.randint(jax.random.key(1), (8, 100, 3), 0, 19)
    keys = jax.random.split(jax.random.key(0), 8)

    def play(env, key, actions):
        state, first = env.reset(key)
        _, timesteps = jax.lax.scan(env.step, state, actions)
        return first, timesteps

    plays = [jax.jit(jax.vmap(lambda *xs, env=env: play(env, *xs))) for env in backends]
    return [jax.device_get(each(keys, actions)) for each in plays]


def test_both_backends_start_alike(random_play):
    (ours, _), (theirs, _) = random_play
    for name in ("agents_view", "global_state"):
        ours_seen, theirs_seen = getattr(ours.observation, name), getattr(theirs.observation, name)
        # 0.01 of 20 m; the engine's ball rests a few centimetres deeper.
        np.testing.assert_allclose(ours_seen, theirs_seen, atol=0.01)


def test_both_backends_have_the_same_shapes_dtypes_and_ranges(random_play):
    ours, theirs = random_play
    chex.assert_trees_all_equal_shapes_and_dtypes(ours, theirs)
    for _, timesteps in random_play:
        seen = timesteps.observation
        assert np.abs(seen.agents_view).max() < 10 and np.isfinite(seen.agents_view).all()
        in_play = seen.global_state[~timesteps.last()]
        places, ball = in_play[:, :8], in_play[:, 88:91]
        # Both teams stay within a few metres of the pitch; heights are in metres.
        assert np.abs(places).max() < 1.1 and np.abs(ball[:, :2]).max() < 1.1
        assert ball[:, 2].min() > 0 and ball[:, 2].max() < 20
        one_hots = seen.global_state[..., 94:97], seen.global_state[..., 97:108]
        assert all((one_hot.sum(-1) == 1).all() for one_hot in one_hots)


def test_both_backends_pay_for_the_same_things(random_play):
    for _, timesteps in random_play:
        # Where an episode's extras are read: at its end, or after all the steps.
        final = np.where(timesteps.last().any(axis=1), timesteps.last().argmax(axis=1), -1)
        extras = {name: told[np.arange(8), final] for name, told in timesteps.extras.items()}
        # Ten checkpoints of 0.1 per agent, 1 for a goal, and nothing after the end.
        expected = extras["checkpoints"] + extras["success"] - extras["conceded"]
        np.testing.assert_allclose(timesteps.reward.sum(axis=1), expected, atol=1e-5)
        ended = timesteps.last()
        assert ended.any() and (np.diff(ended.astype(int), axis=1) >= 0).all()
        assert (timesteps.reward[:, 1:][ended[:, :-1]] == 0).all()
        ends = sum(timesteps.extras[name] for name in ("success", "conceded", "out", "lost"))
        np.testing.assert_array_equal(ends, timesteps.discount == 0)


def test_a_recorded_episode_of_the_original_comes_out_again():
    match = Match(SCENARIO)
    match.start(RECORDED_SEED, True)
    checkpoints = jnp.zeros(3, jnp.int32)
    for count, action in enumerate(RECORDED, start=1):
        match.step(action)
        moment = Facts(**jax.tree.map(jnp.asarray, match.facts()))
        checkpoints, rewards = collect(moment, checkpoints, jnp.int32(match.end))
        if count in RECORDED_BALL:
            np.testing.assert_allclose(moment.ball, RECORDED_BALL[count], atol=1e-3)
        np.testing.assert_allclose(rewards, RECORDED_GAINS.get(count, [0, 0, 0]), atol=1e-5)
        assert match.end == (End.GOAL if count == len(RECORDED) else End.NOT)


def test_the_engine_plays_the_same_episode_in_one_thread_and_in_several(backends):
    """A state reached by stepping equals the one that another pool replays."""
    _, env = backends
    other = envs.make(f"grf:{SCENARIO}", max_engines=1)
    keys = jax.random.split(jax.random.key(5), 4)
    actions = jax.random.randint(jax.random.key(6), (12, 4, 3), 0, 19)
    states = jax.vmap(env.reset)(keys)[0]
    states, _ = jax.jit(lambda s: jax.lax.scan(jax.vmap(env.step), s, actions[:-1]))(states)
    expected, got = (jax.vmap(each.step)(states, actions[-1]) for each in (env, other))
    chex.assert_trees_all_equal(expected[0].moment, got[0].moment)
    assert env._pool.num_replayed == 0 and other._pool.num_replayed == 4 * 11
