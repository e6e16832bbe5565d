"""Measures training on JaxMARL's MPE: ``python experiments/bench_mpe.py`` prints steps per second.

The settings are those of the preset, which are those of JaxMARL's own ``ippo_ff_mpe``: 16
environments, rollouts of 128, 4 passes in 4 minibatches, two hidden layers of 64 with tanh.  So its
figure can be put beside this one.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import tyro
from rich.console import Console
from rich.table import Table

if __name__ == "__main__":  # Python puts this script's folder on the path, not the repository.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import envs
from experiments.analysis.speed.timing import Program, in_turns, machine, our_rollout, training
from experiments.training.errors import UsageError, check_counts, exit_code_of
from experiments.training.settings.defaults import get_preset
from oatrpo_jax import Config
from oatrpo_jax.types import MultiAgentEnv

PROGRAM = "experiments/bench_mpe.py"


@dataclass(frozen=True)
class Benchmark:
    """Environment steps per second of training, beside random actions through the same rollout.

    Attributes:
        scenario: JaxMARL's name.
        algorithm: whom to train, one seed.
        num_envs: environments stepped together.
        num_steps: steps between updates.
        num_updates: updates in one timing.
        num_repeats: timings of each side, taken in turns after one to warm up.
    """

    scenario: str = "MPE_simple_spread_v3"
    algorithm: str = "ippo"
    num_envs: int = 16
    num_steps: int = 128
    num_updates: int = 20
    num_repeats: int = 7

    def __call__(self) -> None:
        """Measures and prints a row for each side."""
        check_counts(
            num_envs=self.num_envs,
            num_steps=self.num_steps,
            num_updates=self.num_updates,
            num_repeats=self.num_repeats,
        )
        env, (init, update) = self._prepare()
        num_steps = self.num_steps * self.num_updates

        def train(state: Any) -> tuple[Any, Any]:
            return jax.lax.scan(lambda state, _: update(state), state, length=self.num_updates)

        sides = {
            "random actions": Program(*our_rollout(env, self.num_envs, num_steps, 1)),
            self.algorithm: Program(init, train),
        }
        rounds = [
            {name: self.num_envs * num_steps / seconds for name, seconds in each.items()}
            for each in in_turns(sides, self.num_repeats)
        ]
        title = f"{self.scenario}, {self.num_envs} environments x {self.num_steps} steps"
        table = Table("what", "step/s, median", "all repeats", "share of random", title=title)
        for name in sides:
            rates = [each[name] for each in rounds]
            share = statistics.median(each[name] / each["random actions"] for each in rounds)
            span = f"{min(rates):,.0f} .. {max(rates):,.0f}"
            table.add_row(name, f"{statistics.median(rates):,.0f}", span, f"{share:.1%}")
        console = Console()
        console.print(table)
        console.print(machine())

    def _prepare(self) -> tuple[MultiAgentEnv, tuple[Any, Any]]:
        """Returns the environment, and how to begin and go on with training in it."""
        name = f"jaxmarl:{self.scenario}"
        preset = get_preset(name, self.algorithm)
        shape = {"num_envs": self.num_envs, "rollout_length": self.num_steps}
        try:
            env = envs.make(name)
            config = Config(**{**preset.config, **shape})
            return env, training(env, self.algorithm, config, **preset.hyperparams)
        except (ImportError, ValueError) as error:
            raise UsageError(str(error)) from error


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command line and returns the exit code; a usage error exits with 2."""
    return exit_code_of(tyro.cli(Benchmark, prog=PROGRAM, args=argv), PROGRAM)


if __name__ == "__main__":
    sys.exit(main())
