"""SMAX: the protocol, the ends of an episode, and that jaxmarl's battles are left as they are."""

from __future__ import annotations

import functools
import importlib.metadata
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

import envs.smax
from envs.smax import units
from tests.conftest import TO_THE_BIT

STOP = 4


@pytest.fixture(scope="module")
def env():
    return envs.smax.make("3m")


@pytest.fixture(scope="module")
def step(env):
    return jax.jit(env.step)


@pytest.fixture(scope="module")
def start(env):
    return jax.jit(env.reset)(jax.random.key(0))


def with_battle(state, **changes):
    """Returns the state with some fields of jaxmarl's battle replaced."""
    battle = state.game.state.replace(**changes)
    return state._replace(game=state.game.replace(state=battle))


def apart(state, num_allies):
    """Returns the state with the teams out of each other's sight."""
    is_ally = np.arange(len(state.game.state.unit_health)) < num_allies
    place = (
        np.where(is_ally[:, None], [3.0, 3.0], [29.0, 29.0]) + np.arange(len(is_ally))[:, None] / 9
    )
    return with_battle(state, unit_positions=jnp.asarray(place, jnp.float32))


def random_legal(key, mask):
    return jax.random.categorical(key, jnp.where(mask, 0.0, -jnp.inf)).astype(jnp.int32)


