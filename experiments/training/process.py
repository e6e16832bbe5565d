"""One process's part of a run: it begins one or takes it up, trains, and leaves how that ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
from rich.console import Console

from experiments.training import program
from experiments.training.console import ProgressLine, make_console, say_schedules, status
from experiments.training.errors import UsageError
from experiments.training.evaluation import Evaluator, no_best
from experiments.training.folder.checkpoints import Checkpoints, Restored, restore, set_aside
from experiments.training.folder.directory import check_is_empty, check_out, make_directory
from experiments.training.folder.files import locked, write_json
from experiments.training.folder.loggers import OnChunk, check_logs, open_loggers
from experiments.training.folder.metrics import Log, Rows, make_logs
from experiments.training.grouping import save_grouping
from experiments.training.loop import Instruments, Position, RunState, save_first, train
from experiments.training.placement import hint
from experiments.training.processes import agree_to_stop, alike
from experiments.training.settings.config_file import (
    compare_meshes,
    compare_versions,
    describe_experiment,
    describe_resumption,
    in_common,
)
from experiments.training.settings.experiment import Experiment, build
from experiments.training.settings.options import Options
from experiments.training.settings.stored import read_config
from experiments.training.signals import StopRequest, stop_on_signals
from experiments.training.stopping import Ending, explain, is_finished, say_stopped

Finish = Callable[[Path, Console], Mapping[str, Any]]
"""(directory, console) -> summary.json: what is made of a run's files once training has ended."""


def run(options: Options, finish: Finish, on_chunk: OnChunk | None = None) -> int:
    """Trains what the options ask for, from the beginning or on, and returns the exit code."""
    check_logs(options.run.log)
    begin = start if options.run.resume is None else resume
    # Of several processes the first is enough for what people see.
    seen = (finish, on_chunk) if jax.process_index() == 0 else (lambda *_: {}, None)
    return begin(options, make_console(), *seen)


def start(options: Options, console: Console, finish: Finish, on_chunk: OnChunk | None) -> int:
    """Checks everything, makes the directory and trains from the beginning."""
    name = f"{options.run.env}-{options.run.algorithm}"
    check_out(options.run.out, name)
    experiment = build(options)
    traced = trace_program(experiment, console)
    directory = make_directory(options.run.out, name)
    console.print(f"results: {directory}", soft_wrap=True)
    with locked(directory), stop_on_signals() as stop:
        check_is_empty(directory)  # Another process may have been there since.
        config = describe_experiment(experiment, traced.placement.mesh.shape)
        alike("config.json", in_common(config))
        write_json(directory / "config.json", config)
        part = Part(experiment, traced, directory, console, on_chunk)
        return part.execute(None, config, stop, finish)


def resume(options: Options, console: Console, finish: Finish, on_chunk: OnChunk | None) -> int:
    """Goes on with a run from its newest checkpoint, as if it had never stopped."""
    directory = options.run.resume
    assert directory is not None
    with locked(directory):
        experiment = build(options)
        if alike("summary.json", is_finished(experiment, directory)):
            print(f"Nothing is left to do in {directory}; a higher --total-steps trains on.")
            return 0
        config = read_config(directory)
        compare_versions(config)
        traced = trace_program(experiment, console)
        compare_meshes(config, traced.placement.mesh.shape)
        part = Part(experiment, traced, directory, console, on_chunk)
        restored = part.find_checkpoint()
        done = 0 if restored is None else restored.num_updates
        now = describe_resumption(config, experiment, done, traced.placement.mesh.shape)
        alike("checkpoint and config.json", in_common(now))
        place = f"after update {done} of {experiment.config.num_updates}"
        console.print(f"resuming {directory} {place}", soft_wrap=True)
        say_schedules(experiment, console)
        with stop_on_signals() as stop:
            return part.execute(restored, now, stop, finish)


