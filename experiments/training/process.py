"""One process's part of a run: it begins one or takes it up, trains, and leaves how that ended."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from experiments.training import program
from experiments.training.console import ProgressLine, make_console, status
from experiments.training.errors import UsageError
from experiments.training.evaluation import Evaluator, no_best
from experiments.training.folder.checkpoints import (
    Checkpoints,
    find_checkpoints,
    restore,
    set_aside,
)
from experiments.training.folder.files import locked, read_json, write_json
from experiments.training.folder.metrics import Log
from experiments.training.folder.tensorboard import Boards
from experiments.training.grouping import save_grouping
from experiments.training.loop import Instruments, Position, RunState, save_first, train
from experiments.training.settings.config_file import (
    compare_versions,
    describe_experiment,
    describe_resumption,
)
from experiments.training.settings.documents import read_config
from experiments.training.settings.experiment import Experiment, build
from experiments.training.settings.options import Options
from experiments.training.stopping import Ending, NonFinite, explain, stop_on_signals

Finish = Callable[[Path, Console], Mapping[str, Any]]
"""(directory, console) -> summary.json: what is made of a run's files once training has ended."""


def run(options: Options, finish: Finish) -> int:
    """Trains what the options ask for, from the beginning or on, and returns the exit code."""
    begin = start if options.run.resume is None else resume
    return begin(options, finish, make_console())


def start(options: Options, finish: Finish, console: Console) -> int:
    """Checks everything, makes the directory and trains from the beginning."""
    directory = options.run.out or default_directory(options)
    check_directory(directory)
    experiment = build(options)
    traced = trace_program(experiment, console)
    make_directory(directory)
    with locked(directory):
        check_directory(directory)  # Another process may have been there since.
        write_json(directory / "config.json", describe_experiment(experiment))
        part = Part(experiment, traced, directory, console)
        return part.execute(None, finish)


def resume(options: Options, finish: Finish, console: Console) -> int:
    """Goes on with a run from its newest checkpoint, as if it had never stopped."""
    directory = options.run.resume
    assert directory is not None
    with locked(directory):
        experiment = build(options)
        if is_finished(experiment, directory):
            print(f"Nothing is left to do in {directory}; a higher --total-steps trains on.")
            return 0
        config = read_config(directory)
        compare_versions(config)
        part = Part(experiment, trace_program(experiment, console), directory, console)
        position = part.find_position()
        done = 0 if position is None else position.num_updates
        write_json(directory / "config.json", describe_resumption(config, experiment, done))
        last = experiment.config.num_updates
        console.print(f"resuming {directory} after update {done} of {last}")
        return part.execute(position, finish)


def trace_program(experiment: Experiment, console: Console) -> program.Traced:
    """Returns the programs of a run; shapes that do not fit are a UsageError."""
    if experiment.options.run.compilation_cache:
        program.use_compilation_cache()
    with status(console, "tracing ..."):
        try:
            return program.trace(experiment)
        except (ValueError, OverflowError) as error:
            raise UsageError(str(error)) from error


