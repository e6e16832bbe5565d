"""What config.json says: everything resolved, and the versions that it ran with."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import platform
import subprocess
import sys
from collections.abc import Iterable, Mapping
from importlib import metadata
from typing import Any

import jax

import oatrpo_jax
from envs.importing import absolute
from experiments.training.errors import UsageError
from experiments.training.folder.files import json_bytes
from experiments.training.settings.checks import seed_numbers
from experiments.training.settings.experiment import Experiment
from experiments.training.settings.options import OF_THE_PROCESS, Options, Run
from experiments.training.settings.points import make_points
from experiments.training.settings.reuse_matrix import reuse_rows
from oatrpo_jax.devices import ENVS, LANES
from oatrpo_jax.env_spec import EnvSpec
from oatrpo_jax.hyperparams import ENDS
from oatrpo_jax.installation import ROOT

PACKAGES = ("jax", "jaxlib", "flax", "optax", "distrax", "jumanji")

OF_PROCESS = ("command_line", "versions", "git_commit", "device", "processes", "mesh")
"""Keys that say how the first process ran; later ones are listed under ``resumed``."""


def describe_experiment(
    experiment: Experiment, mesh: Mapping[str, int] | None = None
) -> dict[str, Any]:
    """Returns all that it takes to run the same again, or to read the run without running it.

    Args:
        experiment: what is run.
        mesh: numbers of devices by axis; None where nothing computes.
    """
    options, learner = experiment.options, experiment.trainer.learner
    run, env = options.run, experiment.trainer.env
    of_run = {k: v for k, v in dataclasses.asdict(run).items() if k not in OF_THE_PROCESS}
    name = absolute(run.env)
    return {
        "run": {**of_run, "env": name},
        "environment": name,
        "environment_source": experiment.env_source,
        "env_options": experiment.env_options,
        "env_settings": _settings(env),
        "env_spec": _spec(learner.spec),
        "agent_types": list(env.agent_types),
        "policy_of_agent": learner.policy_of.tolist(),
        "num_policies": int(learner.num_policies),
        "optimal_episode_length": _optimal_length(env),
        "algorithm": run.algorithm,
        "reuse_matrix": run.reuse_matrix,
        **_reuse_rows(run, env),
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
        before: config.json as it is.
        experiment: what goes on.
        num_updates: updates done before.
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


def compare_versions(config: Mapping[str, Any]) -> None:
    """Says on stderr which versions of packages, or which device, differ from those of the run.

    Raises:
        UsageError: if oatrpo_jax itself differs: what its arrays mean may have changed.
    """
    differ = [*differences(config.get("versions"), versions())]
    if ours := [difference for difference in differ if difference.startswith("oatrpo_jax ")]:
        raise UsageError(
            f"resume: the run began with {ours[0]}; install the version that it began with"
        )
    differ += differences(config.get("device"), device())
    _warn(differ)


def compare_meshes(config: Mapping[str, Any], mesh: Mapping[str, int]) -> None:
    """Says on stderr if a run goes on with other devices than it last had, where that matters.

    On a CPU no bit depends on how many lanes a device has.

    Args:
        config: config.json.
        mesh: numbers of devices by axis now.
    """
    before = [config, *config.get("resumed", [])][-1].get("mesh") or {LANES: 1, ENVS: 1}
    now = {axis: mesh[axis] for axis in deciding_axes(device()["platform"])}
    _warn(f"devices for {text}" for text in differences(before, now))


def deciding_axes(platform: str) -> tuple[str, ...]:
    """Returns the axes of a mesh whose numbers of devices decide how numbers are rounded."""
    return (ENVS,) if platform == "cpu" else (LANES, ENVS)


def _warn(differences: Iterable[str]) -> None:
    if text := ", ".join(differences):
        print(
            f"Warning: the run began with {text}. It goes on, but maybe not to the bit as it would "
            "have there.",
            file=sys.stderr,
        )


def differences(before: Any, now: Mapping[str, Any], joint: str = ", now ") -> Iterable[str]:
    """Yields in words which of the values known before are others now."""
    known = before if isinstance(before, dict) else {}
    return (f"{k} {known[k]}{joint}{v}" for k, v in now.items() if known.get(k, v) != v)


def _whole(options: Options) -> dict[str, Any]:
    """Returns the points and seeds of the grid that a run is a slice of, if it is one."""
    run = options.run
    if run.slice is None:
        return {}
    points, _ = make_points(options)
    return {"whole": {"points": list(points), "seeds": list(seed_numbers(run.seed, run.seeds))}}


def _reuse_rows(run: Run, env: Any) -> dict[str, Any]:
    """Returns the matrix that ``reuse_matrix`` stands for in this environment, if it is given."""
    if run.reuse_matrix is None:
        return {}
    return {"reuse_rows": reuse_rows(run.reuse_matrix, run.env, env.agent_types)}


def _spec(spec: EnvSpec) -> dict[str, int]:
    """Returns sizes as JSON holds them, and whether actions are continuous."""
    values = dataclasses.asdict(spec)
    return {k: v if isinstance(v, bool) else int(v) for k, v in values.items()}


def _settings(env: Any) -> dict[str, Any]:
    """Returns what an environment's options came to, if it tells of that in plain values."""
    settings = getattr(env, "settings", {})
    try:
        return json.loads(json_bytes(settings)) if isinstance(settings, dict) else {}
    except (TypeError, ValueError):
        return {}


def _optimal_length(env: Any) -> float | None:
    optimal = getattr(env, "optimal_episode_length", None)
    return None if optimal is None else float(optimal)


def device() -> dict[str, str]:
    """Returns what the run computes on."""
    first = jax.devices()[0]
    return {"platform": first.platform, "kind": first.device_kind}


def versions() -> dict[str, str]:
    """Returns the versions of Python and of the packages that the result may depend on."""
    # jaxmarl is optional.  What this process has imported so far would depend on its history.
    packages = (*PACKAGES, *(["jaxmarl"] if importlib.util.find_spec("jaxmarl") else []))
    found = {name: metadata.version(name) for name in packages}
    # A clone need not be installed: the package knows its version itself.
    return {"python": platform.python_version(), **found, "oatrpo_jax": oatrpo_jax.__version__}


def git_commit() -> str | None:
    """Returns the commit of this clone, marked ``-dirty`` if files differ; None where it is none.

    What was installed into a folder of somebody's repository has nothing to do with its commits.
    """
    git = ["git", "--git-dir", str(ROOT / ".git"), "--work-tree", str(ROOT)]
    command = [*git, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout.strip() or None
