"""What the benchmarks share: timed programs of the trainer's rollout and of training."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from experiments.presets import Preset
from oatrpo_jax import Config, Hyperparams, MultiAgentEnv, Observation, make_trainer
from oatrpo_jax.rollout import init_rollout, rollout


def prepare(init: Callable, advance: Callable) -> Callable[[], float]:
    """Returns a function that runs one compiled ``advance``, on from the last, and its seconds."""
    compiled = jax.jit(advance)
    carry, _ = jax.block_until_ready(compiled(jax.jit(init)(jax.random.key(0))))

    def measure() -> float:
        nonlocal carry
        start = time.perf_counter()
        carry, _ = jax.block_until_ready(compiled(carry))
        return time.perf_counter() - start

    return measure


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


def training(
    env: MultiAgentEnv, algorithm: str, preset: Preset, num_envs: int, num_steps: int
) -> tuple[Callable, Callable]:
    """Returns ``init(key)`` and ``advance(state)``: one rollout and update with the preset."""
    settings = {**preset.config, "num_envs": num_envs, "rollout_length": num_steps}
    trainer = make_trainer(env, algorithm, Config(**settings))
    hparams = Hyperparams.create(**preset.hyperparams)
    return trainer.init, lambda state: trainer.step(state, hparams)
