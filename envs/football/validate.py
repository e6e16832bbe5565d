"""Compares the academy with recordings of the original: ``python -m envs.football.validate``.

Prints one row per gate (the original's figure, ours, the tolerance, pass or fail), and draws
``validation.png``.  Exit status 0 whatever the gates say: they inform, the tests insist.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console
from rich.table import Table

from envs.football import reference
from envs.football.calibration import Calibration
from envs.football.gates import Gate, compare


def table(gates: list[Gate]) -> Table:
    """Returns the gates as a table to print."""
    passed = sum(gate.passes for gate in gates)
    title = f"{passed} of {len(gates)} gates passed"
    grid = Table("gate", "original", "academy (JAX)", "tolerance", "", title=title)
    for gate in gates:
        excess = abs(gate.ours - gate.real) - gate.tolerance
        verdict = "pass" if gate.passes else f"[bold red]fail by {excess:.2f}[/]"
        grid.add_row(
            gate.name, f"{gate.real:.2f}", f"{gate.ours:.2f}", f"{gate.tolerance:.2f}", verdict
        )
    return grid


@dataclass(frozen=True)
class Validate:
    """Compare the academy with recordings of the original engine.

    Attributes:
        traces: folder of recordings; by default the figures that come with the package.
        out: folder for validation.png.
        episodes: played per scenario and policy.
    """

    traces: Path | None = None
    out: Path = Path("runs")
    episodes: Annotated[int, tyro.conf.arg(metavar="N")] = 400

    def __call__(self) -> None:
        """Prints the table and draws the picture."""
        from envs.football.validation_plot import draw  # matplotlib is slow to import

        real = reference.load() if self.traces is None else reference.distill(self.traces)
        result = compare(real, Calibration(), self.episodes)
        console = Console()
        console.print(table(result.gates))
        self.out.mkdir(parents=True, exist_ok=True)
        path = self.out / "validation.png"
        draw(result, path)
        console.print(f"Drawn: {path}")


if __name__ == "__main__":
    tyro.cli(Validate)()
