import json
import sys
from dataclasses import replace
from functools import partial
from types import SimpleNamespace
from typing import Any, get_args

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rich.console import Console

import envs
from experiments import bench
from experiments.analysis.speed import measurements, peer, timing
from experiments.analysis.speed.peer import LEFT_OUT, load_peer, peer_settings
from experiments.analysis.speed.sides import (
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
    time_in_turns,
)
from experiments.analysis.speed.whole_runs import seconds_of_run
from experiments.training.errors import UsageError
from oatrpo_jax import Config, Hyperparams, Observation, make_trainer
from tests.probe_envs import RoleGame, Steering


def test_series_end_where_the_effort_does():
    assert WHOLE.series(2, 4, 8, 16) == [2, 4, 8, 16]
    assert QUICK.series(2, 4, 8, 16, 32) == [2, 4]  # 0.13 x 32 = 4.16
    assert QUICK.series(2, 4, 8, 16) == [2]  # 0.13 x 16 = 2.08
    assert QUICK.series(1, 2, 4) == (1, 2)  # All are too large: two of them.


def measure(name, tmp_path):
    """Returns bench.json after a quick measurement of one section."""
    if name in bench.NEED_JAXMARL:
        pytest.importorskip("jaxmarl")
    assert bench.main([name, "--quick", "--out", str(tmp_path)]) == 0
    return json.loads((tmp_path / "bench.json").read_text())


def numbers(rows):
    """Returns every figure."""
    return [value for row in rows for value in row.values() if not isinstance(value, str)]


@pytest.mark.slow
def test_a_measurement_leaves_its_figures_and_says_that_it_was_quick(monkeypatch, tmp_path, capsys):
    # Of two agents alone (0.07 x 32 = 2.24), and without what costs most to compile.
    monkeypatch.setattr(timing, "QUICK", replace(QUICK, largest=0.07))
    monkeypatch.setattr(measurements, "MOST_WEIGHTED", 0)
    content = measure("reuse-cost", tmp_path)
    assert content["quick"] and "cores" in content["machine"] and "jax" in content["machine"]
    (section,) = content["sections"]
    (row,) = section["rows"]
    assert section["name"] == "reuse-cost" and row["agents = sources"] == 2
    assert row.pop("weighted / HAPPO") == "-" and len(row) == 5 and min(row.values()) > 0
    assert "these figures mean nothing" in " ".join(capsys.readouterr().out.split())


def test_reuse_costs_have_the_same_columns_where_weighted_reuse_is_left_out(monkeypatch):
    monkeypatch.setattr(measurements, "MOST_WEIGHTED", 2)
    monkeypatch.setattr(measurements, "make_trainer", lambda *_: None)
    monkeypatch.setattr(
        measurements, "learning", lambda *_: Side(lambda key: jnp.zeros(()), lambda x: (x + 1, ()))
    )
    two, four = measurements.reuse_cost(QUICK).rows
    assert (two["agents = sources"], four["agents = sources"]) == (2, 4)
    assert two["weighted / HAPPO"] > 0 and four["weighted / HAPPO"] == "-"
    assert list(two) == list(four)
    assert list(four)[2:] == [
        f"{what} / HAPPO" for what in ("weighted", "paired", "sampled", "pairwise KL")
    ]


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
    assert found == ["reuse-cost", "seeds", "devices", "football"]
    assert "share, recurrence, start, stock, mpe need jaxmarl" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="2"):
        bench.main(["seeds", "mpe"])
    assert "the measurements mpe need jaxmarl" in " ".join(capsys.readouterr().err.split())


def test_an_unknown_measurement_and_a_folder_that_cannot_be_are_usage_errors(tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        bench.main(["speed"])
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit, match="2"):
        bench.main(["seeds", "--out", str(tmp_path / "file")])
    assert "choose another folder" in " ".join(capsys.readouterr().err.split())


PEER = """
import hydra
import jax
import jax.numpy as jnp
import wandb
from omegaconf import OmegaConf

print("loaded")

def make_train(config):
    num_updates = config["TOTAL_TIMESTEPS"] // config["NUM_STEPS"] // config["NUM_ENVS"]

    def log(total):
        wandb.log({"total": total})

    def train(rng):
        def update(total, _):
            jax.experimental.io_callback(log, None, total)
            return total + config["LR"], total

        return jax.lax.scan(update, jax.random.uniform(rng), None, num_updates)

    return train

@hydra.main(version_base=None, config_path="config")
def main(config):
    raise RuntimeError(OmegaConf.to_container(config))

if __name__ == "__main__":
    main()
"""
"""What a script like JaxMARL's consists of; a run of it adds so many learning rates up."""


@pytest.fixture
def script(tmp_path):
    """Writes such a script and returns its path."""
    (tmp_path / "peer.py").write_text(PEER)
    return tmp_path / "peer.py"


