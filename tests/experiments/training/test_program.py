import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import oatrpo_jax as oa
from envs import make
from experiments.training import program
from experiments.training.placement import Placement, in_turn, over_devices, side_by_side
from experiments.training.program import repeat
from experiments.training.settings.command_line import parse
from experiments.training.settings.experiment import build
from oatrpo_jax.devices import make_mesh
from tests.experiments.trained_run import TINY

ROOT = Path(__file__).parents[3]
SIZES = ("--num-envs", "4", "--rollout-length", "8", "--hidden-sizes", "8")
LIMIT_SECONDS = 300
"""For three updates of a tiny run in a process of its own: time to compile, none to hang."""


def test_advance_takes_as_many_steps_as_asked_and_says_what_each_did():
    step = in_turn(lambda _, x, add: (x + add, {"x": x}))
    state, metrics = repeat(step, capacity=4)(2, 3, jnp.float32([1, 5]), jnp.float32([2, 10]))
    np.testing.assert_array_equal(state, [7, 35])
    np.testing.assert_array_equal(metrics["x"], [[1, 3, 5, 0], [5, 15, 25, 0]])


@pytest.mark.parametrize("of_block", [in_turn, side_by_side])
def test_every_lane_takes_as_many_iterations_as_it_needs_with_its_own_coefficients(of_block):
    def step(_, state, factor):
        count, value = jax.lax.while_loop(
            lambda carry: carry[1] < 100,
            lambda carry: (carry[0] + 1, carry[1] * factor),
            (0, state),
        )
        return value, {"count": count}

    states = jnp.array([1.0, 30.0, 200.0, 5.0, 1.0, 99.0])
    factors = jnp.array([10.0, 10.0, 10.0, 2.0, 2.0, 2.0])
    placement = Placement(make_mesh(), 6)
    of_lanes = jax.jit(over_devices(of_block(step), placement))
    value, metrics = of_lanes(placement.counts, None, states, factors)
    # 1, 10, 100; 30, 300; none; 5 x 2^5 = 160; 1 x 2^7 = 128; 99 x 2.
    np.testing.assert_array_equal(value, [100, 300, 200, 160, 128, 198])
    np.testing.assert_array_equal(metrics["count"], [2, 1, 0, 5, 7, 1])


def test_a_seed_begins_once_whatever_the_number_of_points(monkeypatch):
    begun = []
    begin = oa.Trainer.begin

    def counted(trainer, key):
        jax.debug.callback(lambda: begun.append(1))
        return begin(trainer, key)

    monkeypatch.setattr(oa.Trainer, "begin", counted)
    traced = program.trace(build(parse([*TINY, "--seeds", "2", "--gamma", "0.9", "0.95", "0.99"])))
    jax.block_until_ready(program.compile_program(traced).init())
    jax.effects_barrier()
    assert len(begun) == 2


@pytest.mark.thorough
@pytest.mark.parametrize("algorithm", ["oappo", "oatrpo"])
def test_lanes_one_after_another_are_the_lanes_side_by_side(algorithm):
    config = oa.Config(num_envs=4, rollout_length=8, hidden_sizes=(8,), num_epochs=1)
    trainer = oa.make_trainer(make("maze"), algorithm, config)
    keys = jax.random.split(jax.random.key(0), 6)
    states = jax.jit(jax.vmap(trainer.init))(keys)
    hparams = oa.Hyperparams.create(reuse_sigma=[0.0, 0.0, 0.0, 1.0, 1.0, 1.0])

    def step(_, state, hparams):
        return trainer.step(state, hparams)

    def all_lanes(of_block):
        return jax.jit(of_block(step))(6, None, states, hparams)

    one = jax.jit(trainer.step)(*jax.tree.map(lambda x: x[5], (states, hparams)))
    both = all_lanes(in_turn), all_lanes(side_by_side)

    np.testing.assert_array_equal(*(jax.random.key_data(state.key) for state, _ in both))
    for lanes in both:
        learnt, metrics = lanes[0].learner, lanes[1]
        assert metrics["critic/loss"].shape == (6,)
        expected = (one[0].learner, one[1])
        chosen = jax.tree.map(lambda x: x[5], (learnt, metrics))
        jax.tree.map(
            lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-3, atol=1e-4), chosen, expected
        )


def test_nothing_crosses_to_the_host_inside_a_chunk_and_the_step_is_traced_once(monkeypatch):
    experiment = build(parse([*TINY, "--seeds", "2"]))
    traces = []
    step = oa.Trainer.step

    def counted(self, state, hparams):
        traces.append(1)
        return step(self, state, hparams)

    monkeypatch.setattr(oa.Trainer, "step", counted)
    traced = program.trace(experiment)
    assert len(traces) == 1
    advance = traced.advance.lower().compile()
    counts, where = traced.placement.counts, traced.placement.everywhere
    state, _ = traced.init.lower().compile()(counts, traced.keys)
    given = jax.device_put((traced.hparams, counts, np.int32(3)), where)
    traces.clear()
    with jax.transfer_guard("disallow"):
        state, log = advance(state, *given)
        jax.block_until_ready(log)
    assert not traces
    assert np.all(np.asarray(state.num_updates) == 3)


@pytest.mark.slow
@pytest.mark.parametrize("num_seeds", [1, 3])
@pytest.mark.parametrize("algorithm", oa.ALGORITHMS)
def test_every_algorithm_runs_to_its_end(algorithm, num_seeds, tmp_path):
    matrix = ("--reuse-matrix", "rr") if algorithm == "fixed" else ()
    command = [sys.executable, "experiments/run.py", "--env", "maze", "--algorithm", algorithm]
    sizes = (*SIZES, "--num-minibatches", "1", "--total-steps", "96")
    subprocess.run(
        [*command, *matrix, *sizes, "--seeds", str(num_seeds), "--out", str(tmp_path / "run")],
        cwd=ROOT,
        env={**os.environ, "JAX_PLATFORMS": "cpu", "XDG_CACHE_HOME": str(tmp_path)},
        timeout=LIMIT_SECONDS,
        check=True,
    )
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["completed"] and summary["env_steps"] == 96
