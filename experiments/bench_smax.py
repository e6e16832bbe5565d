"""Measures SMAX: ``python experiments/bench_smax.py raw`` compares our stepping with jaxmarl's.

Each sub-command prints a table; figures are environment steps per second.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable
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
from envs.smax.library import MAP_NAME_TO_SCENARIO, HeuristicEnemySMAX
from experiments.benchmark import checksum, our_rollout, prepare, random_legal, training
from experiments.presets import get_preset

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
        columns = ("scenario", "stock step/s", "ours step/s", "ratio", "ratios, all repeats")
        table = Table(*columns, title=f"raw stepping, {self.num_envs} x {self.num_steps}")
        for name in self.scenarios:
            env = envs.make(f"smax:{name}")
            stock = prepare(*stock_rollout(name, self.num_envs, self.num_steps))
            ours = prepare(*our_rollout(env, self.num_envs, self.num_steps, RESET_INTERVAL))
            pairs = [(stock(), ours()) for _ in range(self.num_repeats)]
            ratios = [stock_seconds / our_seconds for stock_seconds, our_seconds in pairs]
            steps = self.num_envs * self.num_steps
            table.add_row(
                name,
                f"{steps / statistics.median(seconds for seconds, _ in pairs):,.0f}",
                f"{steps / statistics.median(seconds for _, seconds in pairs):,.0f}",
                f"{statistics.median(ratios):.2f}",
                f"{min(ratios):.2f} .. {max(ratios):.2f}",
            )
        Console().print(table)


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


@dataclass(frozen=True)
class Train:
    """Training of one seed with the preset, beside random actions through the same rollout.

    Attributes:
        scenario: what to train on.
        algorithms: whom to measure.
        num_envs: environments stepped together.
        num_steps: steps between updates.
        num_repeats: timings of each side, taken in turns.
    """

    scenario: str = "3m"
    algorithms: tuple[str, ...] = ("happo", "oappo")
    num_envs: int = 64
    num_steps: int = 128
    num_repeats: int = 5

    def __call__(self) -> None:
        env = envs.make(f"smax:{self.scenario}")
        sides = {"raw": prepare(*our_rollout(env, self.num_envs, self.num_steps, RESET_INTERVAL))}
        for name in self.algorithms:
            sides[name] = prepare(
                *training(env, name, get_preset("smax:3m", name), self.num_envs, self.num_steps)
            )
        rounds = [{name: run() for name, run in sides.items()} for _ in range(self.num_repeats)]
        title = f"{self.scenario}, {self.num_envs} x {self.num_steps}"
        table = Table("what", "step/s", "share of raw", title=title)
        for name in sides:
            seconds = statistics.median(each[name] for each in rounds)
            share = statistics.median(each["raw"] / each[name] for each in rounds)
            rate = self.num_envs * self.num_steps / seconds
            table.add_row(name, f"{rate:,.0f}", f"{share:.1%}")
        Console().print(table)


def main() -> None:
    """Runs the chosen measurement; to add one, write a dataclass like Raw and name it here."""
    tyro.extras.subcommand_cli_from_dict({"raw": Raw, "train": Train})()


if __name__ == "__main__":
    main()
