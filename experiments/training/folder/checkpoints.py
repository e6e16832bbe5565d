"""The checkpoints that a run has left: the newest, and what if one cannot be loaded."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path

from experiments.training import program as runner
from experiments.training.errors import UsageError
from experiments.training.folder.quiet import silence_orbax
from experiments.training.settings.experiment import Experiment, build
from experiments.training.settings.stored import read_options
from oatrpo_jax.checkpoint import (
    DamagedCheckpointError,
    load_checkpoint,
    read_about,
)
from oatrpo_jax.train import TrainState

FOLDER = "checkpoints"


@dataclass(frozen=True)
class LoadedRun:
    """A run read from its directory.

    Attributes:
        experiment: what was run.
        state: where it stood, leading axes ``[P, K]``.
        num_updates: updates done by then.
    """

    experiment: Experiment
    state: TrainState
    num_updates: int


@dataclass(frozen=True)
class Restored:
    """A checkpoint that could be loaded.

    Attributes:
        state: leading axes ``[P, K]``.
        num_updates: updates done by then.
        run_seconds: what they took.
        passed_over: newer checkpoints that could not be loaded.
    """

    state: TrainState
    num_updates: int
    run_seconds: float
    passed_over: tuple[Path, ...] = ()


def load_run(directory: Path) -> LoadedRun:
    """Returns a run as its newest checkpoint has it.

    Raises:
        UsageError: if there is no run, or no checkpoint that can be loaded.
    """
    experiment = build(read_options(directory))
    restored = restore(directory, runner.abstract_state(experiment))
    if restored is None:
        raise UsageError(f"{directory} holds no checkpoint; resume it to train on")
    return LoadedRun(experiment, restored.state, restored.num_updates)


def restore(directory: Path, like: TrainState) -> Restored | None:
    """Returns the newest checkpoint that can be loaded; None if there is none.

    Says on stderr which ones had to be passed over.  Deletes nothing.

    Raises:
        UsageError: if there are some but none can be loaded.
    """
    silence_orbax()
    found = find_checkpoints(directory)
    if not found:
        return None
    problems: list[str] = []
    for path in _newest_first(found):
        try:
            state, about = load_checkpoint(path, like), read_about(path)
        except (DamagedCheckpointError, ValueError) as error:
            problems.append(str(error))
            continue
        passed_over = tuple(p for p in _newest_first(found) if p.name > path.name)
        for problem in problems:
            print(
                f"Warning: a checkpoint cannot be loaded, the one before is used: {problem}",
                file=sys.stderr,
            )
        seconds = float(about.get("run_seconds", 0.0))
        return Restored(state, int(path.name), seconds, passed_over)
    raise UsageError(
        f"no checkpoint in {directory / FOLDER} can be loaded; nothing was changed. {problems[0]}"
    )


def find_checkpoints(directory: Path) -> dict[int, Path]:
    """Returns the paths of a run's checkpoints by the updates done, damaged ones included."""
    try:
        paths = list((directory / FOLDER).iterdir())
    except OSError:
        return {}
    return {int(p.name): p for p in sorted(paths) if re.fullmatch(r"\d{9}", p.name)}


def _newest_first(found: dict[int, Path]) -> list[Path]:
    return [found[number] for number in sorted(found, reverse=True)]
