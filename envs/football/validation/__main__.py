"""Compares the academy with recordings of the original: ``python -m envs.football.validation``.

Prints one row per gate (the original's figure, ours, the tolerance, pass or fail), and draws
``validation.png``.  Exit status 0 whatever the gates say: they inform, the tests insist.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import tyro
from rich.console import Console
from rich.table import Table

from envs.football.calibration import Calibration
from envs.football.validation import reference
from envs.football.validation.gates import Gate, compare


def table(gates: list[Gate]) -> Table:
    """Returns the gates as a table to print."""
    passed = sum(gate.passes for gate in gates)
    title = f"{passed} of {len(gates)} gates passed"
    grid = Table("gate", "original", "academy (JAX)", "tolerance", "", title=title)
    for gate in gates:
        excess = abs(gate.ours - gate.real) - gate.tolerance
        verdict = "pass" if gate.passes else f"[bold red]fail by {excess:.2f}[/]"
        figures = (f"{value:.2f}" for value in (gate.real, gate.ours, gate.tolerance))
        grid.add_row(gate.name, *figures, verdict)
    return grid


def main(traces: Path | None = None, out: Path = Path("runs"), episodes: int = 400) -> None:
    """Compare the academy with recordings of the original engine.

    Args:
        traces: folder of recordings; by default the figures that come with the package.
        out: folder for validation.png.
        episodes: played per scenario and policy.
    """
    os.environ["MPLBACKEND"] = "agg"  # A notebook's need not be here, and nothing is shown.
    from envs.football.validation.plot import draw  # matplotlib is slow to import

    try:
        out.mkdir(parents=True, exist_ok=True)
        real = reference.load() if traces is None else reference.distill(traces)
    except (OSError, ValueError) as error:
        print(f"Usage error: {error}", file=sys.stderr)
        sys.exit(2)
    result = compare(real, Calibration(), episodes)
    console = Console()
    console.print(table(result.gates))
    path = out / "validation.png"
    draw(result, path)
    console.print(f"Drawn: {path}", soft_wrap=True)


if __name__ == "__main__":
    tyro.cli(main)
