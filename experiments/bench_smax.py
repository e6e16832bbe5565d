"""Measures SMAX: ``python experiments/bench_smax.py raw`` compares our stepping with jaxmarl's.

Each sub-command prints a table; figures are environment steps per second.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import tyro
from jax import Array
from rich.console import Console
from rich.table import Table

import envs.smax
from envs.smax.env import Smax
from envs.smax.library import MAP_NAME_TO_SCENARIO, HeuristicEnemySMAX

REFRESH = 8
"""Our rollout makes fresh starts once in so many steps, for all environments in one go.

Making them for an eighth of the environments in every step costs several times more on small
maps, where a reset of 8 environments takes nearly as long as one of 64.
"""


@dataclass(frozen=True)
class Raw:
    """Random legal actions: our step with spare starts against stock ``env.step``.

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
            env = envs.smax.make(name)
            stock = prepare(*stock_rollout(name, self.num_envs), self.num_steps)
            ours = prepare(*our_rollout(env, self.num_envs), self.num_steps)
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


def prepare(init: Callable, step: Callable, num_steps: int) -> Callable[[], float]:
    """Returns a function that runs one compiled rollout, on from the last, and its seconds."""

    @jax.jit
    def rollout(carry: Any) -> tuple[Any, Array]:
        return jax.lax.scan(step, carry, jnp.arange(num_steps))

    carry, _ = jax.block_until_ready(rollout(init(jax.random.key(0))))

    def measure() -> float:
        nonlocal carry
        start = time.perf_counter()
        carry, _ = jax.block_until_ready(rollout(carry))
        return time.perf_counter() - start

    return measure


def random_legal(key: Array, mask: Array) -> Array:
    """Returns a legal action drawn uniformly along the last axis of ``mask``."""
    return jax.random.categorical(key, jnp.where(mask, 0.0, -jnp.inf))


def checksum(*arrays: Any) -> Array:
    """Returns one number that depends on everything, lest the compiler drop what is unused."""
    return sum(array.mean(dtype=jnp.float32) for array in arrays)  # type: ignore[return-value]


def stock_rollout(name: str, num_envs: int) -> tuple[Callable, Callable]:
    """Returns ``init(key)`` and ``step(carry, _)`` of jaxmarl's own environment, self-resetting."""
    game = HeuristicEnemySMAX(scenario=MAP_NAME_TO_SCENARIO[name])

    @jax.vmap
    def mask_of(state: Any) -> Array:
        legal = game.get_avail_actions(state)
        return jnp.stack([legal[agent] for agent in game.agents])

    def init(key: Array) -> tuple:
        views, state = jax.vmap(game.reset)(jax.random.split(key, num_envs))
        return key, views, jax.tree.map(lambda x: jax.lax.convert_element_type(x, x.dtype), state)

    def step(carry: tuple, _: Array) -> tuple[tuple, Array]:
        key, views, state = carry
        read = checksum(*views.values())
        key, action_key, step_key = jax.random.split(key, 3)
        actions = random_legal(action_key, mask_of(state))
        orders = {agent: actions[:, n] for n, agent in enumerate(game.agents)}
        keys = jax.random.split(step_key, num_envs)
        views, state, rewards, dones, _ = jax.vmap(game.step)(keys, state, orders)
        return (key, views, state), read + checksum(rewards["ally_0"], dones["__all__"])

    return init, step


def our_rollout(env: Smax, num_envs: int) -> tuple[Callable, Callable]:
    """Returns ``init(key)`` and ``step(carry, t)`` that starts ended episodes from spare states."""

    def reset_all(key: Array) -> tuple:
        return jax.vmap(env.reset)(jax.random.split(key, num_envs))

    def init(key: Array) -> tuple:
        return key, reset_all(key), reset_all(jax.random.fold_in(key, 1))

    def step(carry: tuple, t: Array) -> tuple[tuple, Array]:
        key, (state, timestep), spare = carry
        view, state_view = timestep.observation.agents_view, timestep.observation.global_state
        read = checksum(view, state_view)
        key, action_key, fresh_key = jax.random.split(key, 3)
        action = random_legal(action_key, timestep.observation.action_mask)
        state, timestep = jax.vmap(env.step)(state, action)
        read += checksum(timestep.reward, timestep.discount)
        spare = jax.lax.cond(t % REFRESH == 0, reset_all, lambda key: spare, fresh_key)
        last = timestep.last()
        now = jax.tree.map(
            lambda new, old: jnp.where(last.reshape(-1, *[1] * (old.ndim - 1)), new, old),
            spare,
            (state, timestep),
        )
        return (key, now, spare), read

    return init, step


def main() -> None:
    """Runs the chosen measurement; to add one, write a dataclass like Raw and name it here."""
    tyro.extras.subcommand_cli_from_dict({"raw": Raw})()


if __name__ == "__main__":
    main()
