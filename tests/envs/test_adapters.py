"""The adapters against the libraries themselves: rewards, ends, views, sides, and bad input."""

import importlib.metadata
import subprocess
import sys
from functools import cache
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jumanji.types import termination

import envs
from envs.adapters.common import pad_rows, with_clock_at_zero
from envs.adapters.jaxmarl_agents import agent_type
from envs.adapters.jumanji_env import team_extras
from envs.base import STRIP_PIXELS, add_strip
from envs.options import make_with_options


@cache
def compiled(name, **options):
    env = envs.make(name, **options)
    return env, jax.jit(env.reset), jax.jit(env.step)


def play(name, policy, seed=0, **options):
    """Returns the time steps of an episode; `policy` maps (observation, step) to actions."""
    _, reset, step = compiled(name, **options)
    state, timestep = reset(jax.random.key(seed))
    timesteps = [timestep]
    while not timesteps[-1].last():
        action = jnp.asarray(policy(timesteps[-1].observation, len(timesteps) - 1), jnp.int32)
        state, timestep = step(state, action)
        timesteps.append(timestep)
    return timesteps


def constant(*actions):
    return lambda _observation, _step: actions


def random_legal(seed=0):
    rng = np.random.default_rng(seed)

    def policy(observation, _step):
        return [rng.choice(np.flatnonzero(row)) for row in np.asarray(observation.action_mask)]

    return policy


# JaxMARL


def test_views_rewards_and_states_are_those_of_jaxmarl():
    import jaxmarl

    game = jaxmarl.make("MPE_simple_spread_v3", max_steps=3)
    env, reset, step = compiled("jaxmarl:MPE_simple_spread_v3", max_steps=3)
    state, timestep = reset(jax.random.key(3))
    action = jnp.array([1, 2, 3], jnp.int32)
    after, following = step(state, action)
    orders = dict(zip(game.agents, action, strict=True))
    seen, stock, rewards, *_ = jax.jit(game.step_env)(jax.random.key(0), state.game, orders)
    expected = jnp.stack([seen[agent] for agent in game.agents])
    # No noise in this game, so that the key does not matter.
    chex.assert_trees_all_close(after.game, stock, atol=1e-6)
    np.testing.assert_allclose(following.observation.agents_view, expected, atol=1e-6)
    np.testing.assert_allclose(following.observation.global_state, expected.ravel(), atol=1e-6)
    shares = [float(rewards[agent]) for agent in game.agents]
    np.testing.assert_allclose(following.reward, np.mean(shares), rtol=1e-5)
    assert env.settings["reward"] == "mean" and timestep.observation.active.all()


def test_the_sum_is_the_mean_times_the_agents():
    options = {"max_steps": 3}
    means = play("jaxmarl:MPE_simple_spread_v3", constant(1, 2, 3), **options)
    sums = play("jaxmarl:MPE_simple_spread_v3", constant(1, 2, 3), reward="sum", **options)
    np.testing.assert_allclose([t.reward for t in sums], [3 * t.reward for t in means], rtol=1e-5)


def test_the_clock_of_mpe_truncates():
    timesteps = play("jaxmarl:MPE_simple_spread_v3", constant(0, 0, 0), max_steps=3)
    # JaxMARL counts a step only after looking at the clock: one step more than it says.
    assert len(timesteps) - 1 == 3 + 1
    assert timesteps[-1].discount == 1


def test_a_spoken_riddle_terminates_and_a_silent_one_is_truncated():
    silent = play("jaxmarl:switch_riddle", constant(0, 0, 0))
    # JaxMARL allows 4 n - 6 = 6 steps.
    assert len(silent) - 1 == 6
    assert silent[-1].discount == 1 and silent[-1].extras["success"] == 0
    spoken = play("jaxmarl:switch_riddle", constant(2, 2, 2))
    assert len(spoken) - 1 == 1
    assert (
        spoken[-1].discount == 0 and spoken[-1].reward == -1 and spoken[-1].extras["success"] == 0
    )


