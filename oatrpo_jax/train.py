"""Rollout plus update as one program: the trainer, and a whole run as one function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp

from oatrpo_jax.algorithms import Algorithm
from oatrpo_jax.config import Config, EnvSpec, Hyperparams
from oatrpo_jax.learner import Learner, LearnerState, make_learner
from oatrpo_jax.rollout import (
    RolloutState,
    env_step,
    init_rollout,
    rollout,
    summarise_episodes,
)
from oatrpo_jax.types import MultiAgentEnv, Observation

Metrics = dict[str, jax.Array]


class TrainState(NamedTuple):
    """A whole run at a moment: everything that it needs to go on, arrays only.

    Attributes:
        learner: parameters, optimisers, value statistics.
        rollout: where the environments stand.
        key: split anew in every update.
        num_updates: ``[]`` int32, updates done.
    """

    learner: LearnerState
    rollout: RolloutState
    key: jax.Array
    num_updates: jax.Array


@dataclass(frozen=True)
class Trainer:
    """An environment and a learner joined; every method is pure and may be jitted and vmapped."""

    env: MultiAgentEnv
    learner: Learner

    @property
    def config(self) -> Config:
        """The static settings."""
        return self.learner.config

    def init(self, key: jax.Array) -> TrainState:
        """Returns fresh parameters and environments; the key is consumed."""
        learner_key, env_key, key = jax.random.split(key, 3)
        return TrainState(
            learner=self.learner.init(learner_key),
            rollout=init_rollout(self.env, self.config.num_envs, env_key),
            key=key,
            num_updates=jnp.int32(0),
        )

    def step(self, state: TrainState, hparams: Hyperparams) -> tuple[TrainState, Metrics]:
        """Returns the state after one rollout and one update, and a flat dict of metrics."""
        rollout_key, update_key, key = jax.random.split(state.key, 3)

        def act(observation: Observation, key: jax.Array) -> tuple[jax.Array, jax.Array]:
            return self.learner.act(state.learner, observation, key)

        environments, trajectory, episodes = rollout(
            self.env,
            act,
            state.rollout,
            self.config.rollout_length,
            rollout_key,
            self.config.reset_interval,
        )
        learner, metrics = self.learner.update(state.learner, trajectory, hparams, update_key)
        metrics = summarise_episodes(episodes) | metrics
        return TrainState(learner, environments, key, state.num_updates + 1), metrics

    def evaluate(
        self, state: LearnerState, key: jax.Array, episodes_per_env: int, greedy: bool = True
    ) -> Metrics:
        """Returns the mean metrics of ``num_envs * episodes_per_env`` whole episodes.

        Every environment plays the same number of episodes, so that short ones are not favoured.

        Args:
            state: the learner's.
            key: consumed.
            episodes_per_env: how many episodes each parallel environment plays.
            greedy: take the likeliest actions.
        """

        def act(observation: Observation, key: jax.Array) -> tuple[jax.Array, jax.Array]:
            return self.learner.act(state, observation, key, greedy)

        def body(carry):
            environments, key, played, totals = carry
            key, step_key, reset_key = jax.random.split(key, 3)
            fresh = init_rollout(self.env, self.config.num_envs, reset_key)
            environments, (_, episodes) = env_step(self.env, act, fresh, environments, step_key)
            counted = episodes.ended & (played < episodes_per_env)
            totals = {
                name: total + jnp.sum(jnp.where(counted, episodes.metrics[name], 0.0))
                for name, total in totals.items()
            }
            return environments, key, played + counted, totals

        start_key, key = jax.random.split(key)
        environments = init_rollout(self.env, self.config.num_envs, start_key)
        _, (_, shapes) = jax.eval_shape(
            lambda state, key: env_step(self.env, act, state, state, key), environments, key
        )
        zeros = dict.fromkeys(shapes.metrics, jnp.float32(0))
        played = jnp.zeros(self.config.num_envs, jnp.int32)
        *_, totals = jax.lax.while_loop(
            lambda carry: jnp.any(carry[2] < episodes_per_env),
            body,
            (environments, key, played, zeros),
        )
        num_episodes = self.config.num_envs * episodes_per_env
        return jax.tree.map(
            lambda total: total / num_episodes,
            {f"evaluation/{name}": total for name, total in totals.items()},
        )


def make_trainer(
    env: MultiAgentEnv, algorithm: str | Algorithm, config: Config | None = None
) -> Trainer:
    """Returns the trainer of an algorithm on an environment.

    Args:
        env: follows the `MultiAgentEnv` protocol.
        algorithm: a name in the table, or a row.
        config: static settings; the defaults if not given.

    Raises:
        ValueError: for an unknown algorithm.
    """
    return Trainer(env, make_learner(EnvSpec.from_env(env), algorithm, config))


def make_train(
    env: MultiAgentEnv, algorithm: str | Algorithm, config: Config | None = None
) -> Callable[[jax.Array, Hyperparams], tuple[TrainState, Metrics]]:
    """Returns ``train(key, hparams)``: a whole run, initialisation included, as one function.

    Jit it; vmap it over keys (seeds) and over hyperparameters (a sweep).  Metrics get a leading
    ``[num_updates]`` axis.
    """
    trainer = make_trainer(env, algorithm, config)

    def train(key: jax.Array, hparams: Hyperparams) -> tuple[TrainState, Metrics]:
        return jax.lax.scan(
            lambda state, _: trainer.step(state, hparams),
            trainer.init(key),
            length=trainer.config.num_updates,
        )

    return train
