"""Starts what trains: here, as one of several processes, or as jobs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from experiments.training.errors import check_once, exit_code_of
from experiments.training.naming import command
from experiments.training.processes import together
from experiments.training.settings.options import Options
from experiments.training.surroundings import prepare, start_jax


def launch(
    program: str,
    arguments: Sequence[str],
    read: Callable[[Sequence[str]], Options],
    train: Callable[[Options], int],
) -> int:
    """Does what a command line asks for; returns the exit code, and exits with 2 if it is wrong.

    Args:
        program: run or sweep.
        read: returns what that asks for.
        train: trains it, once JAX has started; returns the exit code.
    """

    def start() -> int:
        prepare()
        check_once(arguments, command(program))
        options = read(arguments)
        if options.run.submit is not None:
            # Slow to import.
            from experiments.training.submission import submit

            return submit(program, arguments, options.run, read)
        return together(start_and_train, options, arguments)

    def start_and_train(options: Options) -> int:
        start_jax(*options.run.devices_asked)
        return train(options)

    advice = f"{command('run') if program == 'sweep' else ''} --resume goes on from there."
    return exit_code_of(start, command(program), advice.strip())