def test_the_riddle_is_solved_when_all_have_been_in_the_room():
    seen = set()

    def speak_when_all_have_been(observation, step):
        if step == 0:
            seen.clear()
        seen.add(int(np.argmax(observation.agents_view[:, 0])))
        return [2, 2, 2] if len(seen) == 3 else [0, 0, 0]

    ends = [play("jaxmarl:switch_riddle", speak_when_all_have_been, seed)[-1] for seed in range(8)]
    solved = [end for end in ends if end.discount == 0]
    assert solved
    assert all(end.reward == 1 and end.extras["success"] == 1 for end in solved)


def test_the_end_stays_the_end():
    _, reset, step = compiled("jaxmarl:switch_riddle")
    state, _ = reset(jax.random.key(0))
    state, timestep = step(state, jnp.array([2, 2, 2]))
    assert timestep.last()
    _, timestep = step(state, jnp.array([0, 0, 0]))
    assert timestep.last()


def test_short_views_and_actions_are_padded_and_masked():
    env, reset, _ = compiled("jaxmarl:MPE_simple_speaker_listener_v4")
    _, timestep = reset(jax.random.key(0))
    seen = timestep.observation
    assert env.agent_types == ("speaker", "listener")
    # The speaker sees 3 numbers and says one of 3 words; the listener sees 11 and moves in 5 ways.
    assert seen.agents_view.shape == (2, 11) and not seen.agents_view[0, 3:].any()
    assert seen.action_mask.tolist() == [[True] * 3 + [False] * 2, [True] * 5]
    assert seen.global_state.shape == (3 + 11,)


def test_the_adversaries_learn_and_the_others_act_at_random():
    env, reset, step = compiled("jaxmarl:MPE_simple_tag_v3", team="adversary")
    assert env.agent_types == ("adversary",) * 3
    assert env.settings["opponents"] == "random"
    state, _ = reset(jax.random.key(0))
    prey = []
    for key in jax.random.split(jax.random.key(1), 30):
        after, _ = step(state._replace(key=key), jnp.zeros(3, jnp.int32))
        prey.append(tuple(np.round(np.asarray(after.game.p_vel[3]), 3).tolist()))
    # It may stand still or push in one of four directions.
    assert len(set(prey)) == 5


def test_an_agent_id_ends_the_view():
    plain = compiled("jaxmarl:switch_riddle")[1](jax.random.key(0))[1].observation
    env = envs.make("jaxmarl:switch_riddle", agent_id=True)
    seen = env.reset(jax.random.key(0))[1].observation
    np.testing.assert_array_equal(seen.agents_view[:, :2], plain.agents_view)
    np.testing.assert_array_equal(seen.agents_view[:, 2:], np.eye(3))
    assert env.settings["agent_id"] is True


@pytest.mark.slow
def test_the_dead_are_inactive_masks_and_world_state_are_those_of_smax():
    env, _, _ = compiled("jaxmarl:HeuristicEnemySMAX")
    timesteps = play("jaxmarl:HeuristicEnemySMAX", random_legal())
    active = np.array([timestep.observation.active for timestep in timesteps])
    masks = np.array([timestep.observation.action_mask for timestep in timesteps])
    assert active[0].all() and not active[-2].all()
    assert (active[1:] <= active[:-1]).all()
    # The dead may only stop, which is action 4.
    assert (masks[~active] == (np.arange(env.num_actions) == 4)).all()
    state, timestep = env.reset(jax.random.key(0))
    expected = env.game.get_world_state(state.game)
    np.testing.assert_allclose(timestep.observation.global_state, expected, rtol=1e-6)


@pytest.mark.slow
def test_the_clock_of_a_battle_truncates():
    stop = constant(*[4] * 5)
    timesteps = play("jaxmarl:HeuristicEnemySMAX", stop, max_steps=4)
    # As in MPE, JaxMARL counts a step only after looking at the clock.
    assert len(timesteps) - 1 == 4 + 1
    assert timesteps[-1].discount == 1 and timesteps[-1].observation.active.all()


