"""Searches for coefficients: ``python experiments/sweep.py --search actor_lr=log:1e-4:1e-2``.

All points times all seeds train in one program.  Leaves what a run leaves, a ranked table.md, and
preset.json with the best point: ``python experiments/run.py --preset preset.json``.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path

if __name__ == "__main__":  # Python puts this script's folder on the path, not the repository.
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    from oatrpo_jax.__main__ import start

    sys.exit(start("sweep"))

from experiments.training.launch import launch
from experiments.training.naming import command
from experiments.training.settings.arguments import read_options
from experiments.training.settings.command_line import parse
from experiments.training.settings.options import Options
from experiments.training.settings.search import Sweep, with_points

FOOTER = """Every other option is one of {run}: --env, --algorithm, --seeds,
--total-steps, --out, the coefficients that are not searched, and so on. A sweep that was stopped
goes on by {run} --resume DIR.

Example:
  {sweep} --env maze --algorithm happo --seeds 3 --total-steps 60000
    --search actor_lr=log:1e-4:1e-2 ent_coef=uniform:0:0.02 --points 16
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command line and returns the exit code; a usage error exits with 2."""
    return launch("sweep", argv, read, train)


def read(arguments: Sequence[str]) -> Options:
    """Returns what a command line asks for; shows help or a usage error and exits if need be."""
    examples = FOOTER.format(run=command("run"), sweep=command("sweep"))
    sweep, others = read_options("sweep", Sweep, arguments, examples, return_unknown_args=True)
    return with_points(sweep, parse(others, [each.name for each in dataclasses.fields(Sweep)]))


def train(options: Options) -> int:
    """Trains every point, ranks them and saves the best; returns the exit code."""
    # Slow to import; help and mistakes that tyro finds do not wait for them.
    from experiments.analysis.finish import finish
    from experiments.training import process

    return process.run(options, finish)
