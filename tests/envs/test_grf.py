"""The bridge to the original engine: over matches in numpy, so that no engine is needed."""

import dataclasses
import sys
import warnings

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import envs
from envs.football.types import End
from envs.grf import env as grf_env
from envs.grf.pool import Pool
from experiments import run
from experiments.training import program
from experiments.training.settings.command_line import parse
from experiments.training.settings.defaults import AlgorithmName, get_preset
from experiments.training.settings.experiment import build
from experiments.training.settings.options import Run
from oatrpo_jax.config import Config
from oatrpo_jax.hyperparams import Hyperparams
from oatrpo_jax.train import make_trainer
from tests.envs.made_up_match import SCENARIO, MadeUpMatch


def step_args(seed, actions, is_over=False, length=30):
    """Returns the arguments of `Pool.step` for the last of the actions, after all before it."""
    history = np.zeros((length, 3), np.int8)
    history[: len(actions)] = actions  # The last one is beyond what has been played.
    return (
        np.uint32(seed),
        np.bool_(False),
        np.int32(len(actions) - 1),
        history,
        np.array(actions[-1], np.int8),
        np.bool_(is_over),
    )


def played(seed, actions):
    """Returns the ball's place after these actions on a match of its own."""
    match = MadeUpMatch()
    match.start(seed, False)
    for action in actions:
        match.step(action)
    return match.facts()["ball"]


ACTIONS = [[1, 2, 3], [4, 5, 6], [7, 8, 9], [10, 11, 12]]


def test_going_on_from_where_a_match_stands_replays_nothing():
    pool = Pool(MadeUpMatch, capacity=4)
    for count in range(1, 5):
        moment, end = pool.step(*step_args(7, ACTIONS[:count]))
        np.testing.assert_array_equal(moment["ball"], played(7, ACTIONS[:count]))
        assert end == End.NOT
    assert (pool.num_steps, pool.num_replayed) == (4, 0)


def test_a_second_step_from_one_state_plays_the_episode_again():
    pool = Pool(MadeUpMatch, capacity=4)
    for count in range(1, 5):
        pool.step(*step_args(7, ACTIONS[:count]))
    other = [*ACTIONS[:3], [0, 0, 1]]
    moment, _ = pool.step(*step_args(7, other))
    np.testing.assert_array_equal(moment["ball"], played(7, other))
    assert pool.num_replayed == 3
    assert not np.array_equal(played(7, other), played(7, ACTIONS))


def test_one_match_for_three_episodes_gives_the_same_results():
    pool = Pool(MadeUpMatch, capacity=1)
    for count in range(1, 5):
        rows = [step_args(seed, ACTIONS[:count]) for seed in (7, 8, 9)]
        moment, _ = pool.step(*(np.stack(column) for column in zip(*rows, strict=True)))
        expected = [played(seed, ACTIONS[:count]) for seed in (7, 8, 9)]
        np.testing.assert_array_equal(moment["ball"], expected)
    # Every row of the second to fourth step begins anew: 3 x (1 + 2 + 3).
    assert pool.num_replayed == 18


def test_equal_rows_of_a_batch_need_no_replays():
    pool = Pool(MadeUpMatch, capacity=4)
    for count in range(1, 5):
        rows = [step_args(7, ACTIONS[:count])] * 3
        moment, _ = pool.step(*(np.stack(column) for column in zip(*rows, strict=True)))
        np.testing.assert_array_equal(moment["ball"], [played(7, ACTIONS[:count])] * 3)
    assert pool.num_replayed == 0


def test_matches_are_taken_up_again_when_their_episodes_have_ended():
    made = []
    pool = Pool(lambda: made.append(1) or MadeUpMatch(), capacity=100)
    for seed in (0, 16, 32):  # Each lasts 5 steps.
        actions = [[0, 0, 0]] * 5
        ends = [int(pool.step(*step_args(seed, actions[:count]))[1]) for count in range(1, 6)]
        assert ends == [End.NOT] * 4 + [End.OUT]
    assert len(made) == 1


def test_where_an_episode_is_over_nothing_is_played():
    pool = Pool(MadeUpMatch, capacity=4)
    rows = [step_args(7, ACTIONS[:1]), step_args(8, ACTIONS[:1], is_over=True)]
    pool.step(*(np.stack(column) for column in zip(*rows, strict=True)))
    assert pool.num_steps == 1
    moment, _ = pool.step(*step_args(8, ACTIONS[:1], is_over=True))
    assert moment["ball"].shape == (3,) and pool.num_steps == 1


