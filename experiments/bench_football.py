"""Measures the academy: ``python experiments/bench_football.py`` prints steps per second.

Random actions through the trainer's own rollout, observations and resets included.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro
from rich.console import Console
from rich.table import Table

if __name__ == "__main__":  # Python puts this script's folder on the path, not the repository.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import envs
from envs.football import SCENARIO_NAMES
from experiments.analysis.speed.timing import Program, in_turns, machine, our_rollout
from experiments.training.errors import check_counts, exit_code_of

PROGRAM = "experiments/bench_football.py"

ORIGINAL = {"pass_and_shoot": 260, "3_vs_1": 260, "counterattack": 130}
"""Steps per second of the original engine on one core, measured by itself elsewhere."""


@dataclass(frozen=True)
class Benchmark:
    """Environment steps per second of each academy scenario under random actions.

    Attributes:
        num_envs: environments stepped together.
        num_steps: steps of each in one timing.
        num_repeats: timings of each scenario, taken in turns after one to warm up.
    """

    num_envs: int = 64
    num_steps: int = 500
    num_repeats: int = 5

    def __call__(self) -> None:
        """Prints one row per scenario."""
        check_counts(num_envs=self.num_envs, num_steps=self.num_steps, num_repeats=self.num_repeats)
        sides = {
            name: Program(
                *our_rollout(envs.make(f"football:{name}"), self.num_envs, self.num_steps, 1)
            )
            for name in SCENARIO_NAMES
        }
        rounds = in_turns(sides, self.num_repeats)
        title = f"academy (JAX), {self.num_envs} environments, random actions"
        table = Table("scenario", "step/s, median", "all repeats", "original", title=title)
        for name in SCENARIO_NAMES:
            rates = [self.num_envs * self.num_steps / each[name] for each in rounds]
            original = next(rate for part, rate in ORIGINAL.items() if part in name)
            span = f"{min(rates):,.0f} .. {max(rates):,.0f}"
            table.add_row(name, f"{statistics.median(rates):,.0f}", span, str(original))
        console = Console()
        console.print(table)
        console.print(machine())


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command line and returns the exit code; a usage error exits with 2."""
    return exit_code_of(tyro.cli(Benchmark, prog=PROGRAM, args=argv), PROGRAM)


if __name__ == "__main__":
    sys.exit(main())
