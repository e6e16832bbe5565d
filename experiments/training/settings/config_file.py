"""What config.json says: everything resolved, and the versions that it ran with."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import jax

from envs.importing import absolute
from experiments.training.folder.files import json_bytes
from experiments.training.settings.checks import seed_numbers
from experiments.training.settings.experiment import Experiment
from experiments.training.settings.options import OF_THE_PROCESS, Options
from experiments.training.settings.points import make_points
from experiments.training.settings.provenance import device, git_commit, versions
from experiments.training.settings.reuse_matrix import reuse_rows
from oatrpo_jax.hyperparams import ENDS

OF_PROCESS = ("command_line", "versions", "git_commit", "device", "processes", "mesh")
"""Keys that say how the first process ran; later ones are listed under ``resumed``."""


def describe_experiment(
    experiment: Experiment, mesh: Mapping[str, int] | None = None
) -> dict[str, Any]:
    """Returns all that it takes to run the same again, or to read the run without running it.

    Args:
        mesh: numbers of devices by axis; None where nothing computes.
    """
    options, learner = experiment.options, experiment.trainer.learner
    run, env = options.run, experiment.trainer.env
    of_run = {k: v for k, v in dataclasses.asdict(run).items() if k not in OF_THE_PROCESS}
    name, matrix = absolute(run.env), run.reuse_matrix
    rows = None if matrix is None else reuse_rows(matrix, run.env, env.agent_types)
    optimal = getattr(env, "optimal_episode_length", None)
    return {
        "run": {**of_run, "env": name},
        "environment": name,
        "environment_source": experiment.env_source,
        "env_options": experiment.env_options,
        "env_settings": _settings(env),
        "env_spec": {
            k: v if isinstance(v, bool) else int(v)
            for k, v in dataclasses.asdict(learner.spec).items()
        },
        "agent_types": list(env.agent_types),
        "policy_of_agent": learner.policy_of.tolist(),
        "num_policies": int(learner.num_policies),
        "optimal_episode_length": None if optimal is None else float(optimal),
        "algorithm": run.algorithm,
        "reuse_matrix": matrix,
        **({} if rows is None else {"reuse_rows": rows}),
        "seeds": list(experiment.seeds),
        "total_steps_asked": run.total_steps,
        "total_steps": experiment.total_steps,
        "num_updates": experiment.config.num_updates,
        "config": dataclasses.asdict(experiment.config),
        "hyperparameters": {k: list(v) for k, v in options.coefficients.items()},
        "schedule_updates": experiment.schedule_updates,
        "points": list(experiment.points),
        "swept": list(experiment.swept),
        **_whole(options),
        **({} if options.sweep is None else {"sweep": dict(options.sweep)}),
        "reads": sorted(experiment.reads),
        "versions": versions(),
        "git_commit": git_commit(),
        "device": device(),
        "processes": jax.process_count(),
        "mesh": mesh,
        "command_line": list(options.argv),
    }


def describe_resumption(
    before: Mapping[str, Any],
    experiment: Experiment,
    num_updates: int,
    mesh: Mapping[str, int],
) -> dict[str, Any]:
    """Returns config.json with the new settings, and who goes on from where with what changed.

    Args:
        mesh: numbers of devices by axis.
    """
    now = describe_experiment(experiment, mesh)
    of_first = {name: before.get(name) for name in OF_PROCESS}
    old, new = (_changeable(config) for config in (before, now))
    changed = {k: {"from": old.get(k), "to": v} for k, v in new.items() if v != old.get(k)}
    this = {name: now[name] for name in (*OF_PROCESS, "total_steps")}
    entry = {"after_update": num_updates, **this, "changed": changed}
    origin = {"joined": before["joined"]} if "joined" in before else {}
    return {**now, **of_first, **origin, "resumed": [*before.get("resumed", []), entry]}


def in_common(config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the part of config.json that processes which train together have in common."""
    run = {name: value for name, value in config["run"].items() if name != "log"}
    return {**config, "run": run, "git_commit": None}


def _changeable(config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what may change for the updates to come; older runs did not say all of it."""
    run = config["run"]
    of_run = {
        "schedule_steps": run.get("schedule_steps", 0),
        "env_devices": run.get("env_devices", 1),
    }
    return of_run | {end: [] for end in ENDS.values()} | config["hyperparameters"]


def _whole(options: Options) -> dict[str, Any]:
    """Returns the points and seeds of the grid that a run is a slice of, if it is one."""
    run = options.run
    if run.slice is None:
        return {}
    points, _ = make_points(options)
    return {"whole": {"points": list(points), "seeds": list(seed_numbers(run.seed, run.seeds))}}


def _settings(env: Any) -> dict[str, Any]:
    """Returns what an environment's options came to, if it tells of that in plain values."""
    settings = getattr(env, "settings", {})
    try:
        return json.loads(json_bytes(settings)) if isinstance(settings, dict) else {}
    except (TypeError, ValueError):
        return {}