def test_too_few_matches_are_told_of_once():
    pool = Pool(MadeUpMatch, capacity=1)
    pool.num_replayed = 9_999
    with warnings.catch_warnings(record=True) as warned:
        for count in range(1, 5):
            for seed in (7, 8):
                pool.step(*step_args(seed, ACTIONS[:count]))
    assert ["Raise max_engines" in str(warning.message) for warning in warned] == [True]


@pytest.fixture
def made_up(monkeypatch):
    """A `grf` environment without the engine."""
    monkeypatch.setattr(grf_env, "Match", MadeUpMatch)
    return envs.make(f"grf:{SCENARIO}")


def test_nested_vmaps_call_the_host_once_a_step_and_equal_single_steps(made_up, monkeypatch):
    batches = []
    step = made_up._pool.step

    def count(seed, *rest):
        batches.append(np.shape(seed))
        return step(seed, *rest)

    monkeypatch.setattr(made_up._pool, "step", count)
    keys = jax.random.split(jax.random.key(0), (2, 3))
    actions = jax.random.randint(jax.random.key(1), (6, 2, 3, 3), 0, 19)

    def play(key, actions):
        return jax.lax.scan(made_up.step, made_up.reset(key)[0], actions)

    states, timesteps = jax.jit(jax.vmap(jax.vmap(play, (0, 1)), (0, 1)))(keys, actions)
    jax.block_until_ready(states)
    assert batches == [(2, 3)] * 6
    assert made_up._pool.num_replayed == 0
    for seed, env in np.ndindex(2, 3):
        single = jax.jit(play)(keys[seed, env], actions[:, seed, env])
        batch = jax.tree.map(lambda x, at=(seed, env): x[at], (states, timesteps))
        chex.assert_trees_all_close(batch[1], single[1], rtol=1e-6)
        np.testing.assert_array_equal(batch[0].moment.ball, single[0].moment.ball)


def test_a_state_goes_on_alike_in_another_process(made_up):
    """A new pool, as after a resumed run, has to play the episode again."""
    step = jax.jit(made_up.step)
    state, _ = jax.jit(made_up.reset)(jax.random.key(3))
    for action in ACTIONS[:3]:
        state, _ = step(state, jnp.array(action))
    other = envs.make(f"grf:{SCENARIO}")
    expected, got = (each(state, jnp.array(ACTIONS[3])) for each in (step, jax.jit(other.step)))
    chex.assert_trees_all_close(expected[1], got[1])
    assert (made_up._pool.num_replayed, other._pool.num_replayed) == (0, 3)


def test_the_key_decides_seed_and_order_unless_the_order_is_asked_for(made_up):
    seen = []
    for first_team, expected in (("either", {0, 1}), ("left", {0}), ("right", {1})):
        env = envs.make(f"grf:{SCENARIO}", first_team=first_team)
        orders = set()

        def note(seed, is_reversed, *rest, step=env._pool.step, orders=orders):
            orders.add(int(is_reversed))
            seen.append(int(seed))
            return step(seed, is_reversed, *rest)

        env._pool.step = note

        @jax.jit
        def end_of_step(key, env=env):
            return env.step(env.reset(key)[0], jnp.zeros(3, jnp.int32))[0].end

        for key in range(8):
            assert end_of_step(jax.random.key(key)) == End.NOT
        assert orders == expected
    # The same eight seeds whatever the order, all in the engine's range.
    assert len(set(seen)) == 8 and all(0 <= seed < 2**31 for seed in seen)


def test_the_clock_truncates_and_the_other_ends_terminate(made_up):
    env = envs.make(f"grf:{SCENARIO}", time_limit=3)
    state, timestep = jax.jit(env.reset)(jax.random.key(0))
    step = jax.jit(env.step)
    for count in range(1, 4):
        state, timestep = step(state, jnp.zeros(3, jnp.int32))
        assert bool(timestep.last()) == (count == 3)
    assert timestep.discount == 1 and state.end == End.TIME
    state, _ = jax.jit(made_up.reset)(jax.random.key(0))
    step = jax.jit(made_up.step)
    for _ in range(20):
        state, timestep = step(state, jnp.zeros(3, jnp.int32))
    assert state.end == End.OUT and timestep.discount == 0 and timestep.last()
    assert timestep.extras["out"] == 1 and timestep.reward == 0


