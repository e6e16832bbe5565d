"""The checkpoints that a run has left: the newest, the best, and what if one cannot be loaded."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from experiments import runner
from experiments.errors import UsageError
from experiments.experiment import Experiment, build
from experiments.quiet import silence_orbax
from experiments.stored import read_options
from oatrpo_jax.checkpoint import (
    DamagedCheckpointError,
    load_checkpoint,
    read_about,
)
from oatrpo_jax.train import TrainState

Which = Literal["latest", "best"]

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


def load_run(directory: Path, which: Which = "latest") -> LoadedRun:
    """Returns a run as its newest, or best, checkpoint has it.

    Raises:
        UsageError: if there is no run, or no such checkpoint that can be loaded.
    """
    experiment = build(read_options(directory))
    restored = restore(directory, runner.abstract_state(experiment), which)
    if restored is None:
        raise UsageError(f"{directory} holds no checkpoint; resume it to train on")
    return LoadedRun(experiment, restored.state, restored.num_updates)


def restore(directory: Path, like: TrainState, which: Which = "latest") -> Restored | None:
    """Returns the newest checkpoint that can be loaded, or the best one; None if there is none.

    Says on stderr which ones had to be passed over.  Deletes nothing.

    Raises:
        UsageError: if there are some but none can be loaded, or if none has a score and the best
            is wanted.
    """
    silence_orbax()
    found = find_checkpoints(directory)
    if not found:
        return None
    problems: list[str] = []
    for path in _best(found) if which == "best" else _newest_first(found):
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
        f"no {which} checkpoint in {directory / FOLDER} can be loaded; nothing was changed. "
        f"{problems[0]}"
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


def _best(found: dict[int, Path]) -> list[Path]:
    scores = {
        number: score for number, path in found.items() if (score := read_score(path)) is not None
    }
    if not scores:
        raise UsageError(
            "no checkpoint has been evaluated, so none is the best; ask for the latest one"
        )
    return [found[best_number(scores)]]


def read_score(path: Path) -> float | None:
    """Returns the score that a checkpoint was saved with; None without one, or if unreadable."""
    try:
        score = read_about(path).get("score")
    except DamagedCheckpointError:
        return None
    return float(score) if isinstance(score, int | float) else None


def best_number(scores: dict[int, float]) -> int:
    """Returns the update of the highest score, the first one if several are equal.

    >>> best_number({10: 0.5, 20: 0.7, 30: 0.7})
    20
    """
    return max(sorted(scores), key=lambda number: scores[number])
