"""Starts what trains: here, as one of several processes, or as jobs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from experiments.training.naming import command
from experiments.training.processes import together
from experiments.training.settings.arguments import run_script
from experiments.training.settings.options import Options
from experiments.training.surroundings import start_jax


def launch(
    script: str,
    argv: Sequence[str] | None,
    read: Callable[[Sequence[str]], Options],
    train: Callable[[Options], int],
) -> int:
    """Returns the exit code of a script that trains: here, with other processes, or in jobs.

    Args:
        script: its name.
        argv: its command line; None for that of this process.
        read: returns what a command line asks for.
        train: trains it, once JAX has started; returns the exit code.
    """
    arguments = sys.argv[1:] if argv is None else argv

    def start_and_train(options: Options) -> int:
        start_jax(*options.run.devices_asked)
        return train(options)

    def begin(options: Options) -> int:
        if options.run.submit is None:
            return together(start_and_train, options, arguments)
        from experiments.training.submission import submit  # Slow to import.

        return submit(script, arguments, options.run, read)

    resume = "--resume" if script == "run" else f"{command('run')} --resume"
    return run_script(script, arguments, read, begin, f"{resume} goes on from there.")
