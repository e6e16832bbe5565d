"""What every environment must do; a name added to `ENVIRONMENTS` is tested by all of it.

A word after the name tells apart the same environment with other options.
"""

import importlib.util
import subprocess
import sys
from functools import cache

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import envs
import oatrpo_jax
from envs.base import STRIP_PIXELS, add_strip
from oatrpo_jax.types import acts_continuously
from tests.jax_settings import JAX_SETTINGS, type_names

needs_engine = pytest.mark.skipif(
    importlib.util.find_spec("gfootball_engine") is None, reason="gfootball_engine is missing"
)
DAILY, THOROUGH, SLOW = [], [pytest.mark.thorough], [pytest.mark.slow]
ENVIRONMENTS = {
    "maze:black-red": DAILY,
    "maze:black-blue-red": THOROUGH,
    "smax:3m": DAILY,
    "smax:2s3z": SLOW,
    "smax:smacv2_5_units": SLOW,
    "smax:MMM2": SLOW,
    "football:academy_3_vs_1_with_keeper": DAILY,
    "football:academy_pass_and_shoot_with_keeper": SLOW,
    "football:academy_counterattack_easy": SLOW,
    "football:academy_counterattack_hard": SLOW,
    "grf:academy_3_vs_1_with_keeper": [needs_engine],
    "grf:academy_counterattack_hard": [needs_engine, *SLOW],
    "jaxmarl:MPE_simple_spread_v3": THOROUGH,
    "jaxmarl:switch_riddle": DAILY,
    "jumanji:Cleaner-v0": DAILY,
    "jaxmarl:MPE_simple_reference_v3": SLOW,
    "jaxmarl:MPE_simple_speaker_listener_v4": SLOW,
    "jaxmarl:MPE_simple_tag_v3": SLOW,
    "jaxmarl:MPE_simple_adversary_v3": SLOW,
    "jaxmarl:MPE_simple_push_v3": SLOW,
    "jaxmarl:HeuristicEnemySMAX": SLOW,
    "jaxmarl:overcooked": SLOW,
    "jaxmarl:overcooked_v2": SLOW,
    "jaxmarl:hanabi": SLOW,
    "jaxmarl:jaxnav": SLOW,
    "jaxmarl:coin_game": SLOW,
    "jumanji:Connector-v3": SLOW,
    "jumanji:RobotWarehouse-v0": SLOW,
    "jumanji:LevelBasedForaging-v0": SLOW,
    "jumanji:MMST-v0": SLOW,
    "jaxmarl:MPE_simple_speaker_listener_v4 continuous": DAILY,
    "jaxmarl:MPE_simple_spread_v3 continuous": SLOW,
    "jaxmarl:MPE_simple_reference_v3 continuous": SLOW,
    "jaxmarl:MPE_simple_tag_v3 continuous": SLOW,
    "jaxmarl:MPE_simple_world_comm_v3": SLOW,
    "jaxmarl:MPE_simple_facmac_v1": SLOW,
    "jaxmarl:jaxnav continuous": SLOW,
    "jaxmarl:hopper_3x1": THOROUGH,
    "jaxmarl:ant_4x2": SLOW,
    "jaxmarl:halfcheetah_6x1": SLOW,
    "jaxmarl:humanoid_9|8": SLOW,
    "jaxmarl:walker2d_2x3": SLOW,
    "jumanji:SearchAndRescue-v0": SLOW,
}
DRAWN = (
    "maze:black-red",
    "smax:3m",
    "football:academy_3_vs_1_with_keeper",
    "jaxmarl:hopper_3x1",
)
"""One of each family that has pictures of ours."""
QUICK = ("maze:black-red", "jaxmarl:switch_riddle", "jumanji:Cleaner-v0")
"""Compiled and stepped in few seconds: tests that compile for themselves run on these daily."""
OPTIONS = {
    "jaxmarl:MPE_simple_spread_v3": {"max_steps": 9},
    "jaxmarl:MPE_simple_tag_v3": {"team": "adversary"},
    "jaxmarl:MPE_simple_adversary_v3": {"team": "agent"},
    "jaxmarl:MPE_simple_push_v3": {"team": "agent"},
    "jaxmarl:overcooked": {"max_steps": 40},
    "jaxmarl:overcooked_v2": {"max_steps": 40, "random_agent_positions": True},
    "jaxmarl:jaxnav": {"max_steps": 40},
    "jaxmarl:MPE_simple_speaker_listener_v4 continuous": {
        "action_type": "Continuous",
        "max_steps": 9,
    },
    "jaxmarl:MPE_simple_spread_v3 continuous": {"action_type": "Continuous"},
    "jaxmarl:MPE_simple_reference_v3 continuous": {"action_type": "Continuous"},
    "jaxmarl:MPE_simple_tag_v3 continuous": {"action_type": "Continuous", "team": "adversary"},
    "jaxmarl:MPE_simple_world_comm_v3": {"team": "adversary"},
    "jaxmarl:MPE_simple_facmac_v1": {"team": "adversary"},
    "jaxmarl:jaxnav continuous": {"act_type": "Continuous", "max_steps": 40},
    "jaxmarl:ant_4x2": {"episode_length": 40},
    "jaxmarl:halfcheetah_6x1": {"episode_length": 40},
    "jaxmarl:walker2d_2x3": {"episode_length": 40},
    "jumanji:SearchAndRescue-v0": {"num_targets": 5, "time_limit": 40},
    "jumanji:LevelBasedForaging-v0": {"grid_size": 5, "num_food": 1, "time_limit": 20},
    "jumanji:Cleaner-v0": {"num_rows": 3, "num_cols": 3},
    "jumanji:Connector-v3": {"grid_size": 5, "num_agents": 2},
    "jumanji:RobotWarehouse-v0": {"shelf_rows": 1, "num_agents": 2, "time_limit": 40},
}
"""Where the default would take long, or asks for a choice."""
LARGE_FEATURES = {
    "jaxmarl:overcooked": 20,  # Steps that a pot still has to cook.
    "jaxmarl:overcooked_v2": 20,
    "jaxmarl:HeuristicEnemySMAX": 32,  # The map's width; positions in the world state.
    "jumanji:RobotWarehouse-v0": 11,  # Rows of the warehouse, which jumanji does not bound.
    "jaxmarl:ant_4x2": 50,  # Radians per second, of the joints.
    "jaxmarl:halfcheetah_6x1": 100,
    "jaxmarl:humanoid_9|8": 300,  # Torques.
}
"""Bound of the features that adapters hand on as they are, where it is not 10."""
FIXED_STARTS = ("football:", "grf:")
"""Environments with these prefixes always start alike, as the original does."""
MAX_STEPS = 500
"""No environment may need more random steps than this for an episode."""


