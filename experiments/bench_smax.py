"""Measures SMAX: ``python experiments/bench_smax.py`` compares our stepping with jaxmarl's.

Figures are environment steps per second; experiments/bench.py measures training.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import tyro
from jax import Array
from rich.console import Console
from rich.table import Table

if __name__ == "__main__":  # Python puts this script's folder on the path, not the repository.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import envs
from envs.smax import SCENARIO_NAMES
from envs.smax.library import MAP_NAME_TO_SCENARIO, HeuristicEnemySMAX
from experiments.analysis.speed.timing import (
    Program,
    checksum,
    in_turns,
    machine,
    median,
    our_rollout,
    random_legal,
)
from experiments.training.errors import UsageError, check_counts, exit_code_of

PROGRAM = "experiments/bench_smax.py"

RESET_INTERVAL = 8
"""Steps that one set of fresh starts serves in our rollout, as in the preset."""


@dataclass(frozen=True)
class Raw:
    """Random legal actions: the trainer's rollout against stock ``env.step``.

    Attributes:
        scenarios: names to measure.
        num_envs: environments stepped together.
        num_steps: steps in one jitted scan.
        num_repeats: timings of each side, taken in turns.
    """

    scenarios: tuple[str, ...] = ("3m", "6h_vs_8z", "3s5z_vs_3s6z")
    num_envs: int = 64
    num_steps: int = 128
    num_repeats: int = 9

    def __call__(self) -> None:
        """Measures and prints a row for each scenario."""
        check_counts(num_envs=self.num_envs, num_steps=self.num_steps, num_repeats=self.num_repeats)
        self._check_scenarios()
        columns = ("scenario", "stock step/s", "ours step/s", "ratio", "ratios, all repeats")
        table = Table(*columns, title=f"raw stepping, {self.num_envs} x {self.num_steps}")
        for name in self.scenarios:
            env = envs.make(f"smax:{name}")
            sides = {
                "stock": Program(*stock_rollout(name, self.num_envs, self.num_steps)),
                "ours": Program(*our_rollout(env, self.num_envs, self.num_steps, RESET_INTERVAL)),
            }
            rounds = in_turns(sides, self.num_repeats)
            ratios = [each["stock"] / each["ours"] for each in rounds]
            steps = self.num_envs * self.num_steps
            table.add_row(
                name,
                f"{steps / median(rounds, 'stock'):,.0f}",
                f"{steps / median(rounds, 'ours'):,.0f}",
                f"{statistics.median(ratios):.2f}",
                f"{min(ratios):.2f} .. {max(ratios):.2f}",
            )
        console = Console()
        console.print(table)
        console.print(machine())

    def _check_scenarios(self) -> None:
        # Those that jaxmarl has too: it has nothing to compare the others with.
        known = [name for name in SCENARIO_NAMES if name in MAP_NAME_TO_SCENARIO]
        if unknown := [name for name in self.scenarios if name not in known]:
            raise UsageError(
                f"scenarios: expected some of {', '.join(known)}, got {', '.join(unknown)}"
            )


def stock_rollout(name: str, num_envs: int, num_steps: int) -> tuple[Callable, Callable]:
    """Returns ``init(key)`` and ``advance(carry)`` of jaxmarl's own environment, self-resetting."""
    game = HeuristicEnemySMAX(scenario=MAP_NAME_TO_SCENARIO[name])

    @jax.vmap
    def mask_of(state: Any) -> Array:
        legal = game.get_avail_actions(state)
        return jnp.stack([legal[agent] for agent in game.agents])

    def init(key: Array) -> tuple:
        views, state = jax.vmap(game.reset)(jax.random.split(key, num_envs))
        return key, views, jax.tree.map(lambda x: jax.lax.convert_element_type(x, x.dtype), state)

    def step(carry: tuple, _: None) -> tuple[tuple, Array]:
        key, views, state = carry
        read = checksum(*views.values())
        key, action_key, step_key = jax.random.split(key, 3)
        actions = random_legal(action_key, mask_of(state))
        orders = {agent: actions[:, n] for n, agent in enumerate(game.agents)}
        keys = jax.random.split(step_key, num_envs)
        views, state, rewards, dones, _ = jax.vmap(game.step)(keys, state, orders)
        return (key, views, state), read + checksum(rewards["ally_0"], dones["__all__"])

    return init, lambda carry: jax.lax.scan(step, carry, length=num_steps)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command line and returns the exit code; a usage error exits with 2."""
    return exit_code_of(tyro.cli(Raw, prog=PROGRAM, args=argv), PROGRAM)


if __name__ == "__main__":
    sys.exit(main())
