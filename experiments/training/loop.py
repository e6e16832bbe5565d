"""One process's part of a run: it trains, records and saves until all is done or it must stop."""

from __future__ import annotations

import time
from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from experiments.analysis.summary import Timing, add_absolute, best_point, summarise
from experiments.training import console as progress
from experiments.training import grouping as seps
from experiments.training import program as runner
from experiments.training.errors import UsageError
from experiments.training.folder.files import read_json, write_json
from experiments.training.folder.metrics import Recorder
from experiments.training.folder.saving import Checkpoints
from experiments.training.interrupts import StopRequest, stop_on_signals
from experiments.training.monitor import Monitor
from experiments.training.program import Chunk, NonFinite, Program, Traced
from experiments.training.settings.experiment import Experiment
from experiments.training.stopping import End, conclude_run, conclude_sweep
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
        draw(experiment, history, end.state, best_sound_point(summary, end.diverged), directory)
    # The last file of all: where it says "completed", nothing is left to do.
    write_json(directory / "summary.json", summary)
    progress.print_report(console, experiment, summary, directory)
    conclude = conclude_sweep if experiment.is_sweep else conclude_run
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
    done, diverged = start.num_updates, {}
    last = done if stop else experiment.config.num_updates
    every = [number for number in (checkpoints.every, monitor.every) if number]
    for chunk in runner.train(program, state, done + 1, last, every):
        state, done = chunk.state, chunk.last_update
        diverged |= newly_diverged(chunk, diverged) if experiment.is_sweep else {}
        bad = reason_to_stop(experiment, chunk, diverged)
        recorder.write(chunk.until(bad.update) if bad else chunk)
        line.show(chunk)
        if bad:
            break
        if monitor.is_due(done):
            monitor.play(state.learner, done, recorder)
        if stop:
            break
        if checkpoints.is_due(done) and not diverged:
            checkpoints.save(state, done, time.perf_counter() - began)
    seconds = time.perf_counter() - began
    if not (bad or diverged):
        checkpoints.save(state, done, seconds)
    return End(state, bad, diverged, seconds, checkpoints.wait(), checkpoints.newest)


def newly_diverged(chunk: Chunk, before: Container[int]) -> dict[int, NonFinite]:
    """Returns the first number that is not finite of each point that had none before."""
    if runner.find_non_finite(chunk) is None:
        return {}
    num_points = chunk.metrics["episode/count"].shape[1]
    alone = {
        point: chunk._replace(metrics={k: v[:, [point]] for k, v in chunk.metrics.items()})
        for point in range(num_points)
        if point not in before
    }
    found = {point: runner.find_non_finite(each) for point, each in alone.items()}
    return {point: bad._replace(point=point) for point, bad in found.items() if bad}


def reason_to_stop(
    experiment: Experiment, chunk: Chunk, diverged: Mapping[int, NonFinite]
) -> NonFinite | None:
    """Returns the number that is not finite, if the run must stop for it.

    The points of a sweep are alternatives, so one goes on while any of them is sound.
    """
    if not experiment.is_sweep:
        return runner.find_non_finite(chunk)
    if len(diverged) < len(experiment.points):
        return None
    return max(diverged.values(), key=lambda bad: bad.update)


def best_sound_point(summary: Mapping[str, Any], diverged: Container[int]) -> int:
    """Returns the index of the best grid point of those that did not diverge."""
    points = [{} if i in diverged else point for i, point in enumerate(summary["points"])]
    return best_point({"points": points})


def draw(
    experiment: Experiment,
    history: Mapping[str, np.ndarray],
    state: TrainState,
    point: int,
    directory: Path,
) -> None:
    """Saves the pictures of what was trained; the replay is of one grid point."""
    from experiments.analysis.curves import save_curves
    from experiments.analysis.reuse import save_reuse
    from experiments.training.replay import save_replay

    save_curves(experiment, history, directory / "curves.png")
    save_reuse(experiment, history, directory / "reuse.png")
    save_replay(experiment, state, point, directory / "replay.gif")