def test_a_peer_trains_with_our_settings_and_without_what_it_logs_with(script, capsys):
    before = {name: sys.modules.get(name) for name in LEFT_OUT}
    make_peer = load_peer(script)
    assert {name: sys.modules.get(name) for name in LEFT_OUT} == before
    config = Config(num_envs=2, rollout_length=5, num_updates=3)
    settings = peer_settings(config, Hyperparams.create(actor_lr=0.25))
    total, totals = jax.jit(make_peer(settings))(jax.random.key(0))
    # Three updates of 0.25 each.
    assert totals.shape == (3,) and total - totals[0] == pytest.approx(0.75)
    assert not capsys.readouterr().out and list(script.parent.iterdir()) == [script]


def test_a_run_is_compiled_with_empty_caches_and_what_makes_it_counts(monkeypatch):
    events, clock = [], SimpleNamespace(now=0.0, perf_counter=lambda: clock.now)
    monkeypatch.setattr(jax, "clear_caches", lambda: events.append("caches cleared"))
    monkeypatch.setattr(peer, "time", clock)
    monkeypatch.setattr(timing, "time", clock)

    def train(key):
        clock.now += 4.0  # While it is traced.
        return jax.random.uniform(key)

    def make():
        events.append("made")
        clock.now += 3.0
        return train

    side = peer.whole_run(make, Config(num_envs=2, rollout_length=5, num_updates=3))
    assert events == ["caches cleared", "made"]
    assert side.compile_seconds == 7.0 and side.env_steps == 30


def test_a_peer_is_given_every_setting_of_ours():
    config = Config(
        num_envs=4,
        rollout_length=5,
        num_updates=3,
        num_epochs=6,
        num_minibatches=2,
        activation="relu",
    )
    hparams = Hyperparams.create(
        actor_lr=0.25,
        max_grad_norm=0.5,
        gamma=0.75,
        gae_lambda=0.875,
        clip_eps=0.125,
        ent_coef=0.0625,
    )
    assert peer_settings(config, hparams) == {
        "ENV_NAME": "MPE_simple_spread_v3",
        "ENV_KWARGS": {},
        "NUM_ENVS": 4,
        "NUM_STEPS": 5,
        "TOTAL_TIMESTEPS": 60,  # 4 x 5 x 3.
        "UPDATE_EPOCHS": 6,
        "NUM_MINIBATCHES": 2,
        "ACTIVATION": "relu",
        "ANNEAL_LR": False,
        "LR": 0.25,
        "MAX_GRAD_NORM": 0.5,
        "GAMMA": 0.75,
        "GAE_LAMBDA": 0.875,
        "CLIP_EPS": 0.125,
        "ENT_COEF": 0.0625,
        "VF_COEF": 0.5,
    }


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "which is no file; give the path of one"),
        ("make_train = 1", "which has no make_train; give another file"),
        ("import a_package_that_nobody_has", "which fails when imported (ModuleNotFoundError"),
    ],
)
def test_what_is_no_peer_is_a_usage_error(content, expected, tmp_path):
    path = tmp_path / "other.py"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UsageError) as error:
        load_peer(path)
    assert expected in str(error.value) and str(path) in str(error.value)


def test_a_peer_without_mpe_is_refused(script, tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        bench.main(["seeds", "--peer", str(script), "--out", str(tmp_path / "bench")])
    assert "peer: expected mpe among what is measured, got seeds" in " ".join(
        capsys.readouterr().err.split()
    )
    assert not (tmp_path / "bench").exists()


def test_a_peer_that_is_not_there_is_refused_before_anything_is_measured(
    monkeypatch, tmp_path, capsys
):
    monkeypatch.setattr(bench, "require_jaxmarl", lambda who: None)
    with pytest.raises(SystemExit, match="2"):
        bench.main(["mpe", "--peer", str(tmp_path / "none.py"), "--out", str(tmp_path / "bench")])
    assert "ippo_ff_mpe.py" in capsys.readouterr().err and not (tmp_path / "bench").exists()


@pytest.mark.slow
def test_a_peer_and_ours_are_two_rows_beside_what_mpe_measures(script, tmp_path):
    pytest.importorskip("jaxmarl")
    argv = ["mpe", "--peer", str(script), "--quick", "--out", str(tmp_path / "bench")]
    assert bench.main(argv) == 0
    _, section = json.loads((tmp_path / "bench" / "bench.json").read_text())["sections"]
    assert section["name"] == "mpe-peer"
    assert [row["what"] for row in section["rows"]] == ["stock", "ours"]
    assert min(numbers(section["rows"])) > 0
    assert list(section["rows"][0])[-2:] == ["over stock", "compile, s"]
