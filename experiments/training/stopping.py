"""Why training stopped before its end, in words and as an exit code, and what to do then."""

from __future__ import annotations

import sys
from pathlib import Path

from experiments.training.errors import shown
from experiments.training.folder.checkpoints import find_checkpoints
from experiments.training.folder.files import read_json
from experiments.training.naming import command
from experiments.training.position import NonFinite, Position
from experiments.training.settings.experiment import Experiment
from experiments.training.signals import StopRequest

CALMING = ("actor_lr", "critic_lr", "kl_threshold")
"""Coefficients of which a lower value may keep numbers finite."""

MASKS = "An active agent without a legal action makes all numbers NaN, too: look at action_mask."


def describe_diverged(experiment: Experiment, one: NonFinite) -> str:
    """Returns in words which number was not finite, where and when."""
    return (
        f"{one.metric} is not finite in update {one.update} at point {one.point} "
        f"({experiment.labels[one.point]}), seed {one.seed}"
    )


def advice(experiment: Experiment, directory: Path) -> str:
    """Returns what can be done: only a coefficient of one value may change on resuming.

    A slice of which that was changed would be none of the others' any more.

    What an active agent draws that has no legal action has no log-probability (`Learner.act`).
    """
    reads, swept = experiment.reads, experiment.swept
    names = [name for name in CALMING if name in reads and name not in swept]
    calmer = f"anew with lower values of {' or '.join([*swept, *names])}"
    if experiment.options.run.slice is not None:
        return f"Join the slices if others have points left, or start all of them {calmer}. {MASKS}"
    if len(experiment.points) == 1:
        return (
            f"Lower {' or '.join(names)}: {command('run')} --resume {shown(directory)} with "
            f"another value of {'it' if len(names) == 1 else 'one'} goes on from that checkpoint. "
            f"{MASKS}"
        )
    return f"Start {calmer}. {MASKS}"


def is_finished(experiment: Experiment, directory: Path) -> bool:
    """Returns whether all updates are done, the last state is saved and every file is written."""
    try:
        summary = read_json(directory / "summary.json")  # The last file of all.
        is_whole = summary["completed"] and summary["env_steps"] == experiment.total_steps
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return is_whole and max(find_checkpoints(directory), default=0) == experiment.config.num_updates


def explain(
    experiment: Experiment, position: Position, is_saved: bool, stop: StopRequest, directory: Path
) -> int:
    """Says on stderr why a run ended early, or is not safe, and returns the exit code.

    Args:
        is_saved: whether the state is in a checkpoint, if it is worth one.
    """
    found = find_checkpoints(directory)
    newest = f"of update {max(found)}" if found else "none"
    num_points, num_diverged = len(experiment.points), len(position.diverged)
    described = "; ".join(describe_diverged(experiment, one) for one in position.diverged.values())
    if num_diverged and num_points > 1:
        _say(f"{num_diverged} of {num_points} points diverged: {described}.")
    if num_diverged == num_points:
        reason = described if num_points == 1 else "no point is left"
        _say(
            f"Training stopped: {reason}. What was logged so far, this update included, is in "
            f"{directory}; the newest checkpoint is {newest}. {advice(experiment, directory)}"
        )
        return 1
    completed = position.is_complete(experiment)
    if stop.signal is not None and not completed:
        say_stopped(stop, "what was done so far is in", directory)
    if not is_saved:
        _say(
            f"The last state could not be saved; the newest checkpoint is {newest}. Make room, "
            f"then {command('run')} --resume {shown(directory)} does the updates since then again."
        )
        return 1
    return 0 if completed else stop.exit_code


def say_stopped(stop: StopRequest, what: str, directory: Path) -> None:
    """Says on stderr that a signal ended the run, what that left where, and how to go on."""
    assert stop.signal is not None
    _say(
        f"Stopped by {stop.signal.name}; {what} {directory}, and {command('run')} --resume "
        f"{shown(directory)} goes on."
    )


def _say(text: str) -> None:
    print(text, file=sys.stderr)
