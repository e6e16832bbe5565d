import json
from functools import partial
from typing import Any, get_args

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rich.console import Console

import envs
from experiments import bench
from experiments.analysis.speed.programs import (
    OPEN_GATE,
    checksum,
    first_rollout,
    pairwise_kl,
    random_actions,
    random_policy,
    update,
)
from experiments.analysis.speed.timing import (
    QUICK,
    WHOLE,
    Side,
    compare_rates,
    seconds_of_run,
    time_in_turns,
)
from oatrpo_jax import Config, Hyperparams, Observation, make_trainer
from tests.probe_envs import RoleGame, Steering


def test_series_end_where_the_effort_does():
    assert WHOLE.series(2, 4, 8, 16) == [2, 4, 8, 16]
    assert QUICK.series(2, 4, 8, 16) == [2]  # 0.13 x 16 = 2.08
    assert QUICK.series(16, 64, 256, 1024) == [16, 64]


def measure(name, tmp_path):
    """Returns bench.json after a quick measurement of one section."""
    if name in bench.NEED_JAXMARL:
        pytest.importorskip("jaxmarl")
    assert bench.main([name, "--quick", "--out", str(tmp_path)]) == 0
    return json.loads((tmp_path / "bench.json").read_text())


def numbers(rows):
    """Returns every figure but the exponents, which may be below zero where nothing grows."""
    measured = [row for row in rows if row.get("size") != "exponent"]
    return [value for row in measured for value in row.values() if not isinstance(value, str)]


@pytest.mark.slow
def test_a_measurement_leaves_its_figures_and_says_that_it_was_quick(tmp_path, capsys):
    content = measure("reuse-cost", tmp_path)
    assert content["quick"] and "cores" in content["machine"] and "jax" in content["machine"]
    (section,) = content["sections"]
    assert section["name"] == "reuse-cost" and section["rows"]
    assert min(numbers(section["rows"])) > 0
    assert "these figures mean nothing" in " ".join(capsys.readouterr().out.split())


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in get_args(bench.Name) if name != "reuse-cost"])
def test_every_other_measurement_works_too_with_the_same_columns_in_all_rows(name, tmp_path):
    (section,) = measure(name, tmp_path)["sections"]
    assert min(numbers(section["rows"])) > 0
    assert all(list(row) == list(section["rows"][0]) for row in section["rows"])


def test_rates_are_told_as_multiples_of_the_first_sides():
    raw, learnt = (Side(lambda key: jnp.zeros(3), lambda x: (x + 1, ()), n) for n in (20, 40))
    raw.seconds, learnt.seconds = [1.0, 4.0, 2.0], [2.0, 16.0, 2.0]
    first, second = compare_rates("maze", {"raw": raw, "learnt": learnt}, repeats=0)
    # 20 steps in 1, 4 and 2 seconds.
    rate = {"steps/s": 10.0, "least": 5.0, "most": 20.0, "over raw": 1.0}
    assert first == {"environment": "maze", "what": "raw", **rate}
    # Twice the steps, in 2, 4 and 1 times the seconds: 1, 0.5 and 2 times the rate.
    assert second["over raw"] == 1.0 and second["steps/s"] == 20.0


def test_sides_are_run_in_turns_and_each_goes_on_from_its_last_run():
    one, two = (Side(lambda key: jnp.zeros(()), lambda x: (x + 1, ())) for _ in range(2))
    time_in_turns([one, two], repeats=3)
    assert len(one.seconds) == len(two.seconds) == 3
    assert one._carry == 4  # The first run warms up.


def test_random_actions_are_of_the_kind_that_the_environment_takes():
    mask = jnp.zeros((50, 3, 2), bool).at[..., 1].set(True)
    seen = Observation(jnp.zeros((50, 3, 2)), mask, jnp.zeros((50, 2)), jnp.ones((50, 3), bool))
    game: Any = RoleGame((0, 1, 1))
    steering: Any = Steering()
    action, log_prob = random_policy(game)(seen, jax.random.key(0))
    assert action.shape == log_prob.shape == (50, 3)
    np.testing.assert_array_equal(action, 1)  # The one that is legal.
    action, log_prob = random_policy(steering)(seen, jax.random.key(0))
    assert action.shape == (50, 3, 2) and action.dtype == jnp.float32
    assert log_prob.shape == (50, 3)
    # 300 numbers drawn evenly.
    assert -1 <= action.min() < -0.9 and 0.9 < action.max() <= 1
    side = random_actions(steering, Config(num_envs=2, rollout_length=5))
    side.run()
    assert len(side.seconds) == 1 and side.env_steps == 10


@pytest.mark.thorough
@pytest.mark.parametrize("memory_size", [0, 4])
def test_what_is_timed_of_an_update_is_what_it_does(memory_size):
    # Rows of one environment are looked at, the first.
    config = Config(num_envs=2, rollout_length=4, divergence_rows=4, memory_size=memory_size)
    trainer = make_trainer(envs.make("maze"), "oappo", config)
    state, trajectory = jax.jit(partial(first_rollout, trainer))(jax.random.key(0))
    # In the middle of episodes: a first rollout starts from zeros, which nobody has to hand on.
    drawn = jax.tree.map(
        lambda x: jax.random.uniform(jax.random.key(1), x.shape, minval=-1.0),
        state.rollout.memory,
    )
    state = state._replace(rollout=state.rollout._replace(memory=drawn))
    learner, metrics = jax.jit(trainer.learner.update)(
        state.learner, trajectory, Hyperparams.create(reuse_sigma=OPEN_GATE), state.key, drawn
    )
    found = pairwise_kl(trainer, state, trajectory)
    np.testing.assert_allclose(found, metrics["reuse/divergence"], rtol=1e-3, atol=1e-7)
    made = learner.policies.params, learner.critics.params, metrics
    whole = jax.jit(partial(update, trainer))(state, trajectory)
    np.testing.assert_allclose(whole, checksum(*jax.tree.leaves(made)), rtol=1e-5)


def test_a_process_is_waited_for_until_it_speaks_and_its_end_before_that_is_an_error(tmp_path):
    (seconds,) = seconds_of_run(["--help"], str(tmp_path), "usage")
    assert seconds > 0
    with pytest.raises(RuntimeError, match="ended before it said 'what nobody says'"):
        seconds_of_run(["--help"], str(tmp_path), "usage", "what nobody says")


def test_without_jaxmarl_all_else_is_measured_and_what_needs_it_is_told(monkeypatch, capsys):
    def refuse(who):
        raise ImportError(f"{who} need jaxmarl.")

    monkeypatch.setattr(bench, "require_jaxmarl", refuse)
    found = bench.find_measurable((), Console(width=120))
    assert found == ["reuse-cost", "seeds", "growth", "football"]
    assert "share, recurrence, start, limit, stock, mpe need jaxmarl" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="2"):
        bench.main(["seeds", "mpe"])
    assert "the measurements mpe need jaxmarl" in " ".join(capsys.readouterr().err.split())


def test_an_unknown_measurement_and_a_folder_that_cannot_be_are_usage_errors(tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        bench.main(["speed"])
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit, match="2"):
        bench.main(["growth", "--out", str(tmp_path / "file")])
    assert "choose another folder" in " ".join(capsys.readouterr().err.split())
