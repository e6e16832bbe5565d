"""A run's directory as training leaves it, made without training: quick, and its policies known."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from experiments.training.best import keep_better, no_best, save_best
from experiments.training.folder.checkpoints import FOLDER
from experiments.training.program import make_init, make_keys
from experiments.training.settings.config_file import describe_experiment
from experiments.training.settings.experiment import Experiment, build
from experiments.training.settings.options import parse
from oatrpo_jax.checkpoint import save_checkpoint, to_host
from oatrpo_jax.learner import LearnerState
from oatrpo_jax.train import TrainState

NUM_UPDATES = 3
ARGV = (
    r"--env maze --env-option num_per_colour=1 time_limit=12 layout='sss\n.T.\nsss' --num-envs 4 "
    "--hidden-sizes 8 --rollout-length 16 --total-steps 192 --seeds 2 --seed 3 --reuse-sigma 0.1 10"
)


def make_trained_run(directory: Path, argv: str = ARGV) -> tuple[Experiment, TrainState]:
    """Returns what lies in the directory: policies of update 3, 2 points x 2 seeds, all unlike.

    The policies of point 1 and seed 4 are said to be the best; those of update 2 were better.
    """
    experiment = build(parse(argv.split()))
    state = jax.jit(make_init(experiment))(make_keys(experiment))
    state = state._replace(learner=with_random_policies(state.learner, 0))
    directory.mkdir()
    (directory / "config.json").write_text(json.dumps(describe_experiment(experiment)))
    folder = directory / FOLDER
    folder.mkdir()
    save_checkpoint(folder / f"{NUM_UPDATES:09d}", to_host(state), {})
    (directory / "summary.json").write_text(json.dumps({"points": [ends(0, 0.5), ends(0.5, 1)]}))
    earlier = with_random_policies(state.learner, 1)
    metrics = {f"evaluation/{name}": jnp.ones((2, 2)) for name in ("success", "return")}
    save_best(keep_better(no_best(earlier), earlier, metrics, jnp.int32(2)), directory)
    return experiment, state


def with_random_policies(learner: LearnerState, seed: int) -> LearnerState:
    """Returns the learners with policies that all say different things."""
    leaves, tree = jax.tree.flatten(learner.policies.params)
    keys = jax.random.split(jax.random.key(seed), len(leaves))
    drawn = [
        0.5 * jax.random.normal(key, leaf.shape) for key, leaf in zip(keys, leaves, strict=True)
    ]
    return learner._replace(policies=learner.policies._replace(params=tree.unflatten(drawn)))


def ends(*success: float) -> dict:
    """Returns a point of summary.json."""
    return {f"episode/{name}": describe(success) for name in ("success", "return")}


def describe(values) -> dict:
    """Returns what summary.json says of one metric."""
    return {"per_seed": list(values), "mean": float(np.mean(values))}
