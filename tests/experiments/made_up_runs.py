"""Runs that nobody trained: the files of experiments/run.py with learning curves made up."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.analysis.reading import read_result
from experiments.analysis.summary import summarise
from experiments.training.folder.files import write_json
from experiments.training.folder.metrics import Log, Rows, make_logs
from experiments.training.settings.command_line import parse
from experiments.training.settings.config_file import describe_experiment
from experiments.training.settings.experiment import Experiment, build

Height = Callable[[str, Mapping[str, float], int], float]
"""(algorithm, coefficients, seed) -> updates until the optimum."""

SIZES = ("--num-envs", "4", "--rollout-length", "8", "--total-steps", "320", "--seeds", "2")
"""Options of a run of ten updates, 32 steps each."""


def write_run(
    arguments: Sequence[str], directory: Path, updates_needed: Height, **changed: Any
) -> None:
    """Writes a run whose share of the optimum rises evenly, from 0 to 1 in so many updates.

    Where it is to be evaluated, it reaches half of what it reached in training.

    Args:
        arguments: of experiments/run.py.
        directory: where to.
        updates_needed: until the optimum.
        changed: metrics to replace by one value, or to leave out if it is None; ``/`` is ``__``.
    """
    experiment = experiment_of(tuple(arguments))
    directory.mkdir(parents=True)
    write_json(directory / "config.json", describe_experiment(experiment))
    metrics = make_metrics(experiment, updates_needed)
    success = metrics["episode/success"][-1] / 2
    for name, value in changed.items():
        column = metrics.pop(name.replace("__", "/"))
        if value is not None:
            metrics[name.replace("__", "/")] = np.full(column.shape, value)
    write_metrics(experiment, metrics, directory)
    write_evaluations(experiment, metrics, directory)
    evaluated = [{"episodes": 320, "per_seed": {"success": each.tolist()}} for each in success]
    training = {
        "num_updates": experiment.config.num_updates,
        "completed": True,
        "compile_seconds": 1.0,
        "run_seconds": 2.0,
        "diverged": [],
        "absolute": evaluated if experiment.options.run.eval_every else None,
    }
    write_json(directory / "training.json", training)
    write_json(directory / "summary.json", summarise(read_result(directory)))


@functools.cache
def experiment_of(arguments: tuple[str, ...]) -> Experiment:
    """Returns the experiment that a command line asks for."""
    return build(parse(arguments))


def change_json(path: Path, **changes: Any) -> None:
    """Replaces entries of a file that holds an object."""
    write_json(path, json.loads(path.read_text()) | changes)


def let_diverge(directory: Path, updates: Mapping[int, int]) -> None:
    """Says of a run that grid points diverged, in these updates."""
    found = {"seed": 0, "metric": "critic/loss"}
    diverged = [{"point": point, "update": update} | found for point, update in updates.items()]
    change_json(directory / "training.json", diverged=diverged)


def write_clusters(directory: Path, labels: Sequence[Sequence[int]]) -> dict[str, Any]:
    """Writes and returns what a run says of SEPS' grouping, by the groups of each seed's agents."""
    seeds = [{"seed": seed, "labels": each} for seed, each in enumerate(labels)]
    clusters = {"env_steps": 8192, "seeds": seeds}
    write_json(directory / "clusters.json", clusters)
    return clusters


def make_metrics(experiment: Experiment, updates_needed: Height) -> dict[str, np.ndarray]:
    """Returns metrics ``[U, P, K, ...]``; in every update one episode ends per environment."""
    name = experiment.algorithm.name
    needed = np.array(
        [[updates_needed(name, point, s) for s in experiment.seeds] for point in experiment.points]
    )
    update = np.arange(1, experiment.config.num_updates + 1)
    share = np.minimum(1, update[:, None, None] / needed)
    metrics = {
        "episode/count": np.full(share.shape, float(experiment.config.num_envs)),
        "episode/return": share - 0.1,
        "episode/success": share,
        "episode/length": 100 - 90 * share,
        "episode/optimality": share,
        "episode/path_optimality": share,
        "reuse/num_admitted": share * experiment.algorithm.reuse.shares,
    }
    learner = experiment.trainer.learner
    shape = int(learner.num_policies), learner.spec.num_agents
    weight = np.broadcast_to(np.eye(*shape), (*share.shape, *shape)).copy()
    weight[..., 0, :] = 0.0
    weight[..., 0, 1:2] = 1 - share[..., None]
    weight[..., 0, 0] = share
    apart = np.broadcast_to(share[..., None, None], weight.shape)
    return (
        metrics
        | {"reuse/weight": weight}
        | {f"reuse/{name}": apart for name in measured(experiment)}
    )


def measured(experiment: Experiment) -> Sequence[str]:
    """Returns what is logged of how far policies are apart: it depends on what the rule asks."""
    if experiment.config.log_affinity:
        return "divergence", "effective_sample_size"
    if experiment.algorithm.name == "oappo-ess":
        return ("effective_sample_size",)
    return ("divergence",) if "divergence" in experiment.algorithm.reuse.reads else ()


def write_evaluations(
    experiment: Experiment, metrics: Mapping[str, np.ndarray], directory: Path
) -> None:
    """Writes evaluations, where there are any: successes half as often as in training."""
    if not (every := experiment.options.run.eval_every):
        return
    steps = experiment.config.steps_per_update
    rows = Rows(len(experiment.points), experiment.seeds, steps, every, every)
    names = ("return", "success", "length")
    values = {
        f"evaluation/{name}": metrics[f"episode/{name}"] / (1 + (name == "success"))
        for name in names
        if f"episode/{name}" in metrics
    }
    singles = {name: value.astype(np.float32) for name, value in values.items()}
    log = Log(directory / "evaluation.csv", rows, dict.fromkeys(singles, ()))
    log.append(singles, range(1, experiment.config.num_updates + 1))


def write_metrics(
    experiment: Experiment, metrics: Mapping[str, np.ndarray], directory: Path
) -> None:
    """Writes metrics ``[U, P, K, ...]`` as training does, in float32."""
    steps = experiment.config.steps_per_update
    rows = Rows(len(experiment.points), experiment.seeds, steps)
    singles = {name: value.astype(np.float32) for name, value in metrics.items()}
    for log in make_logs(directory, rows, singles, experiment.matrix_every):
        log.append(singles, range(1, experiment.config.num_updates + 1))
