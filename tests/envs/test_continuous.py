"""Continuous actions of adapted environments: boxes, bodies, searchers, and what is refused."""

import os
import subprocess
import sys
from functools import cache
from types import SimpleNamespace

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import ImageColor

import envs
from envs.adapters.actions import Box, BoxActions, actions_of, into_box, make_box
from envs.adapters.body_viewer import COLOURS, GROUND, rotate
from envs.base import STRIP_PIXELS, add_strip
from envs.options import make_with_options
from experiments import run

SPREAD = {"action_type": "Continuous", "max_steps": 3}
HOPPER, LIMIT = "jaxmarl:hopper_3x1", 20
"""A body that falls within the limit if all joints push back, and stands if none does."""


@cache
def compiled(name, **options):
    env = envs.make(name, **options)
    return env, jax.jit(env.reset), jax.jit(env.step)


def play(name, action, seed=0, **options):
    """Returns the states and time steps of an episode of one raw action, ``[N, D]`` or a number."""
    env, reset, step = compiled(name, **options)
    raw = jnp.broadcast_to(jnp.float32(action), (env.num_agents, env.num_actions))
    state, timestep = reset(jax.random.key(seed))
    states, timesteps = [state], [timestep]
    while not timesteps[-1].last():
        state, timestep = step(state, raw)
        states.append(state)
        timesteps.append(timestep)
    return states, timesteps


def box(low, high):
    return Box(np.float32(low), np.float32(high))


# Boxes


def test_raw_actions_reach_from_the_low_to_the_high_end_and_no_further():
    sides = box([-2, 0, 10], [4, 1, 30])
    for raw, expected in (
        (-1, [-2, 0, 10]),
        (0, [1, 0.5, 20]),
        (1, [4, 1, 30]),
        (0.5, [2.5, 0.75, 25]),  # Three quarters of the way.
        (-7, [-2, 0, 10]),
        (1e30, [4, 1, 30]),
    ):
        inside = into_box(jnp.full(3, raw, jnp.float32), sides)
        np.testing.assert_allclose(inside, expected, rtol=1e-6)
        assert inside.dtype == jnp.float32


def test_agents_are_given_the_dimensions_that_they_have():
    actions = BoxActions((box([0, 0], [2, 2]), box([-1], [1])))
    assert actions.sizes == (2, 1)
    one, other = actions.orders(jnp.array([[0.0, 1.0], [0.5, 9.0]]))
    assert one.tolist() == [1, 2] and other.tolist() == [0.5]


def test_random_actions_fill_the_box_evenly():
    actions = BoxActions((box([0], [1]), box([-3, 0], [1, 8])))
    keys = jax.random.split(jax.random.key(0), 4000)
    drawn = np.asarray(jax.vmap(lambda key: actions.draw(key, 1))(keys))
    assert drawn.shape == (4000, 2) and drawn.dtype == np.float32
    assert (drawn.min(axis=0) >= [-3, 0]).all() and (drawn.max(axis=0) <= [1, 8]).all()
    # Middles -1 and 4; standard errors 4 / sqrt(12 * 4000) = 0.018 and 0.037: five of them.
    assert (np.abs(drawn.mean(axis=0) - [-1, 4]) < [0.09, 0.18]).all()


@pytest.mark.parametrize(
    ("low", "high", "shape", "message"),
    [
        (-np.inf, 1, (2,), r"^it: expected actions between finite bounds.*-inf"),
        (0, [1, np.nan], (2,), r"finite bounds"),
        ([0, 1], [1, 1], (2,), r"from \[0.0, 1.0\] to \[1.0, 1.0\]"),
        (0, 1, (2, 3), r"expected a vector as action, got shape \(2, 3\)"),
        (0, 1, (), r"expected a vector"),
    ],
)
def test_a_box_that_raw_actions_cannot_be_mapped_into_is_refused(low, high, shape, message):
    with pytest.raises(ValueError, match=message):
        make_box("it", low, high, shape)


def test_agents_of_both_kinds_and_other_spaces_are_refused():
    number = SimpleNamespace(n=3)
    vector = SimpleNamespace(low=0, high=1, shape=(2,))
    several = SimpleNamespace(num_categories=[2, 3])
    with pytest.raises(ValueError, match=r"those of Game differ \(a: discrete, b: box\)"):
        actions_of("Game", {"a": number, "b": vector})
    with pytest.raises(ValueError, match=r"but Game gives b a SimpleNamespace"):
        actions_of("Game", {"a": number, "b": several})
    assert actions_of("Game", {"a": number, "b": number}).sizes == (3, 3)
    assert actions_of("Game", {"a": vector}).is_continuous