def test_a_kitchen_is_chosen_by_name():
    # Cramped room is 5 x 4, asymmetric advantages 9 x 5, with 26 layers each.
    assert envs.make("jaxmarl:overcooked").observation_spec.agents_view.shape == (2, 5 * 4 * 26)
    env = envs.make("jaxmarl:overcooked", layout="asymm_advantages")
    assert env.observation_spec.agents_view.shape == (2, 9 * 5 * 26)
    with pytest.raises(ValueError, match=r"layout to be one of cramped_room, .*'kitchen'"):
        envs.make("jaxmarl:overcooked", layout="kitchen")


@pytest.mark.slow
def test_a_shaped_reward_is_added_with_its_weight_and_told_apart():
    # An agent that faces the onions of this kitchen and takes one gets JaxMARL's shaped reward.
    walk = random_legal(3)
    plain = play("jaxmarl:overcooked", walk)
    walk = random_legal(3)
    shaped = play("jaxmarl:overcooked", walk, shaped_coef=0.5)
    walk = random_legal(3)
    double = play("jaxmarl:overcooked", walk, shaped_coef=1.0)
    total, half, whole = (sum(float(t.reward) for t in each) for each in (plain, shaped, double))
    assert half > total
    np.testing.assert_allclose(half - total, (whole - total) / 2, rtol=1e-5)
    np.testing.assert_allclose(shaped[-1].extras["unshaped_return"], total, atol=1e-6)
    assert "unshaped_return" not in plain[-1].extras


def test_importing_and_stepping_jaxmarl_prints_nothing():
    program = (
        "import envs, jax; env = envs.make('jaxmarl:jaxnav');"
        "jax.eval_shape(env.step, *jax.eval_shape(lambda k: (env.reset(k)[0],"
        "jax.numpy.zeros(2, int)), jax.random.key(0)))"
    )
    command = [sys.executable, "-W", "error::UserWarning:envs", "-c", program]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert result.stdout == ""


# jumanji


def test_cleaning_everything_terminates_with_success():
    # In 3 x 3 cells, one wall at most away from the corner, three random walkers soon have it.
    options = {"num_rows": 3, "num_cols": 3, "time_limit": 60}
    end = play("jumanji:Cleaner-v0", random_legal(), **options)[-1]
    assert end.discount == 0
    assert end.extras["success"] == 1 and end.extras["num_dirty_tiles"] == 0


def test_the_clock_of_cleaner_truncates_though_jumanji_calls_it_a_termination():
    _, reset, step = compiled("jumanji:Cleaner-v0", num_rows=3, num_cols=3, time_limit=60)
    state, timestep = reset(jax.random.key(0))
    state = state._replace(game=state.game.replace(step_count=jnp.int32(58)))
    for is_over in (False, True):
        # All walk together, so that much stays dirty.
        state, timestep = step(state, jnp.argmax(timestep.observation.action_mask, axis=1))
        assert timestep.last() == is_over
    assert timestep.discount == 1 and timestep.extras["success"] == 0


def test_an_agent_of_cleaner_sees_its_place_and_the_whole_grid():
    _, reset, step = compiled("jumanji:Cleaner-v0", num_rows=3, num_cols=3, time_limit=60)
    state, timestep = reset(jax.random.key(0))
    _, timestep = step(state, jnp.argmax(timestep.observation.action_mask, axis=1))
    seen = timestep.observation
    # Row and column, nine cells and the step count; three agents, so that a 3 x 3 grid might be
    # mistaken for a row per agent.
    assert seen.agents_view.shape == (3, 2 + 9 + 1)
    assert seen.global_state.shape == (3 * 2 + 9 + 1,)
    np.testing.assert_array_equal(seen.agents_view[0, 2:], seen.agents_view[1, 2:])
    assert seen.agents_view.min() >= 0 and seen.agents_view.max() <= 1
    np.testing.assert_allclose(seen.agents_view[:, -1], 1 / 60, rtol=1e-6)


@pytest.mark.slow
def test_food_rewards_are_summed_to_one_and_success_is_all_eaten():
    options = {"grid_size": 5, "num_food": 1, "time_limit": 500}
    timesteps = play("jumanji:LevelBasedForaging-v0", random_legal(1), **options)
    # Rewards are normalised: all agents' shares of all food add up to 1.
    np.testing.assert_allclose(sum(float(t.reward) for t in timesteps), 1, rtol=1e-5)
    assert timesteps[-1].discount == 0
    assert timesteps[-1].extras["success"] == 1 and timesteps[-1].extras["percent_eaten"] == 100


