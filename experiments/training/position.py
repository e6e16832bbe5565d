"""Where a run stands: what a checkpoint holds, and which of its points are numbers no more."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np

from experiments.training.errors import UsageError
from experiments.training.evaluation import Best, no_best
from experiments.training.folder.checkpoints import Checkpoints, Restored
from experiments.training.settings.experiment import Experiment
from oatrpo_jax.train import TrainState


class RunState(NamedTuple):
    """What a checkpoint holds; arrays have leading axes ``[P, K]``.

    Attributes:
        train: the state of training.
        best: the policies that did best when evaluated; None where nothing is evaluated.
    """

    train: TrainState
    best: Best | None

    @classmethod
    def like(cls, train: TrainState, experiment: Experiment) -> RunState:
        """Returns the shapes and dtypes of a run's state, given those of its training."""
        is_evaluated = experiment.options.run.eval_every > 0
        return cls(train, jax.eval_shape(no_best, train.learner) if is_evaluated else None)


class NonFinite(NamedTuple):
    """The first quantity of a grid point that is no number any more.

    Attributes:
        point: number of the grid point.
        update: in which update.
        seed: the seed's number.
        metric: the quantity.
    """

    point: int
    update: int
    seed: int
    metric: str


def find_diverged(
    metrics: Mapping[str, np.ndarray],
    first_update: int,
    seeds: Sequence[int],
    known: Collection[int] = (),
) -> dict[int, NonFinite]:
    """Returns, for each point that diverged, its first non-finite metric by update and seed.

    A mean over episodes is NaN where no episode ended.

    Args:
        metrics: ``[U, P, K, ...]`` by name.
        seeds: numbers, ``[K]``.
        known: points that diverged before; they are left out.
    """
    ended = metrics["episode/count"] > 0
    found: dict[int, NonFinite] = {}
    for name, value in metrics.items():
        is_bad = np.asarray(~np.isfinite(value).reshape(*ended.shape, -1).all(axis=-1))
        if name.startswith("episode/"):
            is_bad &= ended | np.isinf(value)
        for point in sorted(set(np.nonzero(is_bad)[1].tolist()) - set(known)):
            update, seed = np.argwhere(is_bad[:, point])[0].tolist()
            new = NonFinite(point, first_update + update, seeds[seed], name)
            found[point] = min(new, found.get(point, new))
    return dict(sorted(found.items()))


@dataclass
class Position:
    """Where a run stands, as of the last update after which the host held its state.

    Attributes:
        state: of the run.
        num_updates: updates done.
        run_seconds: what they took, in all processes together.
        diverged: by grid point, the first number that was not finite.
        evaluated_ends: updates that were evaluated as the last ones, until more were asked for.
    """

    state: RunState
    num_updates: int
    run_seconds: float
    diverged: dict[int, NonFinite]
    evaluated_ends: tuple[int, ...] = ()

    @classmethod
    def of(cls, restored: Restored) -> Position:
        """Returns where a run stood when it saved that checkpoint."""
        about = restored.about
        diverged = {one["point"]: NonFinite(**one) for one in about.get("diverged", ())}
        seconds = float(about.get("run_seconds", 0.0))
        ends = tuple(about.get("evaluated_ends", ()))
        return cls(restored.state, restored.num_updates, seconds, diverged, ends)

    def facts(self) -> dict[str, Any]:
        """Returns what a checkpoint says beside its arrays."""
        diverged = [one._asdict() for one in self.diverged.values()]
        return {
            "num_updates": self.num_updates,
            "run_seconds": self.run_seconds,
            "diverged": diverged,
            "evaluated_ends": list(self.evaluated_ends),
        }

    def is_lost(self, experiment: Experiment) -> bool:
        """Returns whether all grid points have diverged."""
        return len(self.diverged) == len(experiment.points)

    def is_complete(self, experiment: Experiment) -> bool:
        """Returns whether all updates are done, and a point is sound."""
        return self.num_updates == experiment.config.num_updates and not self.is_lost(experiment)


def save(position: Position, checkpoints: Checkpoints) -> None:
    """Starts to save where a run stands."""
    checkpoints.save(
        position.state, position.num_updates, position.facts(), left_out=position.diverged.keys()
    )


def save_first(position: Position, checkpoints: Checkpoints) -> None:
    """Saves the state before the first update, and reads it back.

    What cannot be saved, or not be loaded again, is better known now than at the end.
    """
    save(position, checkpoints)
    if not checkpoints.wait():
        raise UsageError("out: nothing can be saved there; make room, or choose another one")
    checkpoints.read_back(jax.eval_shape(lambda: position.state))
