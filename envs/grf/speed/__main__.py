"""Steps per second of the engine and of the bridge to it: ``python -m envs.grf.speed``."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import jax
import numpy as np
import tyro
from rich.console import Console
from rich.table import Table

import envs
from envs.football.scenarios import EPISODE_STEPS, SCENARIO_NAMES
from envs.football.types import NUM_ACTIONS, End
from envs.grf.engine import Match
from oatrpo_jax.rollout import init_rollout, rollout


def main(num_envs: int = 16, num_steps: int = 50) -> None:
    """Prints how many environment steps with random actions a CPU second allows.

    Args:
        num_envs: environments of the bridge, side by side.
        num_steps: steps of each of them; the engine alone does as many in all.
    """
    load = os.getloadavg()[0]
    title = f"env-steps per CPU second, {os.cpu_count()} cores, load {load:.1f} before"
    table = Table(title=title, box=None)
    for column in ("scenario", "engine", "with what is seen", "bridge", "bridge, per second"):
        table.add_column(column, justify="left" if column == "scenario" else "right")
    for scenario in SCENARIO_NAMES:
        total = num_envs * num_steps
        rates = [_play_alone(scenario, total, is_seen) for is_seen in (False, True)]
        rates += _play_bridged(scenario, num_envs, num_steps)
        table.add_row(scenario, *(f"{rate:.0f}" for rate in rates))
    Console(width=120).print(table)


def _play_alone(scenario: str, num_steps: int, is_seen: bool) -> float:
    """Returns the rate of one engine in one thread, new episodes included."""
    match, rng = Match(scenario), np.random.default_rng(0)
    match.start(0, False)
    num_agents = len(match.facts()["active"])

    def play() -> None:
        length = 0
        for step in range(num_steps):
            if match.end != End.NOT or length > EPISODE_STEPS:
                match.start(step, False)
                length = 0
            match.step(rng.integers(0, NUM_ACTIONS, num_agents).tolist())
            length += 1
            if is_seen:
                match.facts()

    return _rates(play, num_steps)[0]


def _play_bridged(scenario: str, num_envs: int, num_steps: int) -> tuple[float, float]:
    """Returns the rates of rollouts as in training, once engines are made and all is compiled."""
    env = envs.make(f"grf:{scenario}", max_engines=4 * num_envs)

    def act(observation, key):
        shape = observation.active.shape
        return jax.random.randint(key, shape, 0, NUM_ACTIONS), jax.numpy.zeros(shape)

    advance = jax.jit(lambda state, key: rollout(env, act, state, num_steps, key)[0])
    state = jax.jit(lambda key: init_rollout(env, num_envs, key))(jax.random.key(0))
    state = jax.block_until_ready(advance(state, jax.random.key(1)))
    return _rates(
        lambda: jax.block_until_ready(advance(state, jax.random.key(2))), num_envs * num_steps
    )


def _rates(play: Callable[[], object], num_steps: int) -> tuple[float, float]:
    """Returns steps per second of all threads' CPU time, and per second."""
    start, cpu_start = time.perf_counter(), time.process_time()
    play()
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu_start
    return num_steps / cpu_seconds, num_steps / seconds


if __name__ == "__main__":
    tyro.cli(main)
