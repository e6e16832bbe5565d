"""What to take of a finished run: the last policies or the best, which grid point, which seed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from experiments.analysis.summary import best_point, best_seed
from experiments.training.best import load_best, with_actors
from experiments.training.errors import UsageError
from experiments.training.folder.checkpoints import load_run
from experiments.training.folder.files import read_json
from experiments.training.settings.experiment import Experiment
from oatrpo_jax.train import TrainState


@dataclass(frozen=True)
class Trained:
    """What a run has learnt.

    Attributes:
        experiment: what was run.
        state: leading axes ``[P, K]``.
        updates: ``[P, K]`` how many updates the policies have seen.
    """

    experiment: Experiment
    state: TrainState
    updates: np.ndarray


def load_trained(directory: Path, which: Literal["latest", "best"]) -> Trained:
    """Returns a run's policies as it last saved them, or each seed's as it played best.

    Raises:
        UsageError: if there is no run, no checkpoint that can be loaded, or no evaluation.
    """
    loaded = load_run(directory)
    state, experiment = loaded.state, loaded.experiment
    if which == "latest":
        shape = len(experiment.points), len(experiment.seeds)
        return Trained(experiment, state, np.full(shape, loaded.num_updates))
    best = load_best(directory, state.learner)
    if best is None:
        raise UsageError(
            f"checkpoint: {directory} was trained without --eval-every, so that none is known to "
            "be the best; take the latest"
        )
    learner = with_actors(state.learner, best.actors)
    return Trained(experiment, state._replace(learner=learner), np.asarray(best.update))


def choose_point(experiment: Experiment, directory: Path, asked: int | None) -> int:
    """Returns the number of the grid point asked for, else of the best in summary.json.

    Raises:
        UsageError: if there is no such point, or none is known to be the best.
    """
    last = len(experiment.points) - 1
    if asked is not None and not 0 <= asked <= last:
        raise UsageError(f"point: expected a number in [0, {last}], got {asked}")
    if asked is not None or last == 0:
        return asked or 0
    try:
        return _within(last + 1, best_point(read_json(directory / "summary.json")))
    except (OSError, LookupError, TypeError, ValueError) as error:
        raise UsageError(_unknown("point", last + 1, directory, error)) from error


def choose_seed(experiment: Experiment, directory: Path, point: int, asked: int | None) -> int:
    """Returns the place among the seeds of the one asked for, else of the point's best.

    Raises:
        UsageError: if there is no such seed, or none is known to be the best.
    """
    seeds = experiment.seeds
    if asked is not None and asked not in seeds:
        raise UsageError(f"seed: expected one of {', '.join(map(str, seeds))}, got {asked}")
    if asked is not None or len(seeds) == 1:
        return seeds.index(seeds[0] if asked is None else asked)
    try:
        return _within(len(seeds), best_seed(read_json(directory / "summary.json"), point))
    except (OSError, LookupError, TypeError, ValueError) as error:
        raise UsageError(_unknown("seed", len(seeds), directory, error)) from error


def _within(count: int, index: int) -> int:
    """Returns the index, unless the file it was read from belongs to a larger run."""
    if index >= count:
        raise IndexError(f"it speaks of number {index}")
    return index


def _unknown(name: str, count: int, directory: Path, error: Any) -> str:
    return (
        f"{name}: {directory} has no summary.json that tells the best of {count} ({error}); choose "
        f"one with --{name}"
    )