# JaxMARL's particles


@pytest.mark.thorough
def test_a_particle_is_pushed_as_jaxmarl_says():
    import jaxmarl

    game = jaxmarl.make("MPE_simple_spread_v3", **SPREAD)
    env, reset, step = compiled("jaxmarl:MPE_simple_spread_v3", **SPREAD)
    assert env.is_continuous and env.num_actions == 5
    assert env.settings["action_dimensions"] == [5, 5, 5]
    state, _ = reset(jax.random.key(3))
    raw = jnp.array([[0.0, -1, 1, 0.5, -0.5], [0, 0, 0, 0, 0], [9, 9, -9, 0, 1]])
    after, following = step(state, raw)
    share = (np.clip(raw, -1, 1) + 1) / 2
    orders = dict(zip(game.agents, share, strict=True))
    seen, stock, rewards, *_ = jax.jit(game.step_env)(jax.random.key(0), state.game, orders)
    chex.assert_trees_all_close(after.game, stock, atol=1e-6)
    expected = jnp.stack([seen[agent] for agent in game.agents])
    np.testing.assert_allclose(following.observation.agents_view, expected, atol=1e-6)
    np.testing.assert_allclose(following.reward, np.mean(list(rewards.values())), rtol=1e-5)
    # By force 5 x (right - left) over 0.1 s: 5 (1 - 0) 0.1 for the first one, nothing for the next.
    np.testing.assert_allclose(after.game.p_vel[0] - 0.75 * state.game.p_vel[0], [0.5, -0.25])
    np.testing.assert_allclose(after.game.p_vel[1], [0, 0], atol=1e-6)


def test_agents_of_unequal_size_are_padded_and_say_so():
    options = {"action_type": "Continuous"}
    env, reset, _ = compiled("jaxmarl:MPE_simple_speaker_listener_v4", **options)
    _, timestep = reset(jax.random.key(0))
    assert timestep.observation.action_mask.tolist() == [[True] * 3 + [False] * 2, [True] * 5]
    assert env.settings["action_dimensions"] == [3, 5]
    assert repr(env).endswith("2 agents, actions padded from (3, 5) dimensions)")


def test_opponents_push_in_any_direction():
    options = {"team": "adversary", "action_type": "Continuous"}
    env, reset, step = compiled("jaxmarl:MPE_simple_tag_v3", **options)
    state, _ = reset(jax.random.key(0))
    still = jnp.zeros((env.num_agents, env.num_actions))
    keys = jax.random.split(jax.random.key(1), 20)
    prey = [step(state._replace(key=key), still)[0].game.p_vel[3] for key in keys]
    # Discrete opponents have five ways to push.
    assert len(np.unique(np.round(prey, 4), axis=0)) == 20


# JaxMARL's bodies


def test_a_body_sees_what_jaxmarl_shows_and_the_critic_all_that_brax_does():
    env, reset, step = compiled(HOPPER, episode_length=LIMIT)
    state, timestep = reset(jax.random.key(0))
    for _ in range(2):
        state, timestep = step(state, jnp.full((3, 1), 0.5))
    seen, game = timestep.observation, state.game
    np.testing.assert_array_equal(seen.global_state, game.obs)
    for row, places in zip(seen.agents_view, env.game.agent_obs_mapping.values(), strict=True):
        np.testing.assert_array_equal(row[: len(places)], game.obs[places])
    assert seen.agents_view.shape == (3, 9) and (seen.agents_view[0, 8:] == 0).all()
    np.testing.assert_allclose(timestep.reward, game.reward)


def test_a_body_is_cut_off_by_its_clock_and_terminated_by_its_fall():
    _, timesteps = play(HOPPER, 0.0, episode_length=LIMIT)
    assert len(timesteps) - 1 == LIMIT and timesteps[-1].discount == 1
    states, timesteps = play(HOPPER, -1.0, episode_length=LIMIT)
    assert len(timesteps) - 1 < LIMIT and timesteps[-1].discount == 0
    # It has leant over by more than 0.2 rad, or sunk below 0.7 m.
    angle, height = states[-1].game.pipeline_state.q[2], states[-1].game.obs[0]
    assert abs(angle) > 0.2 or height < 0.7


