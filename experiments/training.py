"""One process's part of a run: it trains, records and saves until all is done or it must stop."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from experiments import progress, runner, seps
from experiments.errors import UsageError
from experiments.experiment import Experiment
from experiments.files import read_json, write_json
from experiments.interrupts import StopRequest, stop_on_signals
from experiments.monitor import Monitor
from experiments.records import Recorder
from experiments.runner import NonFinite, Program, Traced
from experiments.saving import Checkpoints
from experiments.summary import Timing, add_absolute, best_point, summarise
from oatrpo_jax.train import TrainState


@dataclass(frozen=True)
class Start:
    """Where a process takes a run up.

    Attributes:
        state: leading axes ``[P, K]``; None to begin at the beginning.
        num_updates: updates done before.
        run_seconds: what they took.
        history: their metrics, ``[U, P, K, ...]``.
    """

    state: TrainState | None = None
    num_updates: int = 0
    run_seconds: float = 0.0
    history: Mapping[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True)
class End:
    """How the training of a process ended.

    Attributes:
        state: leading axes ``[P, K]``.
        bad: the number that was not finite, if one was.
        run_seconds: what all updates took, those of earlier processes included.
        is_saved: whether the state is in a checkpoint, if it is worth one.
        newest: updates done at the newest checkpoint; None if there is none.
    """

    state: TrainState
    bad: NonFinite | None
    run_seconds: float
    is_saved: bool
    newest: int | None


def execute(
    experiment: Experiment, traced: Traced, directory: Path, console: Console, start: Start
) -> int:
    """Trains from ``start`` on, leaves every file in the directory, returns the exit code."""
    run = experiment.options.run
    monitor = Monitor(experiment, directory, start.num_updates)
    with (
        stop_on_signals() as stop,
        Recorder(experiment, directory, start.history) as recorder,
        Checkpoints(directory, run.keep_checkpoints, run.checkpoint_every) as checkpoints,
    ):
        with progress.status(console, "compiling ..."):
            program = runner.compile_program(traced)
            monitor.compile(traced.init.out_info.learner)
        if start.state is None and experiment.algorithm.finds_clusters:
            program = seps.group_first(experiment, program, directory, console)
        with progress.ProgressLine(experiment, console, start.num_updates) as line:
            end = train(
                experiment,
                program,
                start,
                stop,
                recorder=recorder,
                checkpoints=checkpoints,
                monitor=monitor,
                line=line,
            )
        timing = Timing(program.compile_seconds + monitor.compile_seconds, end.run_seconds)
        history = recorder.history
    summary = summarise(experiment, history, timing, is_sound=not end.bad)
    if experiment.algorithm.finds_clusters:
        summary["seps"] = read_json(directory / seps.FILE)
    if summary["completed"]:
        add_absolute(summary, monitor.absolute(end.state.learner))
    if history:
        draw(experiment, history, end.state, summary, directory)
    # The last file of all: where it says "completed", nothing is left to do.
    write_json(directory / "summary.json", summary)
    progress.print_report(console, experiment, summary, directory)
    return conclude(experiment, end, stop, directory)


def train(
    experiment: Experiment,
    program: Program,
    start: Start,
    stop: StopRequest,
    *,
    recorder: Recorder,
    checkpoints: Checkpoints,
    monitor: Monitor,
    line: progress.ProgressLine,
) -> End:
    """Does the updates that are left, or as many as it can, and saves the last state."""
    began, state, bad = time.perf_counter() - start.run_seconds, start.state, None
    if state is None:
        state = program.init()
        checkpoints.save(state, 0)
        if not checkpoints.wait():  # Better known at once than after hours.
            raise UsageError("out: nothing can be saved there; make room, or choose another one")
    done = start.num_updates
    last = done if stop else experiment.config.num_updates
    best_score, score = checkpoints.best_score, None
    every = [number for number in (checkpoints.every, monitor.every) if number]
    for chunk in runner.train(program, state, done + 1, last, every):
        state, done = chunk.state, chunk.last_update
        bad = runner.find_non_finite(chunk)
        recorder.write(chunk.until(bad.update) if bad else chunk)
        line.show(chunk)
        if bad:
            break
        is_due = monitor.is_due(done)
        score = monitor.play(state.learner, done, recorder) if is_due else None
        if stop:
            break
        is_best = score is not None and (best_score is None or score > best_score)
        if checkpoints.is_due(done) or is_best:
            checkpoints.save(state, done, score, time.perf_counter() - began)
            best_score = score if is_best else best_score
    seconds = time.perf_counter() - began
    if not bad:
        checkpoints.save(state, done, score, seconds)
    return End(state, bad, seconds, checkpoints.wait(), checkpoints.newest)


def draw(
    experiment: Experiment,
    history: Mapping[str, np.ndarray],
    state: TrainState,
    summary: Mapping[str, Any],
    directory: Path,
) -> None:
    """Saves the pictures of what was trained."""
    from experiments.plots import save_curves
    from experiments.replay import save_replay
    from experiments.reuse_plots import save_reuse

    save_curves(experiment, history, directory / "curves.png")
    save_reuse(experiment, history, directory / "reuse.png")
    save_replay(experiment, state, best_point(summary), directory / "replay.gif")


def conclude(experiment: Experiment, end: End, stop: StopRequest, directory: Path) -> int:
    """Says on stderr why a run ended early, or is not safe, and returns the exit code."""
    newest = "none" if end.newest is None else f"of update {end.newest}"
    if end.bad:
        bad = end.bad
        print(
            f"Training stopped: {bad.name} is not finite in update {bad.update} at point "
            f"{bad.point} ({experiment.label(bad.point)}), seed {experiment.seeds[bad.seed]}. "
            f"What was logged so far, this update included, is in {directory}; the newest "
            f"checkpoint is {newest}. Lower a learning rate or kl_threshold: --resume {directory} "
            "with another value of it goes on from that checkpoint.",
            file=sys.stderr,
        )
        return 1
    if stop.signal is not None:
        print(
            f"Stopped by {stop.signal.name}; what was done so far is in {directory}, and "
            f"--resume {directory} goes on.",
            file=sys.stderr,
        )
    if not end.is_saved:
        print(
            f"The last state could not be saved; the newest checkpoint is {newest}. Make room, "
            f"then --resume {directory} does the updates since then again.",
            file=sys.stderr,
        )
        return 1
    return stop.exit_code
