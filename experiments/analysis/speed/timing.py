"""What the benchmarks share: timed programs of the trainer's rollout and of training."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from experiments.training.settings.config_file import versions
from oatrpo_jax import Config, Hyperparams, MultiAgentEnv, Observation, Transition, make_trainer
from oatrpo_jax.rollout import init_rollout, rollout
from oatrpo_jax.train import Trainer, TrainState


class Program:
    """A compiled ``advance``; each call runs it once, on from the last, and returns its seconds.

    Attributes:
        compile_seconds: what tracing and compiling took.
        temporary_bytes: memory that the compiled program needs beside its arguments and results.
        flops: operations of one call as XLA counts them, loops of unknown length as one turn.
    """

    def __init__(self, init: Callable, advance: Callable) -> None:
        """Compiles and runs once, to warm up.

        Args:
            init: key -> carry.
            advance: carry -> (carry, anything).
        """
        self._carry = jax.jit(init)(jax.random.key(0))
        start = time.perf_counter()
        self._compiled = jax.jit(advance).lower(self._carry).compile()
        self.compile_seconds = time.perf_counter() - start
        memory = self._compiled.memory_analysis()
        self.temporary_bytes = int(memory.temp_size_in_bytes) if memory else 0
        self.flops = float((self._compiled.cost_analysis() or {}).get("flops", 0.0))
        self()

    def __call__(self) -> float:
        """Runs once and returns the seconds that took."""
        start = time.perf_counter()
        self._carry, _ = jax.block_until_ready(self._compiled(self._carry))
        return time.perf_counter() - start


def in_turns(sides: Mapping[str, Callable[[], float]], repeats: int) -> list[dict[str, float]]:
    """Returns each side's seconds in each of so many rounds; one thing runs at a time."""
    return [{name: run() for name, run in sides.items()} for _ in range(repeats)]


def median(rounds: Sequence[Mapping[str, float]], name: str) -> float:
    """Returns the median seconds of one side."""
    return statistics.median(each[name] for each in rounds)


def median_ratio(rounds: Sequence[Mapping[str, float]], over: str, under: str) -> float:
    """Returns the median over rounds of one side's seconds over another's."""
    return statistics.median(each[over] / each[under] for each in rounds)


def random_legal(key: Array, mask: Array) -> Array:
    """Returns a legal action drawn uniformly along the last axis of ``mask``."""
    return jax.random.categorical(key, jnp.where(mask, 0.0, -jnp.inf))


def checksum(*arrays: Any) -> Array:
    """Returns one number that depends on everything, lest the compiler drop what is unused."""
    return sum(array.mean(dtype=jnp.float32) for array in arrays)  # type: ignore[return-value]


def our_rollout(
    env: MultiAgentEnv, num_envs: int, num_steps: int, reset_interval: int
) -> tuple[Callable, Callable]:
    """Returns ``init(key)`` and ``advance(carry)``: the trainer's own rollout, all of it read."""

    def act(observation: Observation, key: Array) -> tuple[Array, Array]:
        action = random_legal(key, observation.action_mask)
        return action, jnp.zeros(action.shape)

    def init(key: Array) -> tuple:
        return key, init_rollout(env, num_envs, key)

    def advance(carry: tuple) -> tuple[tuple, Array]:
        key, state = carry
        key, rollout_key = jax.random.split(key)
        state, trajectory, _ = rollout(env, act, state, num_steps, rollout_key, reset_interval)
        return (key, state), checksum(*jax.tree.leaves(trajectory))

    return init, advance


def first_rollout(trainer: Trainer, key: Array) -> tuple[TrainState, Transition]:
    """Returns a fresh state and what its policies do in one rollout, ``[T, E]``."""
    state, config = trainer.init(key), trainer.config

    def act(observation: Observation, key: Array) -> tuple[Array, Array]:
        return trainer.learner.act(state.learner, observation, key)

    _, trajectory, _ = rollout(
        trainer.env, act, state.rollout, config.rollout_length, key, config.reset_interval
    )
    return state, trajectory


def training(env: MultiAgentEnv, algorithm: str, config: Config, **hparams: float):
    """Returns ``init(key)`` and ``advance(state)``: one rollout and update of one seed."""
    trainer = make_trainer(env, algorithm, config)
    coefficients = Hyperparams.create(**hparams)
    return trainer.init, lambda state: trainer.step(state, coefficients)


def machine() -> str:
    """Returns what the figures were measured on: device, cores, how busy, versions."""
    device = jax.devices()[0]
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    packages = ", ".join(f"{name} {version}" for name, version in versions().items())
    return (
        f"{device.device_kind} ({device.platform}), {platform.machine()}, {os.cpu_count()} cores"
        f"{load}; {packages}"
    )