class Part:
    """What one process does of a run; the directory is its own while it does."""

    def __init__(
        self, experiment: Experiment, traced: program.Traced, directory: Path, console: Console
    ) -> None:
        """Opens nothing yet."""
        self.experiment, self.traced = experiment, traced
        self.directory, self.console = directory, console
        steps = experiment.config.steps_per_update
        self.log = Log(directory / "metrics.csv", len(experiment.points), experiment.seeds, steps)
        self.evaluator = Evaluator(experiment, directory)

    def find_position(self) -> Position | None:
        """Returns the newest state that can be loaded; None if none was saved before a kill.

        Cuts off what the logs say of later updates.

        Raises:
            UsageError: if there is none, if metrics.csv does not reach that far, or if more updates
                are done than are wanted.
        """
        restored = restore(self.directory, RunState.like(self.traced.state, self.experiment))
        if restored is None:
            path = self.log.path
            if path.exists() and path.stat().st_size:
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
        size = self.log.size_of(range(1, done + 1))
        evaluation_size = self.evaluator.size_of(done)
        self.log.cut(size)
        if self.evaluator.every:
            self.evaluator.log.cut(evaluation_size)
        set_aside(restored.passed_over)
        diverged = {one["point"]: NonFinite(**one) for one in restored.about.get("diverged", ())}
        seconds = float(restored.about.get("run_seconds", 0.0))
        return Position(restored.state, done, seconds, diverged)

    def execute(self, position: Position | None, finish: Finish) -> int:
        """Trains from a position on, or from the beginning; returns the exit code."""
        experiment, run = self.experiment, self.experiment.options.run
        (self.directory / "training.json").unlink(missing_ok=True)
        labels = [experiment.label(point) for point in range(len(experiment.points))]
        done = 0 if position is None else position.num_updates
        boards = Boards(self.directory, labels, experiment.config.steps_per_update, done + 1)
        checkpoints = Checkpoints(self.directory, run.keep_checkpoints, run.checkpoint_every)
        line = ProgressLine(experiment, self.console, done)
        with stop_on_signals() as stop, boards, checkpoints:
            with status(self.console, "compiling ..."):
                compiled = program.compile_program(self.traced)
                self.evaluator.compile(self.traced.state.learner)
            if position is None:
                position = self._first_position(compiled)
                save_first(position, checkpoints)
            instruments = Instruments(self.log, boards, checkpoints, self.evaluator, line)
            with line:
                position = train(experiment, compiled, position, stop, instruments)
            ending = Ending(position.diverged, checkpoints.wait(), checkpoints.newest)
        seconds = compiled.compile_seconds + self.evaluator.compile_seconds
        self._leave(position, seconds)
        summary = finish(self.directory, self.console)
        # A sweep in which no point has a score has failed.
        has_failed = summary.get("best_score", 0.0) is None
        return explain(experiment, ending, stop, self.directory) or int(has_failed)

    def _first_position(self, compiled: program.Program) -> Position:
        """Returns the beginning, and leaves how agents were grouped if they are."""
        with status(self.console, "making the first state ..."):
            state, grouping = compiled.init()
        if grouping is not None:
            save_grouping(self.experiment, grouping, self.directory, self.console)
        best = no_best(state.learner) if self.evaluator.every else None
        return Position(RunState(state, best), 0, 0.0, {})

    def _leave(self, position: Position, compile_seconds: float) -> None:
        """Writes training.json: how far training came, and what the best policies can do."""
        is_sound = len(position.diverged) < len(self.experiment.points)
        completed = is_sound and position.num_updates == self.experiment.config.num_updates
        best = position.state.best
        absolute = None
        if completed and best is not None:
            absolute = self.evaluator.absolute(position.state.train.learner, best)
        content: dict[str, Any] = {
            **position.facts(),
            "completed": completed,
            "compile_seconds": compile_seconds,
            "absolute": absolute,
        }
        write_json(self.directory / "training.json", content)


def is_finished(experiment: Experiment, directory: Path) -> bool:
    """Returns whether all updates are done, the last state is saved and every file is written."""
    try:
        summary = read_json(directory / "summary.json")  # The last file of all.
        is_whole = summary["completed"] and summary["env_steps"] == experiment.total_steps
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return is_whole and max(find_checkpoints(directory), default=0) == experiment.config.num_updates


def default_directory(options: Options) -> Path:
    """Returns ``runs/<env>-<algorithm>-<time>``."""
    name = f"{options.run.env}-{options.run.algorithm}-{time.strftime('%Y%m%d-%H%M%S')}"
    return Path("runs") / name.replace(":", "-").replace(os.sep, "-")


def check_directory(directory: Path) -> None:
    """Raises a UsageError if the results cannot go there; creates nothing."""
    if directory.exists() and not directory.is_dir():
        raise UsageError(f"out: expected a directory, got the file {directory}; choose another")
    if directory.is_dir() and any(path.name[0] != "." for path in directory.iterdir()):
        raise UsageError(
            f"out: expected a new or empty directory, but {directory} holds files; choose another, "
            f"or go on with the run in it: --resume {directory}"
        )
    parent = next(path for path in (directory, *directory.absolute().parents) if path.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        raise UsageError(f"out: cannot write to {parent}; choose another directory")


def make_directory(directory: Path) -> None:
    """Creates the directory of the results."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"out: cannot create {directory}: {error.strerror}") from error