@pytest.mark.thorough
def test_training_never_plays_an_episode_again(made_up):
    """Ends, fresh starts shared by two episodes and an evaluation in between included."""
    config = Config(
        num_envs=3, rollout_length=12, reset_interval=6, hidden_sizes=(4,), num_updates=1
    )
    trainer = make_trainer(made_up, "mappo", config)
    state = jax.jit(trainer.init)(jax.random.key(0))
    step, evaluate = jax.jit(trainer.step), jax.jit(trainer.evaluate, static_argnums=2)
    for _ in range(3):
        state, metrics = step(state, Hyperparams.create())
        played = evaluate(state.learner, jax.random.key(1), 4)
        assert all(np.isfinite(value) for value in played.values())
    assert 5 <= metrics["episode/length"] <= 20
    assert made_up._pool.num_replayed == 0


def test_a_batch_that_fills_megabytes_does_not_hang(made_up):
    """Arguments of 1.2 MB: the histories of 1024 episodes."""
    env = envs.make(f"grf:{SCENARIO}", max_engines=1024)
    keys = jax.random.split(jax.random.key(0), 1024)
    states, _ = jax.jit(jax.vmap(env.reset))(keys)
    _, timesteps = jax.jit(jax.vmap(env.step))(states, jnp.ones((1024, 3), jnp.int32))
    assert len(np.unique(timesteps.observation.global_state[:, 88])) > 100


@pytest.mark.parametrize("algorithm", AlgorithmName.__args__)
def test_by_default_no_run_holds_more_matches_than_engines(made_up, algorithm):
    num_envs, num_seeds = get_preset(f"grf:{SCENARIO}", algorithm).config["num_envs"], Run().seeds
    made_up.check_episodes(num_envs * num_seeds)


def test_a_run_of_more_matches_than_engines_is_a_usage_error(made_up, tmp_path, capsys):
    grid = ["--seeds", "3", "--reuse-sigma", "0.1", "1"]
    with pytest.raises(SystemExit, match="2"):
        run.main(["--env", f"grf:{SCENARIO}", *grid, "--out", str(tmp_path / "run")])
    errors = " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert "num_envs x points x seeds = 25 x 2 x 3: Expected at most max_engines = 128" in errors
    # 150 engines of 60 MB.
    assert "got 150" in errors and "max_engines=150 by --env-option (9.0 GB)" in errors
    assert not (tmp_path / "run").exists()


def test_a_run_of_more_matches_than_engines_that_exists_goes_on(made_up, tmp_path, monkeypatch):
    options = parse(["--env", f"grf:{SCENARIO}", "--seeds", "6"])

    def begin(*_):
        raise InterruptedError  # Far enough.

    monkeypatch.setattr(program, "make_init", begin)
    for resume, expected in ((None, ValueError), (tmp_path, InterruptedError)):
        this = dataclasses.replace(options, run=dataclasses.replace(options.run, resume=resume))
        with pytest.raises(expected):
            program.trace(build(this))


@pytest.fixture
def no_engine(monkeypatch):
    monkeypatch.setitem(sys.modules, "gfootball_engine", None)


def test_without_the_engine_the_error_says_how_to_install_it(no_engine):
    with pytest.raises(ImportError, match=r"docs/football-bridge.md.*gfootball==2.10.2"):
        envs.make(f"grf:{SCENARIO}")


@pytest.mark.parametrize("option", [[], ["--env-option", "observation=simple115v2"]])
def test_without_the_engine_a_run_is_a_usage_error(no_engine, option, tmp_path, capsys):
    with pytest.raises(SystemExit) as exit_:
        run.main(["--env", f"grf:{SCENARIO}", *option, "--out", str(tmp_path / "run")])
    assert exit_.value.code == 2
    errors = " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert "needs a package that is missing" in errors and "gfootball==2.10.2" in errors
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("option", "expected"),
    [({"first_team": "both"}, "either, left, right"), ({"max_engines": 0}, "max_engines >= 1")],
)
def test_wrong_options_are_refused(made_up, option, expected):
    with pytest.raises(ValueError, match=expected):
        envs.make(f"grf:{SCENARIO}", **option)
