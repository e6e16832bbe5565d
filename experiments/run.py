"""Trains a team: ``python experiments/run.py --env maze`` (see ``--help``)."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if __name__ == "__main__":  # Python puts this script's folder on the path, not the repository.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from experiments.errors import UsageError, fail
from experiments.options import Options, parse

if TYPE_CHECKING:
    from rich.console import Console

    from experiments.experiment import Experiment
    from experiments.interrupts import StopRequest
    from experiments.runner import Traced
    from oatrpo_jax.train import TrainState


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command line and returns the exit code; a usage error exits with 2."""
    options = parse(sys.argv[1:] if argv is None else argv)
    try:
        return launch(options)
    except UsageError as error:
        fail(str(error))
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130


def launch(options: Options) -> int:
    """Checks everything, makes the directory, trains and writes; returns the exit code."""
    # Slow to import; help and mistakes that tyro finds do not wait for them.
    from experiments import progress, runner
    from experiments.experiment import build

    directory = options.run.out or default_directory(options)
    check_directory(directory)
    experiment = build(options)
    runner.use_compilation_cache()
    console = progress.make_console()
    with progress.status(console, "tracing ..."):
        try:
            traced = runner.trace(experiment)
        except ValueError as error:
            raise UsageError(str(error)) from error
    make_directory(directory)
    return execute(experiment, traced, directory, console)


def execute(experiment: Experiment, traced: Traced, directory: Path, console: Console) -> int:
    """Trains and leaves every file in the directory; returns the exit code."""
    from experiments import progress, runner
    from experiments.interrupts import stop_on_signals
    from experiments.provenance import describe_experiment
    from experiments.records import Recorder
    from experiments.summary import Timing, summarise

    write_json(directory / "config.json", describe_experiment(experiment))
    with stop_on_signals() as stop, Recorder(experiment, directory) as recorder:
        with progress.status(console, "compiling ..."):
            program = runner.compile_program(traced)
        start, state, bad = time.perf_counter(), program.init(), None
        with progress.ProgressLine(experiment, console) as line:
            last = 0 if stop else experiment.config.num_updates
            for chunk in runner.train(program, state, 1, last):
                state = chunk.state
                bad = runner.find_non_finite(chunk)
                recorder.write(chunk.until(bad.update) if bad else chunk)
                line.show(chunk)
                if stop or bad:
                    break
        timing = Timing(program.compile_seconds, time.perf_counter() - start)
        summary = summarise(experiment, recorder.history, timing, is_sound=not bad)
        write_json(directory / "summary.json", summary)
        if recorder.history:
            draw(experiment, recorder.history, state, summary, directory)
    progress.print_report(console, experiment, summary, directory)
    return conclude(experiment, bad, stop, directory)


def draw(
    experiment: Experiment,
    history: dict[str, Any],
    state: TrainState,
    summary: dict[str, Any],
    directory: Path,
) -> None:
    """Saves the pictures of what was trained."""
    from experiments.plots import save_curves
    from experiments.replay import save_replay
    from experiments.reuse_plots import save_reuse
    from experiments.summary import best_point

    save_curves(experiment, history, directory / "curves.png")
    save_reuse(experiment, history, directory / "reuse.png")
    save_replay(experiment, state, best_point(summary), directory / "replay.gif")


def conclude(experiment: Experiment, bad: Any, stop: StopRequest, directory: Path) -> int:
    """Says on stderr why a run ended early, and returns the exit code."""
    if bad:
        print(
            f"Training stopped: {bad.name} is not finite in update {bad.update} at point "
            f"{bad.point} ({experiment.label(bad.point)}), seed {experiment.seeds[bad.seed]}. "
            f"What was logged so far, this update included, is in {directory}. Lower a learning "
            "rate or kl_threshold.",
            file=sys.stderr,
        )
        return 1
    if stop.signal is not None:
        print(
            f"Stopped by {stop.signal.name}; what was logged so far is in {directory}.",
            file=sys.stderr,
        )
    return stop.exit_code


def default_directory(options: Options) -> Path:
    """Returns ``runs/<env>-<algorithm>-<time>``."""
    name = f"{options.run.env}-{options.run.algorithm}-{time.strftime('%Y%m%d-%H%M%S')}"
    return Path("runs") / name.replace(":", "-").replace(os.sep, "-")


def check_directory(directory: Path) -> None:
    """Raises a UsageError if the results cannot go there; creates nothing."""
    if directory.exists() and not directory.is_dir():
        raise UsageError(f"out: expected a directory, got the file {directory}; choose another")
    if directory.is_dir() and any(directory.iterdir()):
        raise UsageError(
            f"out: expected a new or empty directory, but {directory} holds files; choose another"
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


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Writes a dictionary for people and programs."""
    path.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n")


if __name__ == "__main__":
    sys.exit(main())