@cache
def compiled(name):
    """Returns the environment with its jitted reset and step, compiled once for all tests."""
    env = envs.make(name.partition(" ")[0], **OPTIONS.get(name, {}))
    return env, jax.jit(env.reset), jax.jit(env.step)


def random_action(env, mask, rng):
    """Returns legal actions; raw ones of two deviations, the dimensions that are not there too."""
    if acts_continuously(env):
        return jnp.asarray(2 * rng.normal(size=mask.shape), jnp.float32)
    return jnp.array([rng.choice(np.flatnonzero(legal)) for legal in np.asarray(mask)], jnp.int32)


def first_action(env, mask):
    """Returns the first legal action of each agent, or the middle of its box."""
    if acts_continuously(env):
        return jnp.zeros(mask.shape, jnp.float32)
    return jnp.argmax(mask, axis=-1).astype(jnp.int32)


def strip(text, width):
    """Returns the strip ``[STRIP_PIXELS, W, 3]`` that says a text."""
    return add_strip(np.zeros((0, width, 3), np.uint8), text)


@cache
def random_episode(name, seed=0):
    """Returns the states and time steps of an episode of random legal actions."""
    env, reset, step = compiled(name)
    state, timestep = reset(jax.random.key(seed))
    states, timesteps = [state], [jax.device_get(timestep)]
    rng = np.random.default_rng(seed)
    while not timesteps[-1].last() and len(states) <= MAX_STEPS:
        action = random_action(env, timesteps[-1].observation.action_mask, rng)
        state, timestep = step(states[-1], action)
        states.append(state)
        timesteps.append(jax.device_get(timestep))
    return states, timesteps


def rows(daily=ENVIRONMENTS):
    """Returns the environments as parameters, of which those not in `daily` are thorough."""
    return [
        pytest.param(name, marks=marks if name in daily else [*marks, *THOROUGH])
        for name, marks in ENVIRONMENTS.items()
    ]


