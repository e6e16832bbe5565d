"""The training of a run: chunks of updates, between which the host logs, evaluates and saves."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from experiments.training import program
from experiments.training.chunks import Chunk, Device
from experiments.training.console import ProgressLine, status
from experiments.training.errors import UsageError
from experiments.training.evaluation import Evaluator, no_best
from experiments.training.folder.checkpoints import Checkpoints, Restored, restore, set_aside
from experiments.training.folder.clusters import save_clusters
from experiments.training.folder.files import write_json
from experiments.training.folder.loggers import OnChunk, open_loggers
from experiments.training.folder.metrics import Log, Rows, make_logs
from experiments.training.position import (
    Position,
    RunState,
    find_diverged,
    save,
    save_first,
)
from experiments.training.processes import agree_to_stop
from experiments.training.program import Compiled, Traced
from experiments.training.settings.experiment import Experiment
from experiments.training.signals import StopRequest
from experiments.training.stopping import explain, say_stopped

Finish = Callable[[Path, Console], Mapping[str, Any]]
"""(directory, console) -> summary.json: what is made of a run's files once training has ended."""


class Training:
    """A run as this process trains it; the directory is its own while it does.

    Attributes:
        position: where it stands, as soon as it has begun.
    """

    position: Position

    def __init__(
        self,
        experiment: Experiment,
        traced: Traced,
        directory: Path,
        console: Console,
        on_chunk: OnChunk | None,
    ) -> None:
        """Opens nothing yet."""
        run = experiment.options.run
        self.experiment, self.traced = experiment, traced
        self.directory, self.console, self.on_chunk = directory, console, on_chunk
        rows = Rows(len(experiment.points), experiment.seeds, experiment.config.steps_per_update)
        self.logs = make_logs(directory, rows, traced.metrics, experiment.matrix_every)
        self.evaluator = Evaluator(experiment, traced, directory)
        self.checkpoints = Checkpoints(directory, run.keep_checkpoints, run.checkpoint_every)

    def find_checkpoint(self) -> Restored | None:
        """Returns the newest checkpoint that can be loaded, or None; changes nothing.

        Raises:
            UsageError: if there are some but none can be loaded, if there are metrics without one,
                if a log does not reach that far, or is not the one that would be written, or if
                more updates are done than are wanted.
        """
        restored = restore(self.directory, RunState.like(self.traced.state, self.experiment))
        if restored is None:
            if any(log.path.exists() and log.path.stat().st_size for log in self.logs):
                raise UsageError(
                    f"resume: {self.directory} has metrics but no checkpoint to go on from; "
                    "nothing was changed. Start anew with --out"
                )
            return None
        done, config = restored.num_updates, self.experiment.config
        if done > config.num_updates:
            raise UsageError(
                f"total_steps: {done * config.steps_per_update} steps are done already, got "
                f"{self.experiment.total_steps}; ask for more than that"
            )
        for log in self._all_logs(Position.of(restored)):
            log.size_of(done)
        return restored

    def execute(
        self,
        restored: Restored | None,
        config: Mapping[str, Any],
        stop: StopRequest,
        finish: Finish,
    ) -> int:
        """Trains from a checkpoint on, or from the beginning; returns the exit code.

        Args:
            config: what config.json says as soon as a first update can be done, and not before.
        """
        with self.checkpoints:
            with status(self.console, "compiling ..."):
                compiled = program.compile_program(self.traced)
                self.evaluator.compile()
            if restored is None:
                self.position = self._first_position(compiled)
                save_first(self.position, self.checkpoints)
            else:
                self.position = Position.of(restored)
                self.position.state = self.traced.placement.spread(self.position.state)
            if agree_to_stop(stop):
                say_stopped(stop, "no update was done in", self.directory)
                return stop.exit_code
            self._take_up(restored, config)
            first = self.position.num_updates + 1
            opened = open_loggers(self.experiment, self.directory, first, self.on_chunk)
            with opened as loggers, ProgressLine(self.experiment, self.console, first - 1) as line:
                self.train(compiled, stop, loggers, line)
            is_saved = self.checkpoints.wait()
        self._leave(compiled.compile_seconds + self.evaluator.compile_seconds)
        summary = finish(self.directory, self.console)
        # A sweep in which no point has a score has failed.
        has_failed = summary.get("best_score", 0.0) is None
        code = explain(self.experiment, self.position, is_saved, stop, self.directory)
        return code or int(has_failed)

    def _all_logs(self, position: Position) -> tuple[Log, ...]:
        return (*self.logs, *self.evaluator.logs(position.evaluated_ends))

    def _first_position(self, compiled: Compiled) -> Position:
        """Returns the beginning, and leaves how agents were grouped if they are."""
        with status(self.console, "making the first state ..."):
            state, grouping = compiled.init()
        if grouping is not None:
            save_clusters(self.experiment, grouping, self.directory, self.console)
        best = no_best(state.learner) if self.evaluator.every else None
        return Position(RunState(state, best), 0, 0.0, {})

    def _take_up(self, restored: Restored | None, config: Mapping[str, Any]) -> None:
        """Makes the folder that of the run as it now goes on: what is of later updates, goes.

        config.json first: what it asks for tells that training.json is of before.
        """
        write_json(self.directory / "config.json", config)
        (self.directory / "training.json").unlink(missing_ok=True)
        if restored is None:
            return
        for log in self._all_logs(self.position):
            log.cut(log.size_of(restored.num_updates))
        set_aside(restored.passed_over)

    def train(
        self,
        compiled: Compiled,
        stop: StopRequest,
        loggers: tuple[OnChunk, ...],
        line: ProgressLine,
    ) -> None:
        """Does all updates, or as many as it can.

        The device does the next chunk while the last one is logged, unless the host needs the
        state: to evaluate, to save, or as the last one.  The position moves with those states
        alone.

        A grid point that diverged goes on unheeded; training stops when no sound one is left.
        """
        position, last = self.position, self.experiment.config.num_updates
        checkpoints, evaluator = self.checkpoints, self.evaluator
        began = time.perf_counter() - position.run_seconds
        every = [number for number in (checkpoints.every, evaluator.every) if number]
        with Device(compiled, position.num_updates, last, every) as device:
            if not agree_to_stop(stop):
                device.start(position.state.train)
            while (chunk := device.wait()) is not None:
                is_stopping = agree_to_stop(stop)
                chunk = self._note_diverged(chunk)
                update, has_lost = chunk.updates[-1], position.is_lost(self.experiment)
                is_due = evaluator.is_due(update) or checkpoints.is_due(update)
                is_held = is_due or update == last or has_lost or is_stopping
                if not is_held:
                    device.start(chunk.state)
                for write in (*(log.append for log in self.logs), *loggers, line.show):
                    write(chunk.metrics, chunk.updates)
                if not is_held:
                    continue
                position.state = position.state._replace(train=chunk.state)
                position.num_updates = update
                if evaluator.is_due(update) and not has_lost:
                    self._evaluate(loggers)
                    is_stopping = agree_to_stop(stop)
                position.run_seconds = time.perf_counter() - began
                if has_lost or is_stopping:
                    break
                if checkpoints.is_due(update):
                    save(position, checkpoints)
                device.start(chunk.state)
        if not position.is_lost(self.experiment):
            save(position, checkpoints)

    def _note_diverged(self, chunk: Chunk) -> Chunk:
        """Notes which points diverged; returns the chunk without updates after the last sound."""
        position, seeds = self.position, self.experiment.seeds
        new = find_diverged(
            chunk.metrics, chunk.first_update, seeds, known=position.diverged.keys()
        )
        position.diverged |= new
        if position.is_lost(self.experiment):
            return chunk.until(max(one.update for one in new.values()))
        return chunk

    def _evaluate(self, loggers: tuple[OnChunk, ...]) -> None:
        """Evaluates where the run stands, and keeps the best policies there."""
        position, update = self.position, self.position.num_updates
        best, metrics = self.evaluator.play(
            position.state.train.learner, position.state.best, update
        )
        position.state = position.state._replace(best=best)
        logs = self.evaluator.logs(position.evaluated_ends)
        if update == self.experiment.config.num_updates:
            position.evaluated_ends = (*position.evaluated_ends, update)
        for write in (*(log.append for log in logs), *loggers):
            write({name: value[None] for name, value in metrics.items()}, [update])

    def _leave(self, compile_seconds: float) -> None:
        """Writes training.json: how far training came, and what the best policies can do."""
        best, completed = self.position.state.best, self.position.is_complete(self.experiment)
        absolute = None
        if completed and best is not None:
            absolute = self.evaluator.absolute(self.position.state.train.learner, best)
        content: dict[str, Any] = {
            **self.position.facts(),
            "completed": completed,
            "compile_seconds": compile_seconds,
            "absolute": absolute,
        }
        write_json(self.directory / "training.json", content)
