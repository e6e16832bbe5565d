import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from oatrpo_jax.rollout import Episodes, init_rollout, rollout, summarise_episodes
from tests.probe_envs import Messy

NUM_ENVS, LENGTH = 5, 30
ENV = Messy(num_agents=2, death_rate=0.3, time_limit=4)


def random_legal(observation, key):
    logits = jnp.where(observation.action_mask, 0.0, -jnp.inf)
    action = jax.random.categorical(key, logits)
    return action, jnp.zeros(action.shape)


@functools.cache
def collected(reset_interval=1):
    @jax.jit
    def run(start_key, key):
        state = init_rollout(ENV, NUM_ENVS, start_key)
        return rollout(ENV, random_legal, state, LENGTH, key, reset_interval)

    return jax.device_get(run(jax.random.key(0), jax.random.key(1)))


def episode_starts(reset_interval):
    """Positions in which the episodes of environment 0 begin, rounded so that they compare."""
    _, trajectory, episodes = collected(reset_interval)
    first = np.flatnonzero(np.asarray(episodes.ended)[:-1, 0]) + 1
    return first, np.asarray(trajectory.observation.global_state)[first, 0, 0]


def test_every_episode_has_a_start_of_its_own():
    _, positions = episode_starts(1)
    assert len(np.unique(positions)) == len(positions) > 5


def test_fresh_starts_last_for_an_interval_if_asked():
    first, positions = episode_starts(15)
    # An episode that ended in step t began anew in the block of step t.
    block = (first - 1) // 15
    assert len(np.unique(positions)) == len(np.unique(block)) < len(positions)


@pytest.mark.parametrize(
    ("time_limit", "reset_interval", "count"),
    # Of six steps in which nobody dies two end episodes, or none; else one set for three steps.
    [(3, 1, 2), (7, 1, 0), (7, 3, 2)],
)
def test_fresh_starts_are_made_when_an_episode_ends_or_once_in_an_interval(
    time_limit, reset_interval, count
):
    made = []

    class Counted(Messy):
        def reset(self, key):
            jax.debug.callback(lambda: made.append(1))
            return super().reset(key)

    env = Counted(death_rate=0.0, time_limit=time_limit)
    start = jax.jit(functools.partial(init_rollout, env, NUM_ENVS))(jax.random.key(0))
    jax.effects_barrier()
    of_one_set = len(made)
    assert of_one_set > 0
    jax.block_until_ready(
        jax.jit(lambda: rollout(env, random_legal, start, 6, jax.random.key(1), reset_interval))()
    )
    jax.effects_barrier()
    assert len(made) == (1 + count) * of_one_set


def test_both_kinds_of_ending_occur_and_exclude_each_other():
    _, trajectory, episodes = collected()
    assert trajectory.terminated.any() and trajectory.truncated.any()
    assert not (trajectory.terminated & trajectory.truncated).any()
    np.testing.assert_array_equal(trajectory.terminated | trajectory.truncated, episodes.ended)


def test_a_transition_holds_the_final_observation_and_the_next_one_starts_afresh():
    _, trajectory, episodes = collected()
    seen, after = trajectory.observation, trajectory.next_observation
    ended = np.asarray(episodes.ended[:-1])
    same = np.asarray((after.global_state[:-1] == seen.global_state[1:]).all(axis=-1))
    assert (same == ~ended).all()  # Continued where it goes on, reset where it ended.
    terminated = np.asarray(trajectory.terminated)
    assert not np.asarray(after.active)[terminated].any()  # All dead: the final observation.
    assert np.asarray(seen.active)[1:][ended].all()  # All alive again.


def test_length_and_return_are_those_of_each_episode():
    _, trajectory, episodes = collected()
    for env in range(NUM_ENVS):
        length = total = 0.0
        for t in range(LENGTH):
            length, total = length + 1, total + float(trajectory.reward[t, env])
            assert float(episodes.metrics["length"][t, env]) == length
            np.testing.assert_allclose(episodes.metrics["return"][t, env], total, rtol=1e-4)
            if episodes.ended[t, env]:
                length = total = 0.0
    assert float(episodes.metrics["length"].max()) == 4  # the time limit


def test_environments_have_lives_of_their_own():
    _, trajectory, _ = collected()
    states = np.asarray(trajectory.observation.global_state)
    assert len(np.unique(states[0], axis=0)) == NUM_ENVS


def test_episode_means_count_only_episodes_that_ended():
    episodes = Episodes(
        ended=jnp.array([[True, False], [False, True]]),
        metrics={"return": jnp.array([[1.0, 50.0], [50.0, 2.0]])},
    )
    summary = summarise_episodes(episodes)
    assert float(summary["episode/return"]) == 1.5
    assert float(summary["episode/count"]) == 2


def test_means_are_zero_where_no_episode_ended_and_no_nan_is_made():
    episodes = Episodes(jnp.zeros((2, 1), bool), {"return": jnp.ones((2, 1))})
    with jax.debug_nans(True):
        summary = summarise_episodes(episodes)
    assert summary == {"episode/return": 0, "episode/count": 0}