@pytest.fixture(params=rows())
def name(request):
    return request.param


compiles_for_itself = pytest.mark.parametrize("name", rows(QUICK))


def test_names_are_registered(name):
    assert name.partition(" ")[0] in envs.registered_names()


@pytest.mark.parametrize("family", ["jaxmarl", "jumanji"])
def test_every_adapted_environment_that_is_said_to_work_is_tested(family):
    named = {name for name in envs.registered_names() if name.startswith(f"{family}:")}
    assert named and named <= set(ENVIRONMENTS)


def test_the_trainer_takes_it(name):
    oatrpo_jax.check_env(compiled(name)[0])


def test_sizes_and_types_describe_the_agents(name):
    env, _, _ = compiled(name)
    assert len(env.agent_types) == env.num_agents >= 1
    assert all(isinstance(kind, str) for kind in env.agent_types)
    assert env.num_actions >= (1 if acts_continuously(env) else 2)


def test_observations_have_the_shapes_and_dtypes_of_the_protocol(name):
    env, _, _ = compiled(name)
    for timestep in random_episode(name)[1]:
        seen = timestep.observation
        chex.assert_shape(seen.agents_view, (env.num_agents, None))
        chex.assert_shape(seen.action_mask, (env.num_agents, env.num_actions))
        chex.assert_shape(seen.global_state, (None,))
        chex.assert_shape(seen.active, (env.num_agents,))
        chex.assert_type([seen.agents_view, seen.global_state], jnp.float32)
        chex.assert_type([seen.action_mask, seen.active], bool)


def test_values_conform_to_the_specs(name):
    env, _, _ = compiled(name)
    kept = [f"{part}_spec" for part in ("observation", "action", "reward", "discount")]
    for spec in kept:
        env.__dict__.pop(spec, None)
    # Whoever asks for them first inside a jit must not leave tracers in them.
    jax.eval_shape(lambda: [getattr(env, spec) for spec in kept] and 0)
    for timestep in random_episode(name)[1][:10]:
        env.observation_spec.validate(timestep.observation)
        env.reward_spec.validate(timestep.reward)
        env.discount_spec.validate(timestep.discount)
    mask = random_episode(name)[1][0].observation.action_mask
    env.action_spec.validate(random_action(env, mask, np.random.default_rng(0)))


def test_reward_and_discount_are_float32_scalars(name):
    for timestep in random_episode(name)[1]:
        chex.assert_shape([timestep.reward, timestep.discount], ())
        chex.assert_type([timestep.reward, timestep.discount], jnp.float32)
        assert jnp.isfinite(timestep.reward) and 0 <= timestep.discount <= 1


def test_tree_shapes_and_dtypes_never_change(name):
    states, timesteps = random_episode(name)
    chex.assert_trees_all_equal_shapes_and_dtypes(*states)
    chex.assert_trees_all_equal_shapes_and_dtypes(*timesteps)


def test_extras_are_float32_scalars_and_a_success_is_in_0_to_1(name):
    for timestep in random_episode(name)[1]:
        chex.assert_shape(list(timestep.extras.values()), ())
        chex.assert_type(list(timestep.extras.values()), jnp.float32)
        assert 0 <= timestep.extras.get("success", 0) <= 1


def test_features_are_finite_and_of_order_1(name):
    bound = LARGE_FEATURES.get(name, 10)
    for timestep in random_episode(name)[1]:
        for features in (timestep.observation.agents_view, timestep.observation.global_state):
            assert np.isfinite(features).all() and np.abs(features).max() <= bound


def test_each_agent_always_has_a_legal_action(name):
    for timestep in random_episode(name)[1]:
        assert timestep.observation.action_mask.any(axis=-1).all()


def test_episode_starts_with_first_and_ends_with_last(name):
    _, timesteps = random_episode(name)
    assert timesteps[0].first() and timesteps[0].reward == 0 and timesteps[0].discount == 1
    assert [bool(timestep.last()) for timestep in timesteps[:-1]] == [False] * (len(timesteps) - 1)
    assert timesteps[-1].last()


def test_only_the_last_step_may_terminate(name):
    _, timesteps = random_episode(name)
    assert all(timestep.discount > 0 for timestep in timesteps[:-1])