def test_a_success_that_jumanji_tells_itself_is_kept():
    eaten = {"percent_eaten": jnp.float32(100)}
    assert team_extras(termination(0.0, None, eaten))["success"] == 1
    told = eaten | {"success": jnp.float32(0)}
    assert team_extras(termination(0.0, None, told))["success"] == 0


@pytest.mark.slow
def test_a_collision_in_the_warehouse_terminates_and_its_clock_truncates():
    options = {"shelf_rows": 1, "num_agents": 2}
    still = play("jumanji:RobotWarehouse-v0", constant(0, 0), time_limit=7, **options)
    assert len(still) - 1 == 7 and still[-1].discount == 1
    ends = (
        play("jumanji:RobotWarehouse-v0", random_legal(seed), seed, time_limit=500, **options)
        for seed in range(20)
    )
    early = next(t for t in ends if len(t) - 1 < 500)
    assert early[-1].discount == 0


@pytest.mark.slow
def test_connector_is_seen_as_planes_of_own_and_others():
    _, reset, _ = compiled("jumanji:Connector-v3", grid_size=5, num_agents=2)
    state, timestep = reset(jax.random.key(0))
    planes = timestep.observation.agents_view.reshape(2, 2, 3, 5, 5)
    grid = np.asarray(state.game.grid)
    for agent in range(2):
        for owner in range(2):
            for kind in range(3):
                # Path, head, target of agent n are 1 + 3 n, 2 + 3 n, 3 + 3 n.
                expected = grid == 1 + kind + 3 * owner
                np.testing.assert_array_equal(planes[agent, int(agent != owner), kind], expected)


@pytest.mark.slow
def test_connected_agents_are_inactive_until_the_others_have_finished():
    name, options = "jumanji:Connector-v3", {"grid_size": 5, "num_agents": 3}
    active = [
        timestep.observation.active
        for seed in range(5)
        for timestep in play(name, random_legal(seed), seed, **options)[:-1]
    ]
    per_agent = np.array(active)
    assert per_agent.any(axis=1).all() and not per_agent.all()


@pytest.mark.slow
def test_a_jumanji_episode_is_drawn_by_jumanji(tmp_path):
    env, reset, step = compiled("jumanji:Cleaner-v0", num_rows=3, num_cols=3)
    state, timestep = reset(jax.random.key(0))
    states = [state, step(state, jnp.argmax(timestep.observation.action_mask, axis=1))[0]]
    frames = env.animate(states, save_path=str(tmp_path / "replay.gif"))
    for step, frame in enumerate(frames):
        said = add_strip(frame[:0], f"step {step} of 1")
        np.testing.assert_array_equal(frame[-STRIP_PIXELS:], said)
    assert len(frames) == 2 and (frames[0] != frames[1])[:-STRIP_PIXELS].any()
    assert (tmp_path / "replay.gif").read_bytes()[:4] == b"GIF8"


def test_generator_options_change_what_is_generated_and_the_rest_stays():
    env = envs.make("jumanji:LevelBasedForaging-v0", grid_size=6)
    # The field of view follows the size of the grid, as in the default.
    assert (env.game.grid_size, env.game.fov, env.game.num_food) == (6, 6, 2)
    assert env.game._generator.force_coop
    assert envs.make("jumanji:Connector-v3", num_agents=3, grid_size=6).num_agents == 3


# Common


@pytest.mark.parametrize(
    ("name", "some"),
    [
        (
            "jaxmarl:MPE_simple_spread_v3",
            {"team", "reward", "num_agents", "local_ratio", "max_steps"},
        ),
        ("jaxmarl:overcooked", {"layout", "random_reset"}),
        ("jumanji:LevelBasedForaging-v0", {"reward", "agent_id", "time_limit", "num_food", "fov"}),
        ("maze", {"num_per_colour", "time_limit"}),
        ("smax:3m", {"max_steps", "ally_order"}),
    ],
)
def test_the_options_of_an_environment_are_listed(name, some):
    names = envs.option_names(name)
    assert some <= set(names)
    assert not {"kwargs", "options", "generator", "viewer", "scenario", "game"} & set(names)


