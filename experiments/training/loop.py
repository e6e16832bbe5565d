"""The training loop: chunks of updates, between which the host logs, evaluates and saves."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np

from experiments.training.console import ProgressLine
from experiments.training.errors import UsageError
from experiments.training.evaluation import Best, Evaluator, no_best
from experiments.training.folder.checkpoints import Checkpoints
from experiments.training.folder.metrics import Log
from experiments.training.folder.tensorboard import Boards
from experiments.training.program import CAPACITY, Program
from experiments.training.settings.experiment import Experiment
from experiments.training.stopping import NonFinite, StopRequest, find_diverged
from oatrpo_jax.train import TrainState

CHUNK_SECONDS = 1.0
"""How long a chunk should take: what the user waits for news, and for an interruption."""


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
    """Where a run stands.

    Attributes:
        state: of the run.
        num_updates: updates done.
        run_seconds: what they took, in all processes together.
        diverged: by grid point, the first number that was not finite.
    """

    state: RunState
    num_updates: int
    run_seconds: float
    diverged: dict[int, NonFinite]

    def facts(self) -> dict[str, Any]:
        """Returns what a checkpoint says beside its arrays."""
        diverged = [one._asdict() for one in self.diverged.values()]
        return {
            "num_updates": self.num_updates,
            "run_seconds": self.run_seconds,
            "diverged": diverged,
        }


@dataclass(frozen=True)
class Instruments:
    """What records a run while it goes on."""

    log: Log
    boards: Boards
    checkpoints: Checkpoints
    evaluator: Evaluator
    line: ProgressLine


class Chunk(NamedTuple):
    """What a few updates did.

    Attributes:
        state: the state after them, leading axes ``[P, K]``; given away when the next one starts.
        first_update: number of the first of them, from 1.
        metrics: by name, ``[chunk, P, K, ...]`` on the host.
    """

    state: TrainState
    first_update: int
    metrics: dict[str, np.ndarray]

    @property
    def updates(self) -> range:
        """Numbers of its updates."""
        count = len(next(iter(self.metrics.values())))
        return range(self.first_update, self.first_update + count)

    def until(self, update: int) -> Chunk:
        """Returns the chunk with the metrics of later updates left out."""
        count = update - self.first_update + 1
        return self._replace(metrics={k: value[:count] for k, value in self.metrics.items()})


def train(
    experiment: Experiment,
    program: Program,
    position: Position,
    stop: StopRequest,
    instruments: Instruments,
) -> Position:
    """Returns where a run stands once it has done all updates, or as many as it can.

    A grid point that diverged goes on unheeded; training stops when no sound one is left.
    """
    log, boards, checkpoints = instruments.log, instruments.boards, instruments.checkpoints
    evaluator, last = instruments.evaluator, experiment.config.num_updates
    began = time.perf_counter() - position.run_seconds
    every = [number for number in (checkpoints.every, evaluator.every) if number]
    first = position.num_updates + 1
    for chunk in () if stop else chunks(program, position.state.train, first, last, every):
        new = find_diverged(
            chunk.metrics, chunk.first_update, experiment.seeds, position.diverged.keys()
        )
        position.diverged |= new
        is_lost = len(position.diverged) == len(experiment.points)
        if is_lost:
            chunk = chunk.until(max(one.update for one in new.values()))
        position.state = position.state._replace(train=chunk.state)
        position.num_updates = chunk.updates[-1]
        log.append(chunk.metrics, chunk.updates)
        boards.write(chunk.metrics, chunk.updates)
        instruments.line.show(chunk.metrics, position.num_updates)
        if not is_lost and evaluator.is_due(position.num_updates):
            best, metrics = evaluator.play(
                chunk.state.learner, position.state.best, position.num_updates
            )
            position.state = position.state._replace(best=best)
            boards.write({k: v[None] for k, v in metrics.items()}, [position.num_updates])
        position.run_seconds = time.perf_counter() - began
        if is_lost or stop:
            break
        if checkpoints.is_due(position.num_updates):
            save(position, checkpoints)
    if len(position.diverged) < len(experiment.points):
        save(position, checkpoints)
    return position


def save(position: Position, checkpoints: Checkpoints) -> None:
    """Starts to save where a run stands."""
    checkpoints.save(
        position.state, position.num_updates, position.facts(), left_out=position.diverged.keys()
    )


def save_first(position: Position, checkpoints: Checkpoints) -> None:
    """Saves the state before the first update: what cannot be is better known now than later."""
    save(position, checkpoints)
    if not checkpoints.wait():
        raise UsageError("out: nothing can be saved there; make room, or choose another one")


def chunks(
    program: Program,
    state: TrainState,
    first_update: int,
    last_update: int,
    every: Sequence[int] = (),
) -> Iterator[Chunk]:
    """Yields chunks of about `CHUNK_SECONDS` from one update to another, both included.

    A chunk ends at each multiple of the numbers in ``every``, where the host has work to do.
    """
    done, length = first_update - 1, 1
    while done < last_update:
        start = time.perf_counter()
        count = min(length, last_update - done, *(number - done % number for number in every))
        state, log = program.advance(state, count)
        metrics = {name: np.asarray(value)[:count] for name, value in log.items()}
        seconds = max(time.perf_counter() - start, 1e-6)
        length = next_length(count, seconds, CAPACITY)
        yield Chunk(state, done + 1, metrics)
        done += count


def next_length(count: int, seconds: float, capacity: int) -> int:
    """Returns how many updates to do next, given how long ``count`` of them took.

    >>> next_length(1, seconds=0.1, capacity=256)
    4
    """
    wanted = int(CHUNK_SECONDS * count / seconds)
    return max(1, min(wanted, 4 * count, capacity))