def test_the_last_step_is_not_followed_by_a_reset(name):
    env, _, step = compiled(name)
    states, timesteps = random_episode(name)
    _, timestep = step(states[-1], first_action(env, timesteps[-1].observation.action_mask))
    assert not timestep.first()
    # A hidden reset would begin a new episode, which would not be over after one step.
    assert timestep.last()


@pytest.mark.parametrize("name", [row for row in rows() if row.values[0] in DRAWN])
def test_below_each_picture_is_its_step_and_how_many_there_are(name):
    env, _, _ = compiled(name)
    states = random_episode(name)[0][:11]
    frames = env.animate(states)
    strips, width = frames[:, -STRIP_PIXELS:], frames.shape[2]
    num_steps = len(states) - 1
    np.testing.assert_array_equal(strips[0], strip(f"step 0 of {num_steps}", width))
    np.testing.assert_array_equal(strips[-1], strip(f"step {num_steps} of {num_steps}", width))
    assert len({each.tobytes() for each in strips}) == len(frames)
    # What a viewer draws stands above, whole.
    states = jax.device_get(states)
    picture = env.viewer.render(states[-1], env.viewer.follow(states))
    np.testing.assert_array_equal(frames[-1, :-STRIP_PIXELS], picture)


@compiles_for_itself
def test_jit_changes_nothing(name):
    env, reset, step = compiled(name)
    key = jax.random.key(1)
    jitted, plain = reset(key), env.reset(key)
    chex.assert_trees_all_close(jitted[1], plain[1], rtol=1e-5, atol=1e-5)
    chex.assert_trees_all_equal_shapes_and_dtypes(jitted[0], plain[0])
    action = first_action(env, plain[1].observation.action_mask)
    jitted, plain = step(plain[0], action), env.step(plain[0], action)
    chex.assert_trees_all_close(jitted[1], plain[1], rtol=1e-5, atol=1e-5)
    chex.assert_trees_all_equal_shapes_and_dtypes(jitted[0], plain[0])


def test_step_is_traced_once(name):
    random_episode(name)
    _, _, step = compiled(name)
    assert step._cache_size() == 1


@pytest.mark.parametrize("setting", JAX_SETTINGS.values(), ids=JAX_SETTINGS)
@pytest.mark.parametrize("name", ["maze:black-red", "football:academy_3_vs_1_with_keeper"])
def test_types_are_the_same_whatever_jax_makes_by_default(name, setting):
    def types():
        env = envs.make(name)
        state, first = jax.eval_shape(env.reset, jax.random.key(0))
        action = jax.ShapeDtypeStruct((env.num_agents,), jnp.int32)
        return type_names((state, first)), type_names(jax.eval_shape(env.step, state, action))

    reset, step = types()
    assert reset == step  # A weak type of one of them would have a step traced twice.
    with setting():
        assert types() == (reset, step)


@compiles_for_itself
def test_vmap_equals_a_loop(name):
    env, reset, step = compiled(name)
    keys = jax.random.split(jax.random.key(2), 3)
    states, timesteps = jax.jit(jax.vmap(env.reset))(keys)
    actions = first_action(env, timesteps.observation.action_mask)
    _, batch = jax.jit(jax.vmap(env.step))(states, actions)
    for lane, key in enumerate(keys):
        _, single = step(reset(key)[0], actions[lane])
        picked = jax.tree.map(lambda leaf, lane=lane: leaf[lane], batch)
        chex.assert_trees_all_close(picked, single, rtol=1e-5, atol=1e-5)


def test_the_key_decides_the_episode(name):
    env, reset, step = compiled(name)
    if name.startswith(FIXED_STARTS):
        # The start is always the same: the key decides what chance does after it.
        def play(seed):
            state, timestep = reset(jax.random.key(seed))
            for index in range(60):
                action = jnp.full(env.num_agents, (5, 13, 12)[min(index, 2)], jnp.int32)
                state, timestep = step(state, action)
            return timestep.observation.global_state

        ends = [play(seed) for seed in (0, 0, 1, 2, 3)]
        assert (ends[0] == ends[1]).all() and any((ends[0] != end).any() for end in ends[2:])
        return
    state = reset(jax.random.key(0))[1].observation.global_state
    assert (reset(jax.random.key(0))[1].observation.global_state == state).all()
    others = [reset(jax.random.key(seed))[1].observation.global_state for seed in range(1, 6)]
    assert any((other != state).any() for other in others)


