"""Joins the slices of a run: ``python experiments/join.py runs/s/0 runs/s/1 --out runs/whole``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

if __name__ == "__main__":  # Python puts this script's folder on the path, not the repository.
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    from oatrpo_jax.__main__ import start

    sys.exit(start("join"))

from experiments.training.naming import command
from experiments.training.settings.arguments import read_options, run_script
from experiments.training.surroundings import start_jax

DESCRIPTION = """Join the slices of a grid, a sweep or seeds (--slice i/n) into one run.

Leaves what a single program would have left: the same metrics.csv, matrices.csv and evaluation.csv
to the bit, one checkpoint, pictures, summary.json, of a sweep also table.md and preset.json. The
run is ranked, compared, evaluated, exported and resumed like any other. TensorBoard files stay with
the slices. The slices may be named in any order, and are not changed."""

EXAMPLE = """Example:
  {run} --env maze --seeds 8 --slice 0/2 --out runs/s/0
  {run} --env maze --seeds 8 --slice 1/2 --out runs/s/1
  {join} runs/s/0 runs/s/1 --out runs/whole
"""


@dataclass(frozen=True)
class Options:
    """What to join, and where to."""

    slices: Annotated[
        Positional[tuple[Path, ...]],
        arg(
            metavar="DIR [DIR ...]",
            help="directories of all slices, each of them finished",
            help_behavior_hint="(required)",
        ),
    ]
    out: Annotated[Path, arg(metavar="DIR", help="new or empty directory for the whole run")]


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command line and returns the exit code; a usage error exits with 2."""
    return run_script("join", argv, read, join, advice="The slices are as they were.")


def read(arguments: Sequence[str]) -> Options:
    """Returns what a command line asks for; shows help or a usage error and exits if need be."""
    examples = EXAMPLE.format(run=command("run"), join=command("join"))
    return read_options("join", Options, arguments, examples, description=DESCRIPTION)


def join(options: Options) -> int:
    """Leaves the whole run and returns the exit code."""
    start_jax()
    # Slow to import; help and mistakes that tyro finds do not wait for them.
    from experiments.analysis.finish import finish
    from experiments.training import joining
    from experiments.training.console import make_console

    return joining.join(options.slices, options.out, finish, make_console())
