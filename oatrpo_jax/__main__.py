"""The command ``oatrpo``: a door to the programs of ``experiments``, and no part of the core."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from oatrpo_jax import __version__
from oatrpo_jax.hints import did_you_mean, near
from oatrpo_jax.installation import STARTED_BY, NotInstalled, check_ours

PROGRAMS = {
    "run": "train a team: every seed and every setting of a grid in one program",
    "sweep": "search for coefficients: many settings side by side, ranked",
    "join": "join the slices of a run that several jobs have trained",
    "evaluate": "play whole episodes with a trained team, there or elsewhere",
    "export": "pack a trained team as one file that runs without this library",
    "compare": "put runs side by side: one figure, one table",
    "reproduce": "make the paper's figures, and check its claims",
    "bench": "measure speed",
}

EXAMPLES = """Examples:
  {command} run --env maze
  {command} run --env maze --algorithm oatrpo --help
  {command} run --resume runs/DIR
  {command} evaluate runs/DIR --episodes 320"""


def main(argv: Sequence[str] | None = None) -> int:
    """Starts the program that a command line names and returns its exit code."""
    name, *arguments = [*(sys.argv[1:] if argv is None else argv)] or ["--help"]
    is_script = Path(sys.argv[0]).stem == "oatrpo"
    command = "oatrpo" if is_script else "python -m oatrpo_jax"
    if name in ("-h", "--help", "--version"):
        print(__version__ if name == "--version" else describe(command))
        return 0
    if name not in PROGRAMS:
        guess = did_you_mean(near(name, PROGRAMS))
        guess = f".{guess}" if guess else f"; see {command} --help"
        return fail(f"{command}: expected one of {', '.join(PROGRAMS)}, got {name!r}{guess}")
    os.environ[STARTED_BY] = command
    return start(name, arguments)


def start(name: str, arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code of a program; a package that it lacks is a usage error.

    Args:
        name: one of `PROGRAMS`.
        arguments: its options, by default those that Python was started with.
    """
    try:
        check_ours("experiments")
        program = import_module(f"experiments.{name}")
    except NotInstalled as error:
        return fail(str(error))
    return program.main(arguments)


def describe(command: str) -> str:
    """Returns the help: all programs, a line each, and examples."""
    rows = [f"  {name:<11}{what}" for name, what in PROGRAMS.items()]
    head = (
        f"usage: {command} [-h] [--version] PROGRAM ...\n\nOff-agent trainers, end to end in JAX."
    )
    more = f"Options of a program: {command} PROGRAM --help"
    examples = EXAMPLES.format(command=command)
    return "\n".join([head, "", "Programs:", *rows, "", more, "", examples])


def fail(message: str) -> int:
    """Says on stderr what is wrong, and returns the exit code of a usage error."""
    print(message, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
