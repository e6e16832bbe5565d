"""What config.json says: everything resolved, and the versions that it ran with."""

from __future__ import annotations

import dataclasses
import importlib.util
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import jax

from experiments.training.settings.experiment import Experiment
from experiments.training.settings.run_options import OF_THE_PROCESS, Run

PACKAGES = (
    "jax",
    "jaxlib",
    "flax",
    "optax",
    "distrax",
    "jumanji",
    "scikit-learn",
    "oatrpo-jax",
)


def describe_experiment(experiment: Experiment) -> dict[str, Any]:
    """Returns everything that it takes to run the same again, as JSON-able data."""
    run = experiment.options.run
    return {
        "run": resumable(experiment.options.run),
        "environment": run.env,
        "env_options": experiment.env_options,
        "env_settings": getattr(experiment.trainer.env, "settings", {}),
        "agent_types": list(experiment.trainer.env.agent_types),
        "algorithm": run.algorithm,
        "reuse_matrix": run.reuse_matrix,
        "seeds": list(experiment.seeds),
        "total_steps_asked": run.total_steps,
        "total_steps": experiment.total_steps,
        "config": dataclasses.asdict(experiment.config),
        "hyperparameters": {k: list(v) for k, v in experiment.options.grid.items()},
        "points": list(experiment.points),
        "versions": versions(),
        "git_commit": git_commit(),
        "device": device(),
        "command_line": list(experiment.options.argv),
    }


def resumable(run: Run) -> dict[str, Any]:
    """Returns the options of a run that are no settings of `Config` and part of it."""
    options = dataclasses.asdict(run)
    return {name: options[name] for name in options if name not in OF_THE_PROCESS}


def device() -> dict[str, str]:
    """Returns what the run computes on."""
    first = jax.devices()[0]
    return {"platform": first.platform, "kind": first.device_kind}


def versions() -> dict[str, str]:
    """Returns the versions of Python and of the packages that the result may depend on."""
    # jaxmarl is optional.  What this process has imported so far would depend on its history.
    packages = (*PACKAGES, *(["jaxmarl"] if importlib.util.find_spec("jaxmarl") else []))
    found = {name.replace("-", "_"): metadata.version(name) for name in packages}
    return {"python": platform.python_version(), **found}


def git_commit() -> str | None:
    """Returns the checked-out commit, marked ``-dirty`` if files differ; None outside git."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        result = subprocess.run(
            command, cwd=Path(__file__).parent, capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout.strip() or None
