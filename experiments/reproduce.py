"""The paper's figures, one command each: ``python experiments/reproduce.py figure-3b``.

Leaves figure.png, figure.pdf, data.csv, table.md, claims.md and marl-eval.json in a folder per
figure, and report.html with everything beside them.  What an earlier command has trained is taken
as it is; what it was interrupted in goes on.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

if __name__ == "__main__":  # Python puts this script's folder on the path, not the repository.
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    from oatrpo_jax.__main__ import start

    sys.exit(start("reproduce"))

from experiments.analysis.paper import figures
from experiments.analysis.paper.plans import check_budget
from experiments.training.errors import UsageError, check_counts
from experiments.training.settings.arguments import SpreadSeeds, read_options, run_script
from experiments.training.surroundings import check_file, start_jax_elsewhere


@dataclass(frozen=True)
class Reproduce:
    """Reproduces a figure: trains what is missing, draws, and checks the paper's claims on it.

    Attributes:
        figure: figure-3b compares algorithms on Black and Red, figure-3c sweeps sigma and figure-3d
            lambda, figure-4 compares algorithms on a SMAX map, figure-5b reuse matrices on Black,
            Blue and Red, figure-agents HAPPO and OAPPO's estimators over numbers of agents, in
            steps and seconds, table-6b algorithms on academy football; all-maze is everything on
            the maze.
        map: the map of figure-4 (3m if not given).
        scenario: the scenario of table-6b (academy_3_vs_1_with_keeper if not given).
        seeds: seeds per curve.
        budget: share of each run's environment steps to train for.
        out: folder of all results; every figure gets a folder of its own in it.
    """

    figure: Annotated[figures.FigureName, tyro.conf.Positional]
    map: figures.MapName | None = None
    scenario: figures.ScenarioName | None = None
    seeds: int = 5
    devices: SpreadSeeds = 1
    budget: float = 1.0
    out: Path = Path("results")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command line and returns the exit code; a usage error exits with 2."""
    advice = "The same command goes on with what is missing."
    return run_script("reproduce", argv, read, reproduce, advice)


def read(arguments: Sequence[str]) -> Reproduce:
    """Returns what a command line asks for; shows help or a usage error and exits if need be."""
    return read_options("reproduce", Reproduce, arguments)


def reproduce(options: Reproduce) -> int:
    """Makes what the options ask for; returns the exit code."""
    check(options)
    chosen = figures.get_figures(
        options.figure, options.map or "3m", options.scenario or "academy_3_vs_1_with_keeper"
    )
    check_budget(chosen, options.budget)
    if options.out.exists():
        check_file("out", options.out / "report.html")
    start_jax_elsewhere(options.devices)
    # Slow to import; help and mistakes that tyro finds do not wait for them.
    import jax

    from experiments.analysis.paper import workflow
    from experiments.training.console import make_console

    # Runs have processes of their own, which want the accelerator for themselves.
    jax.config.update("jax_platforms", "cpu")
    size = options.seeds, options.budget, options.devices
    try:
        return workflow.reproduce(chosen, *size, options.out, make_console())
    except KeyboardInterrupt:
        print("Interrupted; the same command goes on with what is missing.", file=sys.stderr)
        return 130


def check(options: Reproduce) -> None:
    """Raises a UsageError for options that make no sense."""
    for name, figure in (("map", "figure-4"), ("scenario", "table-6b")):
        if getattr(options, name) is not None and options.figure != figure:
            raise UsageError(
                f"{name}: only {figure} has {name}s, got --{name} with {options.figure}"
            )
    check_counts(seeds=options.seeds)
    if not (math.isfinite(options.budget) and options.budget > 0):
        raise UsageError(f"budget: expected a number above 0, such as 0.1, got {options.budget}")