def test_a_fall_in_the_last_step_is_a_termination():
    _, timesteps = play(HOPPER, -1.0, episode_length=LIMIT)
    steps = len(timesteps) - 1
    env, reset, step = compiled(HOPPER, episode_length=LIMIT)
    state, _ = reset(jax.random.key(0))
    late = state.game.info["steps"] + LIMIT - steps
    state = state._replace(game=state.game.replace(info=state.game.info | {"steps": late}))
    for _ in range(steps):
        state, timestep = step(state, jnp.full((3, 1), -1.0))
    assert timestep.last() and timestep.discount == 0
    assert state.game.info["steps"] == LIMIT


def test_a_body_tells_how_far_it_came():
    states, timesteps = play(HOPPER, 0.0, episode_length=LIMIT)
    far = timesteps[-1].extras["x_position"]
    np.testing.assert_allclose(far, states[-1].game.pipeline_state.x.pos[0, 0])
    # Forward rewards are metres per second, and a step is 0.008 s: they add up to the way.
    start = states[0].game.pipeline_state.x.pos[0, 0]
    np.testing.assert_allclose(
        timesteps[-1].extras["forward_return"] * 0.008, far - start, atol=1e-5
    )


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["positional", "generalized", "mjx"])
def test_a_body_is_simulated_by_the_backend_that_is_asked_for(backend):
    options = {"backend": backend, "episode_length": 3}
    env = make_with_options(HOPPER, options)
    assert env.game.env.unwrapped.backend == backend
    state, _ = jax.jit(env.reset)(jax.random.key(0))
    after, timestep = jax.jit(env.step)(state, jnp.zeros((3, 1)))
    assert jnp.isfinite(timestep.observation.agents_view).all()
    chex.assert_trees_all_equal_shapes_and_dtypes(state, after)


def test_options_of_a_body_reach_brax():
    names = set(envs.option_names(HOPPER))
    assert {"backend", "episode_length", "healthy_reward", "reward"} <= names
    # What would reset by itself, change sizes behind the masks, or spoil the forward return.
    assert not names & {"auto_reset", "homogenisation_method", "action_repeat"}
    assert not names & {"env_name", "num_agents", "kwargs"}
    assert envs.option_parameters(HOPPER)["backend"].default == "spring"
    assert envs.make(HOPPER).game.env.unwrapped.backend == "spring"
    env = make_with_options(HOPPER, {"healthy_reward": 7, "episode_length": 5})
    assert env.game.env.unwrapped._healthy_reward == 7 and env.game.episode_length == 5
    with pytest.raises(ValueError, match=r"backend to be one of spring.*Did you mean spring"):
        make_with_options(HOPPER, {"backend": "sprng"})
    with pytest.raises(ValueError, match=r"has no auto_reset; expected one of team"):
        make_with_options(HOPPER, {"auto_reset": True})
    with pytest.raises(ValueError, match=r"has no action_repeat; expected one of team"):
        make_with_options(HOPPER, {"action_repeat": 2})
    with pytest.raises(TypeError, match=r"multiple values.*action_repeat"):
        envs.make(HOPPER, action_repeat=2)


def test_the_humanoid_is_padded_and_drawn_in_whole_hundredths_of_a_second():
    env = envs.make("jaxmarl:humanoid_9|8")
    assert env.frame_milliseconds == 30  # Two steps of 15 ms.
    assert env.settings["action_dimensions"] == [9, 8] and "(9, 8)" in repr(env)


QUIET = """
import sys
before = [sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__]
import envs
env = envs.make("jaxmarl:halfcheetah_6x1")
assert before == [sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__]
print(env)
"""


@pytest.mark.thorough
def test_making_a_body_says_nothing_writes_nothing_and_leaves_the_streams(tmp_path):
    paths = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", QUIET]
    done = subprocess.run(
        command, cwd=tmp_path, env=os.environ | paths, capture_output=True, text=True, timeout=120
    )
    assert (done.stdout, done.stderr) == ("BraxEnv(HalfCheetah, 6 agents)\n", "")
    # MuJoCo would leave a MUJOCO_LOG.TXT.
    assert list(tmp_path.iterdir()) == []


def test_points_are_turned_as_a_quaternion_says():
    half = np.sqrt(0.5)
    # A quarter turn about the vertical takes what is ahead to the left.
    turned = rotate(np.array([[1.0, 0, 0], [0, 0, 2]]), np.array([half, 0, 0, half]))
    np.testing.assert_allclose(turned, [[0, 1, 0], [0, 0, 2]], atol=1e-12)


