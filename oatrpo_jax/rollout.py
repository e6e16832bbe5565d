"""Collecting experience: vmapped environments, one auto-reset for all, episode statistics."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from oatrpo_jax.advantages import masked_mean
from oatrpo_jax.types import (
    COUNT,
    LENGTH,
    RETURN,
    MultiAgentEnv,
    Observation,
    PyTree,
    Transition,
    in_float32,
    strongly_typed,
)

Act = Callable[..., tuple[jax.Array, ...]]
"""(observation, key) -> actions and their log-probabilities; a memory is taken and given besides,
(observation, key, memory=...), where `RolloutState` has one."""

MAX_EPISODE_STEPS = 10_000
"""An episode that is played to its end is cut off here by default: some never end."""


class RolloutState(NamedTuple):
    """Where the environments stand; every field has a leading ``[E]`` axis.

    Attributes:
        env: the environments' states.
        observation: what they show now.
        episode_return: sum of rewards since the last reset.
        episode_length: steps since the last reset, int32.
        memory: what policies remember of the episode; None where they remember nothing.
    """

    env: PyTree
    observation: Observation
    episode_return: jax.Array
    episode_length: jax.Array
    memory: jax.Array | None = None


class Episodes(NamedTuple):
    """What one step says of the episodes that it ended; fields have a leading ``[E]`` axis.

    Attributes:
        ended: bool; the other fields mean nothing where it is False.
        metrics: return, length and what the environment adds (success ...).
    """

    ended: jax.Array
    metrics: dict[str, jax.Array]


def init_rollout(
    env: MultiAgentEnv, num_envs: int, key: jax.Array, memory: jax.Array | None = None
) -> RolloutState:
    """Returns freshly reset environments with the memory given; the key is consumed."""
    state, timestep = jax.vmap(env.reset)(jax.random.split(key, num_envs))
    return RolloutState(
        env=strongly_typed(state),
        observation=in_float32(timestep.observation),
        episode_return=jnp.zeros(num_envs, jnp.float32),
        episode_length=jnp.zeros(num_envs, jnp.int32),
        memory=memory,
    )


def rollout(
    env: MultiAgentEnv,
    act: Act,
    state: RolloutState,
    length: int,
    key: jax.Array,
    reset_interval: int = 1,
) -> tuple[RolloutState, Transition, Episodes]:
    """Returns the environments ``length`` steps later, with what happened, ``[T, E, ...]``.

    An environment whose episode ends is reset at once; the transition still holds the episode's
    final observation.

    Args:
        env: stepped in parallel, as often as ``state`` says.
        act: chooses the actions.
        state: where the environments stand.
        length: T.
        key: consumed.
        reset_interval: a divisor of T; a fresh start is made for each environment once in so many
            steps, which is cheaper where resets are dear.  Should an environment be reset twice
            in between, both episodes start alike.  With 1 it is made when an episode ends.
    """

    def block(state: RolloutState, key: jax.Array):
        reset_key, step_key = jax.random.split(key)
        memory = jax.tree.map(jnp.zeros_like, state.memory)
        num_envs = state.episode_length.shape[0]
        fresh = functools.partial(init_rollout, env, num_envs, reset_key, memory)
        if reset_interval > 1:
            fresh = _constant(fresh())
        step = functools.partial(env_step, env, act, fresh)
        return jax.lax.scan(step, state, jax.random.split(step_key, reset_interval))

    num_blocks = length // reset_interval
    state, history = jax.lax.scan(block, state, jax.random.split(key, num_blocks))
    trajectory, episodes = jax.tree.map(lambda x: x.reshape(length, *x.shape[2:]), history)
    return state, trajectory, episodes


def _constant(made: RolloutState) -> Callable[[], RolloutState]:
    return lambda: made


def env_step(
    env: MultiAgentEnv,
    act: Act,
    fresh: Callable[[], RolloutState],
    state: RolloutState,
    key: jax.Array,
) -> tuple[RolloutState, tuple[Transition, Episodes]]:
    """Returns the environments one step later, and at a fresh start where an episode has ended.

    Fresh starts are asked for only where some episode has ended; under `vmap` always.
    """
    given = {} if state.memory is None else {"memory": state.memory}
    action, log_prob, *remembered = act(state.observation, key, **given)
    env_state, timestep = jax.vmap(env.step)(state.env, action)
    last = timestep.last()
    reward, observation = in_float32((timestep.reward, timestep.observation))
    transition = Transition(
        observation=state.observation,
        action=action,
        log_prob=log_prob,
        reward=reward,
        terminated=last & (timestep.discount == 0),
        truncated=last & (timestep.discount > 0),
        next_observation=observation,
    )
    episode_return = state.episode_return + reward
    episode_length = state.episode_length + 1
    metrics = {RETURN: episode_return, LENGTH: episode_length.astype(jnp.float32)}
    episodes = Episodes(last, metrics | in_float32(timestep.extras))
    env_state = strongly_typed(env_state)
    ongoing = RolloutState(env_state, observation, episode_return, episode_length, *remembered)
    after = jax.lax.cond(jnp.any(last), lambda: where_env(last, fresh(), ongoing), lambda: ongoing)
    return after, (transition, episodes)


def play_episodes(
    env: MultiAgentEnv,
    act: Act,
    num_envs: int,
    key: jax.Array,
    max_steps: int = MAX_EPISODE_STEPS,
    memory: jax.Array | None = None,
) -> Episodes:
    """Returns one episode of each environment, whole unless it takes more than ``max_steps``.

    Of an episode that is cut off, ``ended`` is False and the metrics are as of its last step.

    Args:
        env: stepped in parallel until the longest episode has ended.
        act: chooses the actions.
        num_envs: E.
        key: consumed.
        max_steps: of an episode, at least 1.
        memory: with which policies start.
    """
    reset_key, key = jax.random.split(key)
    start = init_rollout(env, num_envs, reset_key, memory)

    def is_under_way(carry: tuple[jax.Array, RolloutState, Episodes, jax.Array]) -> jax.Array:
        return ~jnp.all(carry[2].ended) & (carry[0] < max_steps)

    def step(carry: tuple[jax.Array, RolloutState, Episodes, jax.Array]):
        count, state, ended, key = carry
        key, step_key = jax.random.split(key)
        state, (_, episodes) = env_step(env, act, lambda: start, state, step_key)
        # An environment that has ended goes on from its start, unheeded.
        return count + 1, state, where_env(ended.ended, ended, episodes), key

    _, (_, shapes) = jax.eval_shape(lambda key: env_step(env, act, lambda: start, start, key), key)
    none = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
    _, _, episodes, _ = jax.lax.while_loop(is_under_way, step, (jnp.int32(0), start, none, key))
    return episodes


def where_env(condition: jax.Array, if_true: PyTree, if_false: PyTree) -> PyTree:
    """Returns, per environment, the leaves of one tree or the other; ``condition`` is ``[E]``."""

    def choose(left: jax.Array, right: jax.Array) -> jax.Array:
        return jnp.where(condition.reshape(-1, *[1] * (right.ndim - 1)), left, right)

    return jax.tree.map(choose, if_true, if_false)


def summarise_episodes(episodes: Episodes) -> dict[str, jax.Array]:
    """Returns the mean of each metric over the episodes that ended, and how many did.

    ``episode/count``, and ``episode/<name>``, which is 0 and means nothing where the count is 0.
    """
    ended = episodes.ended
    means = {
        f"episode/{name}": masked_mean(value, ended) for name, value in episodes.metrics.items()
    }
    return means | {f"episode/{COUNT}": jnp.sum(ended).astype(jnp.float32)}
