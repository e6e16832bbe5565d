"""Runs that nobody trained: the files of experiments/run.py with learning curves made up."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from experiments.analysis.summary import Timing, add_absolute, describe, summarise
from experiments.training.folder.metrics import Recorder
from experiments.training.program import Chunk
from experiments.training.settings.config_file import describe_experiment
from experiments.training.settings.experiment import Experiment, build
from experiments.training.settings.options import parse

Height = Callable[[str, Mapping[str, float], int], float]
"""(algorithm, coefficients, seed) -> updates until the optimum."""


def write_run(arguments: Sequence[str], directory: Path, updates_needed: Height) -> None:
    """Writes a run whose share of the optimum rises evenly, from 0 to 1 in so many updates.

    Where it is to be evaluated, it reaches half of what it reached in training.
    """
    experiment = build(parse(arguments))
    directory.mkdir(parents=True)
    history = make_history(experiment, updates_needed)
    (directory / "config.json").write_text(json.dumps(describe_experiment(experiment)))
    with Recorder(experiment, directory, {}) as recorder:
        recorder.write(Chunk(None, 1, history))  # pyright: ignore
    summary = summarise(experiment, history, Timing(1.0, 2.0))
    if experiment.options.run.eval_every:
        evaluated = history["episode/success"][-1] / 2
        add_absolute(summary, [{"success": describe(per_seed)} for per_seed in evaluated])
    (directory / "summary.json").write_text(json.dumps(summary))


def make_history(experiment: Experiment, updates_needed: Height) -> dict[str, np.ndarray]:
    """Returns metrics ``[U, P, K, ...]``; in every update one episode ends per environment."""
    name = experiment.algorithm.name
    needed = np.array(
        [[updates_needed(name, point, s) for s in experiment.seeds] for point in experiment.points]
    )
    update = np.arange(1, experiment.config.num_updates + 1)
    share = np.minimum(1, update[:, None, None] / needed)
    agents = experiment.trainer.env.num_agents
    learners = len(experiment.trainer.learner.own)
    weight = np.broadcast_to(np.eye(learners, agents), (*share.shape, learners, agents)).copy()
    weight[..., 0, 1] = 1 - share
    weight[..., 0, 0] = share
    return {
        "episode/count": np.full(share.shape, float(experiment.config.num_envs)),
        "episode/return": share - 0.1,
        "episode/success": share,
        "episode/length": 100 - 90 * share,
        "episode/optimality": share,
        "episode/path_optimality": share,
        "reuse/weight": weight,
        "reuse/divergence": np.broadcast_to(share[..., None, None], weight.shape),
    }
