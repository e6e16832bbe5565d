"""Trains a team: ``python experiments/run.py --env maze`` (see ``--help``)."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if __name__ == "__main__":  # Python puts this script's folder on the path, not the repository.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from experiments.training.errors import UsageError, check_once, exit_code_of
from experiments.training.folder.lock import locked
from experiments.training.settings.options import PROGRAM, Options, parse

if TYPE_CHECKING:
    from rich.console import Console

    from experiments.training.program import Traced
    from experiments.training.settings.experiment import Experiment


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command line and returns the exit code; a usage error exits with 2."""
    arguments = sys.argv[1:] if argv is None else argv
    check_once(arguments, PROGRAM)
    options = parse(arguments)
    begin = start if options.run.resume is None else resume
    return exit_code_of(lambda: begin(options), PROGRAM, "--resume goes on from there.")


def start(options: Options) -> int:
    """Checks everything, makes the directory and trains from the beginning."""
    # Slow to import; help and mistakes that tyro finds do not wait for them.
    from experiments.training import console as progress
    from experiments.training.folder.files import write_json
    from experiments.training.loop import Start, execute
    from experiments.training.settings.config_file import describe_experiment
    from experiments.training.settings.experiment import build

    directory = options.run.out or default_directory(options)
    check_directory(directory)
    experiment = build(options)
    console = progress.make_console()
    traced = trace(experiment, console)
    if options.run.dry_run:
        from experiments.analysis.speed.memory import report

        report(experiment, traced, console)
        return 0
    make_directory(directory)
    with locked(directory):
        check_directory(directory)  # Another process may have been there since.
        write_json(directory / "config.json", describe_experiment(experiment))
        return execute(experiment, traced, directory, console, Start())


def resume(options: Options) -> int:
    """Goes on with a run from its newest checkpoint, as if it had never stopped."""
    from experiments.training import console as progress
    from experiments.training.loop import execute
    from experiments.training.resuming import find_start, is_finished, note_resumption
    from experiments.training.settings.experiment import build
    from experiments.training.settings.stored import compare_versions, read_config, resumed_options

    directory = options.run.resume
    assert directory is not None
    resumed = resumed_options(directory, options.argv)
    if resumed.run.dry_run:
        raise UsageError(f"dry_run: only for a new run; {directory / 'config.json'} is this one's")
    with locked(directory):
        experiment = build(resumed)
        if is_finished(experiment, directory):
            print(f"Nothing is left to do in {directory}; a higher --total-steps trains on.")
            return 0
        compare_versions(read_config(directory))
        console = progress.make_console()
        traced = trace(experiment, console)
        begin = find_start(experiment, traced, directory)
        note_resumption(experiment, directory, begin.num_updates)
        last = experiment.config.num_updates
        console.print(f"resuming {directory} after update {begin.num_updates} of {last}")
        return execute(experiment, traced, directory, console, begin)


def trace(experiment: Experiment, console: Console) -> Traced:
    """Returns the programs of a run; shapes that do not fit are a UsageError."""
    from experiments.training import console as progress
    from experiments.training import program as runner

    if experiment.options.run.compilation_cache:
        runner.use_compilation_cache()
    with progress.status(console, "tracing ..."):
        try:
            return runner.trace(experiment)
        except (ValueError, OverflowError) as error:
            raise UsageError(str(error)) from error


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


if __name__ == "__main__":
    sys.exit(main())
