"""How the training of a process ended, and what is said of it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from experiments.training.interrupts import StopRequest
from experiments.training.program import NonFinite
from experiments.training.settings.experiment import Experiment
from oatrpo_jax.train import TrainState

CALMING = ("actor_lr", "critic_lr", "kl_threshold")
"""Coefficients of which a lower value may keep numbers finite."""


@dataclass(frozen=True)
class End:
    """How the training of a process ended.

    Attributes:
        state: leading axes ``[P, K]``.
        bad: the number that was not finite and for which it stopped, if one was.
        diverged: the first such number of each point of a sweep that has one.
        run_seconds: what all updates took, those of earlier processes included.
        is_saved: whether the state is in a checkpoint, if it is worth one.
        newest: updates done at the newest checkpoint; None if there is none.
    """

    state: TrainState
    bad: NonFinite | None
    diverged: Mapping[int, NonFinite]
    run_seconds: float
    is_saved: bool
    newest: int | None


def conclude_run(experiment: Experiment, end: End, stop: StopRequest, directory: Path) -> int:
    """Says on stderr why a run ended early, or is not safe, and returns the exit code."""
    newest = "none" if end.newest is None else f"of update {end.newest}"
    if end.bad:
        print(
            f"Training stopped: {_described(experiment, end.bad)}. "
            f"What was logged so far, this update included, is in {directory}; the newest "
            f"checkpoint is {newest}. {_advice(experiment, directory)}",
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


def conclude_sweep(experiment: Experiment, end: End, stop: StopRequest, directory: Path) -> int:
    """Says on stderr which points diverged, or why all ended early, and returns the exit code."""
    if end.diverged:
        listed = "; ".join(_described(experiment, bad) for bad in end.diverged.values())
        num_points = len(experiment.points)
        print(f"{len(end.diverged)} of {num_points} points diverged: {listed}.", file=sys.stderr)
    if end.bad:
        print(
            "Training stopped: no point is left. Search lower values of "
            f"{' or '.join(experiment.swept)}.",
            file=sys.stderr,
        )
        return 1
    if stop.signal is not None:
        print(
            f"Stopped by {stop.signal.name}; what was done so far is in {directory}, not ranked. "
            "A sweep cannot go on: start it anew with another --out.",
            file=sys.stderr,
        )
    return stop.exit_code


def _described(experiment: Experiment, bad: NonFinite) -> str:
    return (
        f"{bad.name} is not finite in update {bad.update} at point {bad.point} "
        f"({experiment.label(bad.point)}), seed {experiment.seeds[bad.seed]}"
    )


def _advice(experiment: Experiment, directory: Path) -> str:
    """Returns what can be done: only a coefficient of one value may change on resuming."""
    reads = experiment.algorithm.reads(experiment.config)
    names = [name for name in CALMING if name in reads and name not in experiment.swept]
    lower = f"ower {' or '.join(names)}: --resume {directory} with another value of "
    lower += f"{'it' if len(names) == 1 else 'one'} goes on from that checkpoint."
    if not experiment.swept:
        return f"L{lower}"
    without = f"Start anew without that point ({', '.join(experiment.swept)})"
    return f"{without}, or l{lower}" if names else f"{without}."