def trace_program(experiment: Experiment, console: Console) -> program.Traced:
    """Returns the programs of a run; shapes that do not fit are a UsageError."""
    if experiment.options.run.compilation_cache:
        program.use_compilation_cache()
    with status(console, "tracing ..."):
        try:
            traced = program.trace(experiment)
        except (ValueError, OverflowError) as error:
            raise UsageError(str(error)) from error
    config = experiment.config
    if text := hint(traced.placement, config.num_envs // config.num_minibatches):
        console.print(text, soft_wrap=True)
    return traced


class Part:
    """What one process does of a run; the directory is its own while it does."""

    def __init__(
        self,
        experiment: Experiment,
        traced: program.Traced,
        directory: Path,
        console: Console,
        on_chunk: OnChunk | None,
    ) -> None:
        """Opens nothing yet."""
        self.experiment, self.traced = experiment, traced
        self.directory, self.console, self.on_chunk = directory, console, on_chunk
        rows = Rows(len(experiment.points), experiment.seeds, experiment.config.steps_per_update)
        self.logs = make_logs(directory, rows, traced.metrics, experiment.matrix_every)
        self.evaluator = Evaluator(experiment, traced, directory)

    def find_checkpoint(self) -> Restored | None:
        """Returns the newest checkpoint that can be loaded, or None; changes nothing.

        Raises:
            UsageError: if there is none, if a log does not reach that far, or is not the one that
                would be written, or if more updates are done than are wanted.
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
        self.evaluator.evaluated_ends = Position.of(restored).evaluated_ends
        for log in self._all_logs():
            log.size_of(done)
        return restored

    def _all_logs(self) -> tuple[Log, ...]:
        return (*self.logs, *self.evaluator.logs)

    def execute(
        self,
        restored: Restored | None,
        config: Mapping[str, Any],
        stop: StopRequest,
        finish: Finish,
    ) -> int:
        """Trains from a checkpoint on, or from the beginning; returns the exit code.

        Args:
            restored: the checkpoint.
            config: what config.json says as soon as a first update can be done, and not before.
            stop: asks for an early end.
            finish: makes something of the run's files once training has ended.
        """
        run = self.experiment.options.run
        with Checkpoints(self.directory, run.keep_checkpoints, run.checkpoint_every) as checkpoints:
            compiled = self._compile()
            if restored is None:
                position = self._first_position(compiled)
                save_first(position, checkpoints)
            else:
                position = Position.of(restored)
                position.state = self.traced.placement.spread(position.state)
            if agree_to_stop(stop):
                say_stopped(stop, "no update was done in", self.directory)
                return stop.exit_code
            self._take_up(restored, config)
            position = self._train(compiled, position, checkpoints, stop)
            is_saved, newest = checkpoints.wait(), checkpoints.newest
        ending = Ending(position.diverged, is_saved, newest, self._is_complete(position))
        self._leave(position, ending, compiled.compile_seconds + self.evaluator.compile_seconds)
        summary = finish(self.directory, self.console)
        # A sweep in which no point has a score has failed.
        has_failed = summary.get("best_score", 0.0) is None
        return explain(self.experiment, ending, stop, self.directory) or int(has_failed)

    def _compile(self) -> program.Program:
        with status(self.console, "compiling ..."):
            compiled = program.compile_program(self.traced)
            self.evaluator.compile()
        return compiled

    def _take_up(self, restored: Restored | None, config: Mapping[str, Any]) -> None:
        """Makes the folder that of the run as it now goes on: what is of later updates, goes.

        config.json first: what it asks for tells that training.json is of before.
        """
        write_json(self.directory / "config.json", config)
        (self.directory / "training.json").unlink(missing_ok=True)
        if restored is None:
            return
        for log in self._all_logs():
            log.cut(log.size_of(restored.num_updates))
        set_aside(restored.passed_over)

    def _train(
        self,
        compiled: program.Program,
        position: Position,
        checkpoints: Checkpoints,
        stop: StopRequest,
    ) -> Position:
        experiment, done = self.experiment, position.num_updates
        opened = open_loggers(experiment, self.directory, done + 1, self.on_chunk)
        with opened as loggers, ProgressLine(experiment, self.console, done) as line:
            instruments = Instruments(self.logs, loggers, checkpoints, self.evaluator, line)
            return train(experiment, compiled, position, stop, instruments)

    def _first_position(self, compiled: program.Program) -> Position:
        """Returns the beginning, and leaves how agents were grouped if they are."""
        with status(self.console, "making the first state ..."):
            state, grouping = compiled.init()
        if grouping is not None:
            save_grouping(self.experiment, grouping, self.directory, self.console)
        best = no_best(state.learner) if self.evaluator.every else None
        return Position(RunState(state, best), 0, 0.0, {})

    def _is_complete(self, position: Position) -> bool:
        is_sound = len(position.diverged) < len(self.experiment.points)
        return is_sound and position.num_updates == self.experiment.config.num_updates

    def _leave(self, position: Position, ending: Ending, compile_seconds: float) -> None:
        """Writes training.json: how far training came, and what the best policies can do."""
        best = position.state.best
        absolute = None
        if ending.completed and best is not None:
            absolute = self.evaluator.absolute(position.state.train.learner, best)
        content: dict[str, Any] = {
            **position.facts(),
            "completed": ending.completed,
            "compile_seconds": compile_seconds,
            "absolute": absolute,
        }
        write_json(self.directory / "training.json", content)
