"""Where a run is taken up again, and what is noted about it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from experiments.training.errors import UsageError
from experiments.training.folder.checkpoints import find_checkpoints, restore
from experiments.training.folder.files import write_json
from experiments.training.folder.metrics import read_history
from experiments.training.folder.saving import set_aside
from experiments.training.loop import Start
from experiments.training.program import Traced
from experiments.training.settings.config_file import describe_experiment
from experiments.training.settings.experiment import Experiment
from experiments.training.settings.stored import read_config

OF_PROCESS = ("command_line", "versions", "git_commit", "device")
"""Keys of config.json that say how the first process ran; later ones are listed beside them."""


def is_finished(experiment: Experiment, directory: Path) -> bool:
    """Returns whether all updates are done, the last state is saved and every file is written."""
    try:
        summary = json.loads((directory / "summary.json").read_text())
        is_whole = summary["completed"] and summary["env_steps"] == experiment.total_steps
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return is_whole and max(find_checkpoints(directory), default=0) == experiment.config.num_updates


def find_start(experiment: Experiment, traced: Traced, directory: Path) -> Start:
    """Returns the newest state that can be loaded, and the history before it.

    Raises:
        UsageError: if there is none, if metrics.csv does not reach that far, or if more updates
            are done than are wanted.
    """
    restored = restore(directory, traced.init.out_info)
    if restored is None:
        if (directory / "metrics.csv").exists() and (directory / "metrics.csv").stat().st_size:
            raise UsageError(
                f"resume: {directory} has metrics but no checkpoint to go on from; nothing was "
                "changed. Start anew with --out"
            )
        return Start()
    done, wanted = restored.num_updates, experiment.config.num_updates
    if done > wanted:
        steps = done * experiment.config.steps_per_update
        raise UsageError(
            f"total_steps: {steps} steps are done already, got {experiment.total_steps}; ask for "
            "more than that"
        )
    _, shapes = traced.advance.out_info
    history = read_history(experiment, directory, shapes, done)
    set_aside(restored.passed_over)
    return Start(restored.state, done, restored.run_seconds, history)


def note_resumption(experiment: Experiment, directory: Path, num_updates: int) -> None:
    """Writes the new settings to config.json, and who goes on from where with what changed."""
    before, now = read_config(directory), describe_experiment(experiment)
    first: dict[str, Any] = {name: before[name] for name in OF_PROCESS if name in before}
    old = before["hyperparameters"]
    changed = {k: v for k, v in now["hyperparameters"].items() if v != old.get(k)}
    this = {name: now[name] for name in (*OF_PROCESS, "total_steps")}
    entry = {"after_update": num_updates, **this, "changed": changed}
    resumed = [*before.get("resumed", []), entry]
    write_json(directory / "config.json", {**now, **first, "resumed": resumed})