CONTINUOUS = (
    *(name for name in ENVIRONMENTS if name.endswith(" continuous")),
    *("jaxmarl:ant_4x2", "jaxmarl:halfcheetah_6x1", "jaxmarl:hopper_3x1", "jaxmarl:humanoid_9|8"),
    *("jaxmarl:walker2d_2x3", "jaxmarl:MPE_simple_world_comm_v3", "jaxmarl:MPE_simple_facmac_v1"),
    "jumanji:SearchAndRescue-v0",
)
with_vectors = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=ENVIRONMENTS[name]) for name in CONTINUOUS]
)


def after_some_steps(name):
    """Returns a state in the middle of a random episode, and raw actions of one deviation."""
    env, _, _ = compiled(name)
    states, _ = random_episode(name)
    raw = jax.random.normal(jax.random.key(5), (env.num_agents, env.num_actions))
    return states[len(states) // 2], raw


def same_step(name, state, action, other):
    """Returns whether two actions lead to the same state and time step, to the bit."""
    _, _, step = compiled(name)
    pairs = zip(*(jax.tree.leaves(step(state, each)) for each in (action, other)), strict=True)
    as_numbers = [
        [
            jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x
            for x in pair
        ]
        for pair in pairs
    ]
    return all(bool((one == two).all()) for one, two in as_numbers)


def test_those_with_continuous_actions_say_so(name):
    env, _, _ = compiled(name)
    assert acts_continuously(env) == (name in CONTINUOUS)


@with_vectors
def test_an_action_decides_the_step(name):
    state, raw = after_some_steps(name)
    assert same_step(name, state, raw, raw)
    assert not same_step(name, state, raw, -raw)


@with_vectors
def test_beyond_its_box_an_action_is_that_at_the_edge(name):
    state, raw = after_some_steps(name)
    assert same_step(name, state, 1e6 * raw, jnp.sign(raw))


@with_vectors
def test_dimensions_that_an_agent_has_not_change_nothing(name):
    env, _, _ = compiled(name)
    state, raw = after_some_steps(name)
    mask = random_episode(name)[1][0].observation.action_mask
    assert mask.sum(axis=1).tolist() == env.settings["action_dimensions"]
    assert same_step(name, state, raw, jnp.where(mask, raw, 0.0))


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ("", "maze, maze:SCENARIO, smax:SCENARIO"),
        ("mase", "Did you mean maze"),
        ("MAZE", "Did you mean maze"),
        ("3m", r"Did you mean smax:3m\?"),
        ("SMAX:3m", r"Did you mean smax:3m\?"),
        ("smacs:3m", "Did you mean smax:3m or"),
        ("smacs:MMM", r"there is no module smacs. Did you mean smax:MMM"),
        ("MPE_simple_spread_v3", r"Did you mean jaxmarl:MPE_simple_spread_v3\?"),
        ("LevelBasedForaging", r"Did you mean jumanji:LevelBasedForaging-v0"),
        ("academy_3_vs_1_with_keeper", "Did you mean football:academy_3.* or grf:academy_3"),
        ("maze:", "of black-red, black-blue-red, got ''"),
        ("maze:green", "of black-red, black-blue-red, got 'green'"),
        ("smax", "SCENARIO in smax:SCENARIO to be one of .*MMM2.*, got ''"),
        ("smax:3mm", r"MMM2.* Did you mean 3m"),
        ("jaxmarl:MPE_simple_spred_v3", "Did you mean MPE_simple_spread_v3"),
        ("jumanji:", "Connector-v3"),
    ],
)
def test_an_unknown_name_is_refused_with_those_that_are_near(wrong, expected):
    with pytest.raises(ValueError, match=expected) as caught:
        envs.make(wrong)
    assert len(str(caught.value)) < 500  # All names together would be 1,300 characters.


def test_the_short_name_is_black_and_red():
    assert repr(envs.make("maze")) == repr(envs.make("maze:black-red"))


def test_options_reach_the_environment():
    assert envs.make("maze", num_per_colour=3).num_agents == 6


def test_listing_names_loads_no_heavy_library():
    program = "import envs, sys; envs.registered_names(); assert 'jaxmarl' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
