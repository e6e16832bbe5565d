"""Rollout plus update as one program: the trainer, and a whole run as one function."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp

from oatrpo_jax.algorithms import Algorithm
from oatrpo_jax.checks import check_coefficients
from oatrpo_jax.config import Config
from oatrpo_jax.env_check import check_env
from oatrpo_jax.env_spec import EnvSpec
from oatrpo_jax.grouping import Grouping, group_agents
from oatrpo_jax.hyperparams import Hyperparams
from oatrpo_jax.keys import GROUPING, branch
from oatrpo_jax.learner import Learner, LearnerState, make_learner
from oatrpo_jax.ranges import MAX_COUNT, check_count
from oatrpo_jax.rollout import (
    MAX_EPISODE_STEPS,
    RolloutState,
    init_rollout,
    play_episodes,
    rollout,
    summarise_episodes,
)
from oatrpo_jax.types import COUNT, CUT_OFF, MultiAgentEnv

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

    def __post_init__(self) -> None:
        self.config.check_rollout()
        check_env(self.env)

    @property
    def config(self) -> Config:
        """The static settings."""
        return self.learner.config

    def init(self, key: jax.Array) -> TrainState:
        """Returns fresh parameters and environments; the key is consumed."""
        return self.begin(key)[0]

    def begin(self, key: jax.Array) -> tuple[TrainState, Grouping | None]:
        """Returns the same, and how agents were grouped where the algorithm finds clusters."""
        learner_key, env_key, run_key = jax.random.split(key, 3)
        learner, grouping = self.learner.init(learner_key), None
        if self.learner.algorithm.finds_clusters:
            grouping = group_agents(self.env, self.learner, learner, branch(key, GROUPING))
            learner = self.learner.regroup(learner, grouping.labels)
        num_envs = self.config.num_envs
        environments = init_rollout(self.env, num_envs, env_key, self.learner.start(num_envs))
        return TrainState(learner, environments, run_key, jnp.int32(0)), grouping

    def step(self, state: TrainState, hparams: Hyperparams) -> tuple[TrainState, Metrics]:
        """Returns the state after one rollout and one update, and a flat dict of metrics.

        ``schedule/<name>`` is the value in force of a coefficient that has an end and is read.
        Raises a ValueError unless all coefficients are scalars.
        """
        check_coefficients(hparams)
        reads = self.learner.algorithm.reads(self.config)
        scheduled = [name for name in hparams.ends() if name in reads]
        hparams = hparams.at(state.num_updates, self.config.num_updates)
        rollout_key, update_key, key = jax.random.split(state.key, 3)
        environments, trajectory, episodes = rollout(
            self.env,
            functools.partial(self.learner.act, state.learner),
            state.rollout,
            self.config.rollout_length,
            rollout_key,
            self.config.reset_interval,
        )
        learner, metrics = self.learner.update(
            state.learner, trajectory, hparams, update_key, memory=state.rollout.memory
        )
        in_force = {f"schedule/{name}": getattr(hparams, name) for name in scheduled}
        metrics = summarise_episodes(episodes) | metrics | in_force
        return TrainState(learner, environments, key, state.num_updates + 1), metrics

    def evaluate(
        self,
        state: LearnerState,
        key: jax.Array,
        num_episodes: int,
        greedy: bool = True,
        max_steps: int = MAX_EPISODE_STEPS,
    ) -> Metrics:
        """Returns ``evaluation/<name>``, the means over exactly ``num_episodes`` whole episodes.

        Which episodes count is settled before they begin, so that short ones are not favoured:
        the environments are reset together, and wait until the last of them has ended.  One that
        has not ended after ``max_steps`` counts with what it has by then; ``evaluation/cut_off``
        is how many did not.

        Args:
            state: the learner's; only its policies matter.
            key: consumed.
            num_episodes: any number from 1; at most ``num_envs`` are played side by side.
            greedy: take the likeliest actions.
            max_steps: of an episode, at least 1.

        Raises:
            ValueError: if ``num_episodes`` or ``max_steps`` is out of range.
        """
        check_count("num_episodes", num_episodes)
        check_count("max_steps", max_steps, MAX_COUNT)
        num_rounds = -(-num_episodes // self.config.num_envs)
        num_slots = -(-num_episodes // num_rounds)
        act = functools.partial(self.learner.act, state, greedy=greedy)
        memory = self.learner.start(num_slots, to_learn=False)
        rounds = jax.lax.map(
            lambda key: play_episodes(self.env, act, num_slots, key, max_steps, memory),
            jax.random.split(key, num_rounds),
        )
        episodes = jax.tree.map(lambda x: jnp.ravel(x)[:num_episodes], rounds)
        means = summarise_episodes(episodes._replace(ended=jnp.ones_like(episodes.ended)))
        del means[f"episode/{COUNT}"]
        cut_off = jnp.sum(~episodes.ended).astype(jnp.float32)
        return {f"evaluation/{CUT_OFF}": cut_off} | {
            f"evaluation/{name.removeprefix('episode/')}": value for name, value in means.items()
        }


def make_trainer(
    env: MultiAgentEnv, algorithm: str | Algorithm, config: Config | None = None
) -> Trainer:
    """Returns the trainer of an algorithm on an environment.

    Args:
        env: follows the `MultiAgentEnv` protocol.
        algorithm: a name in the table, or a row.
        config: static settings; the defaults if not given.

    Raises:
        ValueError: for an unknown algorithm, if rollouts do not split evenly, or if `check_env`
            finds something wrong with the environment.
    """
    return Trainer(env, make_learner(EnvSpec.from_env(env), algorithm, config))


def make_train(
    env: MultiAgentEnv, algorithm: str | Algorithm, config: Config | None = None
) -> Callable[[jax.Array, Hyperparams], tuple[TrainState, Metrics]]:
    """Returns ``train(key, hparams)``: a whole run, initialisation included, as one function.

    Jit it; vmap it over keys (seeds) and over hyperparameters (a sweep).  The function returns the
    state after the last update, and metrics with a leading ``[num_updates]`` axis.

    Args:
        env: follows the `MultiAgentEnv` protocol.
        algorithm: a name in the table, or a row.
        config: static settings; the defaults if not given.

    Raises:
        ValueError: as `make_trainer` does.
    """
    trainer = make_trainer(env, algorithm, config)

    def train(key: jax.Array, hparams: Hyperparams) -> tuple[TrainState, Metrics]:
        return jax.lax.scan(
            lambda state, _: trainer.step(state, hparams),
            trainer.init(key),
            length=trainer.config.num_updates,
        )

    return train