def run_python(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_names_are_jaxmarls_and_ours():
    from envs.smax.battle import MAP_NAME_TO_SCENARIO

    assert set(units.STOCK_NAMES) == set(MAP_NAME_TO_SCENARIO)
    assert set(envs.smax.SCENARIO_NAMES) == set(MAP_NAME_TO_SCENARIO) | {"MMM", "MMM2"}


def test_listing_names_imports_neither_jaxmarl_nor_jax():
    code = "import sys, envs.smax; print({'envs.smax', 'jaxmarl', 'jax'} & sys.modules.keys())"
    assert run_python(code).strip() == "{'envs.smax'}"


@pytest.mark.thorough
def test_making_an_environment_prints_nothing_and_leaves_the_streams():
    code = """
import sys, envs.smax
streams = sys.stdout, sys.stderr, sys.__stdout__
sys.stderr = stderr = open('/dev/null', 'w')
envs.smax.make('3m')
assert (sys.stdout, sys.stderr, sys.__stdout__) == (streams[0], stderr, streams[2])
"""
    assert run_python(code) == ""


def test_a_misspelt_name_lists_the_names_and_a_guess():
    with pytest.raises(ValueError, match=r"6h_vs_8z.*MMM2.*Did you mean 3s5z_vs_3s6z"):
        envs.smax.make("3s5z_vs_3s6")


@pytest.mark.parametrize("version", ["0.1.0", "0.0.9", None])
def test_a_missing_or_old_jaxmarl_says_what_to_install(monkeypatch, version):
    from envs.jaxmarl_import import require_jaxmarl

    def find(name):
        if version is None:
            raise importlib.metadata.PackageNotFoundError(name)
        return version

    monkeypatch.setattr(importlib.metadata, "version", find)
    with pytest.raises(ImportError, match=r'they: expected.*jaxmarl.*pip install ".+\[jaxmarl\]"'):
        require_jaxmarl("they")


@pytest.mark.parametrize(("allies", "enemies"), [(0, 3), (3, 0)])
def test_a_scenario_with_an_empty_team_is_refused(allies, enemies):
    from envs.smax.battle import Scenario
    from envs.smax.env import Smax

    types = jnp.zeros(allies + enemies, jnp.uint8)
    with pytest.raises(ValueError, match=r"Expected num_(allies|enemies) >= 1, got 0"):
        Smax(Scenario(types, allies, enemies, False, False))


def test_bad_options_are_refused():
    from envs.smax.battle import Scenario
    from envs.smax.env import Smax

    with pytest.raises(ValueError, match="Expected max_steps >= 1, got 0"):
        envs.smax.make("3m", max_steps=0)
    with pytest.raises(ValueError, match="ally_order"):
        envs.smax.make("3m", ally_order="random")
    with pytest.raises(ValueError, match="unit_types"):
        Smax(Scenario(jnp.full(2, 9, jnp.uint8), 1, 1, False, False))


def test_specs_describe_what_comes(env, step, start):
    state, timestep = start
    env.observation_spec.validate(timestep.observation)
    _, later = step(state, jnp.full(3, STOP))
    env.observation_spec.validate(later.observation)
    env.reward_spec.validate(later.reward)
    env.discount_spec.validate(later.discount)
    env.action_spec.validate(jnp.full(3, STOP))
    assert (env.num_agents, env.num_actions) == (3, 8)
    assert env.agent_types == ("marine",) * 3


def test_reset_and_step_agree_in_types_so_that_step_is_traced_once(env, start):
    before = jax.eval_shape(lambda: env.reset(jax.random.key(0)))
    after = jax.eval_shape(env.step, before[0], jax.ShapeDtypeStruct((3,), jnp.int32))
    describe = lambda tree: [(x.shape, x.dtype, x.weak_type) for x in jax.tree.leaves(tree)]  # noqa: E731
    assert jax.tree.structure(before) == jax.tree.structure(after)
    assert describe(before) == describe(after)


def test_an_idle_episode_is_truncated_after_exactly_max_steps(step, start):
    # Stock SMAX with max_steps=100 lasts 101 steps.
    state = start[0]
    for count in range(1, 101):
        state, timestep = step(apart(state, 3), jnp.full(3, STOP))
        assert timestep.last() == (count == 100)
        assert timestep.discount == 1
        assert timestep.extras["success"] == 0
        assert timestep.extras["allies_left"] == 1


def test_the_end_is_told_from_the_state(step, start):
    alive = np.ones(6, bool)
    for dead, is_win, left in (([3, 4, 5], 1, 1), ([0, 1, 2], 0, 0), (range(6), 0, 0)):
        still = alive.copy()
        still[list(dead)] = False
        state = apart(start[0], 3)
        health = jnp.where(still, state.game.state.unit_health, 0.0)
        state = with_battle(state, unit_alive=jnp.asarray(still), unit_health=health)
        _, timestep = step(state, jnp.full(3, STOP))
        assert timestep.last()
        assert timestep.discount == 0
        assert timestep.extras["success"] == is_win
        assert timestep.extras["allies_left"] == left
        assert timestep.reward == is_win  # no damage was dealt, so the bonus alone
    _, timestep = step(apart(start[0], 3), jnp.full(3, STOP))
    assert not timestep.last()
    assert timestep.discount == 1


def test_a_win_at_the_limit_is_a_termination(step, start):
    still = jnp.array([True] * 3 + [False] * 3)
    state = apart(start[0], 3)._replace(step_count=jnp.int32(99))
    health = jnp.where(still, state.game.state.unit_health, 0.0)
    _, timestep = step(with_battle(state, unit_alive=still, unit_health=health), jnp.full(3, STOP))
    assert timestep.last()
    assert timestep.discount == 0
    assert timestep.extras["success"] == 1


def test_the_dead_are_inactive_and_may_only_stop(step, start):
    state = apart(start[0], 3)
    health = state.game.state.unit_health.at[1].set(0.0)
    alive = state.game.state.unit_alive.at[1].set(False)
    _, timestep = step(with_battle(state, unit_alive=alive, unit_health=health), jnp.full(3, STOP))
    seen = timestep.observation
    assert seen.active.tolist() == [True, False, True]
    assert np.flatnonzero(seen.action_mask[1]).tolist() == [STOP]
    assert (seen.agents_view[1] == 0).all()
    assert np.isclose(timestep.extras["allies_left"], 2 / 3)


def test_enemies_in_range_alone_may_be_shot(step, start):
    state = apart(start[0], 3)
    # One step takes no unit that stops anywhere.  A marine shoots 5 far: enemy 0 is 4 away from
    # ally 0, enemy 1 is 6 away; enemies without a cooldown to wait for shoot back, not walk.
    place = jnp.array([[3, 3], [3, 20], [20, 3], [7, 3], [9, 3], [29, 29]], jnp.float32)
    state = with_battle(state, unit_positions=place)
    _, timestep = step(state, jnp.full(3, STOP))
    legal = timestep.observation.action_mask[0]
    assert legal[: STOP + 1].all()
    assert legal[5]
    assert not legal[7]
    assert not timestep.observation.action_mask[1, 5:].any()


def test_everything_is_of_order_one(env, step):
    reset, draw, everything = jax.jit(env.reset), jax.jit(random_legal), []
    for episode in range(8):
        state, timestep = reset(jax.random.key(episode))
        for key in jax.random.split(jax.random.key(8 + episode), 40):
            state, timestep = step(state, draw(key, timestep.observation.action_mask))
            everything.append(jax.device_get(timestep.observation))
    seen = jax.tree.map(lambda *leaves: np.stack(leaves), *everything)
    assert seen.global_state.min() >= 0
    assert seen.global_state.max() <= 1
    assert np.abs(seen.agents_view).max() <= 1.5
    assert np.isfinite(seen.agents_view).all()
    assert not seen.active.all()  # somebody died, so the above saw it


def test_a_view_does_not_depend_on_the_index_of_its_owner(env, start):
    def swapped(state):
        order = jnp.array([2, 1, 0, 3, 4, 5])
        battle = state.game.state
        fields = ("unit_positions", "unit_health", "unit_weapon_cooldowns", "prev_attack_actions")
        return with_battle(state, **{name: getattr(battle, name)[order] for name in fields})

    def views(env, state):
        return env._agents_view(state.game.state)

    state = with_battle(start[0], unit_health=jnp.array([40.0, 30, 20, 45, 45, 45]))
    assert jnp.array_equal(views(env, state)[jnp.array([2, 1, 0])], views(env, swapped(state)))
    stock = envs.smax.make("3m", ally_order="index")
    assert jnp.array_equal(
        views(stock, state), jnp.stack([*stock.game.get_obs(state.game).values()])
    )
    assert not jnp.array_equal(views(stock, state)[0], views(stock, swapped(state))[2])


def test_the_agent_id_is_appended_only_when_asked_for(env):
    named = envs.smax.make("3m", agent_id=True)
    plain = env.observation_spec.agents_view.shape
    assert named.observation_spec.agents_view.shape == (3, plain[1] + 3)


def test_random_armies_have_no_fixed_types():
    env = envs.smax.make("smacv2_5_units")
    assert env.agent_types == ("random",) * 5


def check_same_as_stock(name, num_envs=4, num_steps=30):
    """Plays both from the same keys and compares states, views, masks and rewards bit for bit."""
    from envs.smax.battle import MAP_NAME_TO_SCENARIO, HeuristicEnemySMAX

    env = envs.smax.make(name, ally_order="index")
    stock = HeuristicEnemySMAX(scenario=MAP_NAME_TO_SCENARIO[name])
    compiled = functools.partial(jax.jit, compiler_options=TO_THE_BIT)
    reset_ours = compiled(jax.vmap(env.reset))
    step_ours = compiled(jax.vmap(env.step))
    reset_stock = compiled(jax.vmap(lambda key: stock.reset(jax.random.split(key)[1])))

    @compiled
    @jax.vmap
    def step_stock(key, game, action):
        orders = {agent: action[n] for n, agent in enumerate(stock.agents)}
        views, game, reward, *_ = stock.step_env(jax.random.split(key)[1], game, orders)
        return jnp.stack([views[agent] for agent in stock.agents]), game, reward["ally_0"]

    @compiled
    @jax.vmap
    def legal_stock(game):
        legal = stock.get_avail_actions(game)
        return [legal[agent] for agent in stock.agents]  # jit sorts a dict: ally_10 before ally_2

    draw = jax.jit(random_legal)
    keys = jax.random.split(jax.random.key(0), num_envs)
    state, timestep = reset_ours(keys)
    game = reset_stock(keys)[1]
    for t in range(num_steps):
        legal = np.stack(legal_stock(game), axis=1)
        np.testing.assert_array_equal(timestep.observation.action_mask, legal.astype(bool))
        action = draw(jax.random.key(t), timestep.observation.action_mask)
        views, game, reward = step_stock(state.key, game, action)
        state, timestep = step_ours(state, action)
        np.testing.assert_array_equal(timestep.observation.agents_view, views)
        np.testing.assert_array_equal(timestep.reward, reward)
        game = game.replace(state=game.state.replace(done=state.game.state.done))
        jax.tree.map(np.testing.assert_array_equal, state.game, game)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if name == "3m" else pytest.mark.slow)
        for name in units.STOCK_NAMES
    ],
)
def test_trajectories_are_those_of_stock_smax_bit_for_bit(name):
    check_same_as_stock(name, num_envs=2)


def test_a_gif_of_a_hundred_steps_has_a_frame_for_each_state(env, step, start, tmp_path):
    state = start[0]
    states = [state]
    for _ in range(100):
        state, _ = step(state, jnp.array([1, STOP, 5]))
        states.append(state)
    path = tmp_path / "deep" / "replay.gif"
    frames = env.animate(states, interval=50, save_path=str(path))
    assert frames.shape[0] == 101
    assert frames.dtype == np.uint8
    with Image.open(path) as gif:
        assert gif.n_frames > 1
        assert gif.size == frames.shape[2:0:-1]
    assert env.render(state).shape == frames.shape[1:]