def test_rows_are_padded_with_zeros():
    rows = [jnp.array([1, 2]), jnp.array([3])]
    assert pad_rows(rows).tolist() == [[1, 2], [3, 0]]
    assert pad_rows(rows, 3).tolist() == [[1, 2, 0], [3, 0, 0]]


class Clocked(NamedTuple):
    step: jax.Array
    place: jax.Array


class Wrapped(NamedTuple):
    state: Clocked


def clocked(step):
    return Clocked(jnp.int32(step), jnp.ones(2))


def test_a_clock_is_set_to_zero_wherever_it_is():
    states = [clocked(3), Wrapped(clocked(3))]
    expected = [clocked(0), Wrapped(clocked(0))]
    assert str([with_clock_at_zero(state, "step") for state in states]) == str(expected)


def test_a_state_without_a_clock_has_none_to_set():
    assert with_clock_at_zero(clocked(3), "step_count") is None


@pytest.mark.parametrize(
    ("agent", "expected"),
    [("agent_0", "agent"), ("leadadversary_0", "leadadversary"), ("1", "agent"), ("eve", "eve")],
)
def test_types_are_names_without_numbers(agent, expected):
    assert agent_type(agent) == expected


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("jumanji:Snake-v1", {}, r"several agents, but jumanji's Snake-v1.*Connector-v3"),
        ("jumanji:Conector-v3", {}, r"jumanji's environment.*Did you mean Connector-v3"),
        ("jumanji:MultiCVRP-v0", {}, r"several agents, but jumanji's MultiCVRP"),
        ("jumanji:Cleaner-v0", {"reward": "max"}, r"reward to be one of sum, mean, got 'max'"),
        ("jumanji:LevelBasedForaging-v0", {"grid_size": 2}, r"Grid size must be"),
        ("jumanji:", {}, r"SCENARIO in jumanji:SCENARIO .*Connector-v3"),
        (
            "jaxmarl:MPE_simple_spred_v3",
            {},
            r"JaxMARL's environment.*Did you mean MPE_simple_spread_v3",
        ),
        ("jaxmarl:MPE_simple_tag_v3", {}, r"sets agents against.*team=adversary"),
        ("jaxmarl:MPE_simple_tag_v3", {"team": "x"}, r"one of adversary, agent, got 'x'"),
        ("jaxmarl:switch_riddle", {"team": "agent"}, r"one side only"),
        ("jaxmarl:switch_riddle", {"num_agents": 2}, r"minimum number of agents"),
        ("jaxmarl:MPE_simple_spread_v3", {"action_type": "x"}, r"Action type: x is not supported"),
        ("jaxmarl:switch_riddle", {"shaped_coef": 1.0}, r"tells of no shaped reward"),
        ("jaxmarl:storm", {}, r"observations by the agents' names"),
    ],
)
def test_what_cannot_be_adapted_is_refused_with_what_to_do(name, options, message):
    with pytest.raises(ValueError, match=message):
        envs.make(name, **options)


def test_a_wrong_option_lists_the_options_and_says_what_to_give():
    with pytest.raises(ValueError, match=r"has no speed; expected one of .*reward.*num_landmarks"):
        make_with_options("jaxmarl:MPE_simple_spread_v3", {"speed": 1, "reward": "sum"})
    with pytest.raises(ValueError, match=r"does not take num_food=0.*Number of food"):
        make_with_options("jumanji:LevelBasedForaging-v0", {"num_food": 0})
    with pytest.raises(ValueError, match=r"switch_riddle has no action_type; expected one of"):
        make_with_options("jaxmarl:switch_riddle", {"action_type": "Continuous"})
    assert make_with_options("jaxmarl:MPE_simple_tag_v3", {"team": "agent"}).num_agents == 1


def test_a_missing_jaxmarl_says_what_to_install(monkeypatch):
    def find(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", find)
    with pytest.raises(
        ImportError, match=r'JaxMARL: expected.*jaxmarl.*pip install ".+\[jaxmarl\]"'
    ):
        envs.make("jaxmarl:MPE_simple_spread_v3")