def test_a_body_is_drawn_in_the_colours_of_its_agents_and_in_real_time(tmp_path):
    env, _, _ = compiled(HOPPER, episode_length=LIMIT)
    states, _ = play(HOPPER, 0.0, episode_length=LIMIT)
    frames = env.animate(states, save_path=tmp_path / "replay.gif")
    # A state each 8 ms, a picture each 40 ms: of the 21 states the 1st, 6th, 11th, 16th, and last.
    assert len(frames) == 5 and env.frame_milliseconds == 40
    for frame, step in zip(frames, (0, 5, 10, 15, 20), strict=True):
        said = add_strip(frame[:0], f"step {step} of 20")
        np.testing.assert_array_equal(frame[-STRIP_PIXELS:], said)
    assert (tmp_path / "replay.gif").read_bytes()[:4] == b"GIF8"
    colours = [ImageColor.getrgb(colour) for colour in COLOURS]
    is_shown = [(frames[0] == colour).all(axis=-1) for colour in colours]
    assert [bool(shown.any()) for shown in is_shown] == [True] * 3 + [False] * 3
    # Thigh above leg above foot, all of them above the ground.
    rows = [np.flatnonzero(shown.any(axis=1)).mean() for shown in is_shown[:3]]
    assert rows[0] < rows[1] < rows[2] < GROUND


@pytest.fixture
def no_brax(monkeypatch):
    monkeypatch.setitem(sys.modules, "brax", None)


def test_without_brax_the_line_that_installs_it_is_given(no_brax, tmp_path, capsys):
    line = r"jaxmarl:ant_4x2: expected the package brax.*pip install \".+\[brax\]\""
    with pytest.raises(ImportError, match=line):
        envs.make("jaxmarl:ant_4x2")
    with pytest.raises(ValueError, match=r"needs a package that is missing: " + line):
        make_with_options("jaxmarl:ant_4x2", {"backend": "spring"})
    with pytest.raises(SystemExit, match="2"):
        run.main(["--env", "jaxmarl:ant_4x2", "--out", str(tmp_path / "run")])
    assert "[brax]" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


# jumanji's searchers

SEARCH = {"num_targets": 2, "time_limit": 6}


def test_searchers_are_cut_off_by_the_clock_though_jumanji_calls_it_a_termination():
    _, timesteps = play("jumanji:SearchAndRescue-v0", 0.0, **SEARCH)
    assert len(timesteps) - 1 == 6 and timesteps[-1].discount == 1
    assert timesteps[-1].extras == {"success": 0, "targets_remaining": 1}


def test_finding_all_targets_terminates_with_success_and_is_rewarded():
    env, reset, step = compiled("jumanji:SearchAndRescue-v0", **SEARCH)
    state, _ = reset(jax.random.key(0))
    game = state.game
    # Both targets lie ahead of the first searcher, within reach.
    ahead = jnp.stack([jnp.cos(game.searchers.heading[0]), jnp.sin(game.searchers.heading[0])])
    place = game.searchers.pos[0] + (game.searchers.speed[0] + 0.01) * ahead
    targets = game.targets.replace(pos=jnp.stack([place, place]) % 1, vel=jnp.zeros((2, 2)))
    state = state._replace(game=game.replace(targets=targets))
    state, timestep = step(state, jnp.zeros((2, 2)))
    assert timestep.last() and timestep.discount == 0 and timestep.extras["success"] == 1
    # One for each target: the sum of the searchers' rewards, in the first step whole.
    np.testing.assert_allclose(timestep.reward, 2, rtol=1e-6)


def test_a_searcher_turns_as_its_action_says():
    env, reset, step = compiled("jumanji:SearchAndRescue-v0", **SEARCH)
    state, _ = reset(jax.random.key(0))
    after, _ = step(state, jnp.array([[0.5, 0.0], [-5.0, 0.0]]))
    turned = after.game.searchers.heading - state.game.searchers.heading
    # A quarter of pi is the most that it can turn in a step.
    expected = np.array([0.5, -1]) * 0.25 * np.pi
    np.testing.assert_allclose(np.cos(turned), np.cos(expected), atol=1e-5)
    np.testing.assert_allclose(np.sin(turned), np.sin(expected), atol=1e-5)
