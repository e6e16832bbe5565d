"""The training loop: chunks of updates, between which the host logs, evaluates and saves."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax

from experiments.training.chunks import Chunk, Device
from experiments.training.console import ProgressLine
from experiments.training.errors import UsageError
from experiments.training.evaluation import Best, Evaluator, no_best
from experiments.training.folder.checkpoints import Checkpoints, Restored
from experiments.training.folder.loggers import OnChunk
from experiments.training.folder.metrics import Log
from experiments.training.processes import agree_to_stop
from experiments.training.program import Program
from experiments.training.settings.experiment import Experiment
from experiments.training.signals import StopRequest
from experiments.training.stopping import NonFinite, find_diverged
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


@dataclass(frozen=True)
class Instruments:
    """What records a run while it goes on."""

    logs: Sequence[Log]
    loggers: Sequence[OnChunk]
    checkpoints: Checkpoints
    evaluator: Evaluator
    line: ProgressLine

    def record(self, chunk: Chunk) -> None:
        """Logs and shows what a chunk did."""
        for log in self.logs:
            log.append(chunk.metrics, chunk.updates)
        for write in self.loggers:
            write(chunk.metrics, chunk.updates)
        self.line.show(chunk.metrics, chunk.updates[-1])

    def evaluate(self, position: Position) -> None:
        """Evaluates where a run stands, and keeps the best policies there."""
        state, update = position.state, position.num_updates
        best, metrics = self.evaluator.play(state.train.learner, state.best, update)
        position.state = state._replace(best=best)
        position.evaluated_ends = self.evaluator.evaluated_ends
        for write in self.loggers:
            write({name: value[None] for name, value in metrics.items()}, [update])


def train(
    experiment: Experiment,
    program: Program,
    position: Position,
    stop: StopRequest,
    instruments: Instruments,
) -> Position:
    """Returns where a run stands once it has done all updates, or as many as it can.

    The device does the next chunk while the last one is logged, unless the host needs the state:
    to evaluate, to save, or as the last one.  The position moves with those states alone.

    A grid point that diverged goes on unheeded; training stops when no sound one is left.
    """
    checkpoints, evaluator = instruments.checkpoints, instruments.evaluator
    last = experiment.config.num_updates
    began = time.perf_counter() - position.run_seconds
    every = [number for number in (checkpoints.every, evaluator.every) if number]
    with Device(program, position.num_updates, last, every) as device:
        if not agree_to_stop(stop):
            device.start(position.state.train)
        while (chunk := device.wait()) is not None:
            is_stopping = agree_to_stop(stop)
            chunk = note_diverged(chunk, position, experiment)
            update, has_lost = chunk.updates[-1], is_lost(position, experiment)
            is_due = evaluator.is_due(update) or checkpoints.is_due(update)
            is_held = is_due or update == last or has_lost or is_stopping
            if not is_held:
                device.start(chunk.state)
            instruments.record(chunk)
            if not is_held:
                continue
            position.state = position.state._replace(train=chunk.state)
            position.num_updates = update
            if evaluator.is_due(update) and not has_lost:
                instruments.evaluate(position)
                is_stopping = agree_to_stop(stop)
            position.run_seconds = time.perf_counter() - began
            if has_lost or is_stopping:
                break
            if checkpoints.is_due(update):
                save(position, checkpoints)
            device.start(chunk.state)
    if not is_lost(position, experiment):
        save(position, checkpoints)
    return position


def is_lost(position: Position, experiment: Experiment) -> bool:
    """Returns whether all grid points have diverged."""
    return len(position.diverged) == len(experiment.points)


def note_diverged(chunk: Chunk, position: Position, experiment: Experiment) -> Chunk:
    """Notes which points diverged; returns the chunk, with no updates after the last sound one."""
    new = find_diverged(
        chunk.metrics, chunk.first_update, experiment.seeds, position.diverged.keys()
    )
    position.diverged |= new
    if is_lost(position, experiment):
        return chunk.until(max(one.update for one in new.values()))
    return chunk


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
