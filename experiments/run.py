"""Trains a team: ``python experiments/run.py --env maze`` (see ``--help``)."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if __name__ == "__main__":  # Python puts this script's folder on the path, not the repository.
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    from oatrpo_jax.__main__ import start

    sys.exit(start("run"))

from experiments.training.errors import UsageError
from experiments.training.launch import launch
from experiments.training.settings.command_line import parse
from experiments.training.settings.options import Options

if TYPE_CHECKING:
    from experiments.training.folder.loggers import OnChunk


def main(argv: Sequence[str] | None = None, on_chunk: OnChunk | None = None) -> int:
    """Runs a command line and returns the exit code; a usage error exits with 2.

    Args:
        argv: the options, by default those that the program was started with.
        on_chunk: called with metrics ``[U, P, K, ...]`` by name and the numbers of those U updates,
            about once a second and after each evaluation.
    """
    return launch("run", argv, parse, lambda options: train(options, on_chunk))


def train(options: Options, on_chunk: OnChunk | None = None) -> int:
    """Trains what the options ask for, or says how large it is; returns the exit code."""
    # Slow to import; help and mistakes that tyro finds do not wait for them.
    from experiments.analysis.finish import finish
    from experiments.training import process

    if options.run.dry_run:
        return describe_size(options)
    return process.run(options, finish, on_chunk)


def describe_size(options: Options) -> int:
    """Compiles a run's program and prints how large it is; trains nothing."""
    from experiments.analysis.speed.memory import report
    from experiments.training.console import make_console
    from experiments.training.process import trace_program
    from experiments.training.settings.experiment import build

    if (directory := options.run.resume) is not None:
        raise UsageError(f"dry_run: only for a new run; {directory / 'config.json'} is this one's")
    experiment, console = build(options), make_console()
    report(experiment, trace_program(experiment, console), console)
    return 0
