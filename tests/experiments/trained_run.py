"""The tiny run of most tests: its one program, and its directory made without any training."""

import contextlib
import dataclasses
import functools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import pytest

from experiments.training import program
from experiments.training.evaluation import keep_better, no_best
from experiments.training.folder.checkpoints import FOLDER, Restored, restore
from experiments.training.folder.files import LOCK
from experiments.training.position import RunState
from experiments.training.program import abstract_state, make_keys
from experiments.training.settings.command_line import parse
from experiments.training.settings.config_file import describe_experiment
from experiments.training.settings.experiment import Experiment, build
from experiments.training.settings.stored import stored_options
from oatrpo_jax.checkpoint import save_checkpoint, to_host
from oatrpo_jax.learner import LearnerState
from oatrpo_jax.train import TrainState

NUM_UPDATES = 3
TINY = ["--num-envs", "4", "--hidden-sizes", "8", "--rollout-length", "16", "--env", "maze"]
TINY += ["--env-option", "num_per_colour=1", "time_limit=12", r"layout='sss\n.T.\nsss'"]
"""Runs of these with as many points and seeds find each other's program in the cache of JAX."""
STEPS = 64
"""Environment steps of an update: 4 environments x 16 steps."""
LANES = ["--seeds", "2", "--seed", "3", "--reuse-sigma", "0.1", "10"]
ARGV = [*TINY, *LANES, "--total-steps", str(NUM_UPDATES * STEPS), "--eval-every", "1"]


class CompiledOnce:
    """A traced program that many runs share."""

    def __init__(self, traced: Any) -> None:
        self.out_info = traced.out_info
        self._traced = traced

    def lower(self) -> "CompiledOnce":
        return self

    @functools.cached_property
    def _compiled(self) -> Any:
        return self._traced.lower().compile()

    def compile(self) -> Any:
        return self._compiled


@contextlib.contextmanager
def shared_programs() -> Iterator[None]:
    """Traces and compiles once what runs inside have in common, and draws no pictures of them.

    A program knows nothing of coefficients, of which seeds there are, and of the number of updates.
    """
    trace, known = program.trace, dict[tuple[Any, ...], program.Traced]()

    def share(experiment: Experiment) -> program.Traced:
        run, config = experiment.options.run, dataclasses.replace(experiment.config, num_updates=1)
        key = run.env, run.env_option, run.algorithm, run.reuse_matrix, config, experiment.lanes
        if key not in known:
            traced = trace(experiment)
            once = CompiledOnce(traced.init), CompiledOnce(traced.advance)
            known[key] = traced._replace(init=once[0], advance=once[1])
        return known[key]._replace(hparams=experiment.hparams, keys=make_keys(experiment))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(program, "trace", share)
        patch.setattr("experiments.analysis.finish.draw", lambda *_: None)
        yield


def make_trained_run(directory: Path, argv: Sequence[str] = ARGV) -> tuple[Experiment, TrainState]:
    """Returns what lies in the directory: policies of update 3, 2 points x 2 seeds, all unlike.

    The policies of point 1 and seed 4 are said to be the best; those of update 2 were better.
    """
    experiment = build(parse(argv))
    state = jax.jit(jax.vmap(experiment.trainer.init))(make_keys(experiment))
    num_points = len(experiment.points)
    state = jax.tree.map(lambda x: jnp.broadcast_to(x, (num_points, *x.shape)), state)
    state = state._replace(learner=with_random_policies(state.learner, 0))
    directory.mkdir()
    (directory / "config.json").write_text(json.dumps(describe_experiment(experiment)))
    (directory / "summary.json").write_text(
        json.dumps({"best_point": 1, "points": [{"best_seed": 3}, {"best_seed": 4}]})
    )
    earlier = with_random_policies(state.learner, 1)
    metrics = {f"evaluation/{name}": jnp.ones((2, 2)) for name in ("success", "return")}
    best = None
    if experiment.options.run.eval_every:
        best = keep_better(no_best(earlier), earlier, metrics, jnp.int32(2))
    path = directory / FOLDER / f"{NUM_UPDATES:09d}"
    save_checkpoint(path, to_host(RunState(state, best)), {"num_updates": NUM_UPDATES})
    return experiment, state


def contents(directory: Path) -> dict[str, bytes]:
    """Returns the files of a run, but for its lock."""
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file() and path.name != LOCK
    }


def read_checkpoint(directory: Path) -> Restored:
    """Returns the newest checkpoint of a run that can be loaded."""
    experiment = build(stored_options(directory))
    restored = restore(directory, RunState.like(abstract_state(experiment), experiment))
    assert restored is not None
    return restored


def with_random_policies(learner: LearnerState, seed: int) -> LearnerState:
    """Returns the learners with policies that all say different things."""
    leaves, tree = jax.tree.flatten(learner.policies.params)
    keys = jax.random.split(jax.random.key(seed), len(leaves))
    drawn = [
        0.5 * jax.random.normal(key, leaf.shape) for key, leaf in zip(keys, leaves, strict=True)
    ]
    return learner._replace(policies=learner.policies._replace(params=tree.unflatten(drawn)))
