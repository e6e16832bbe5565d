"""One episode, as a moving picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax

from experiments.training.evaluation import Purpose, episode_keys
from experiments.training.settings.experiment import Experiment
from oatrpo_jax.learner import LearnerState
from oatrpo_jax.train import Trainer, TrainState
from oatrpo_jax.types import PyTree

MAX_STEPS = 1000
"""A replay is cut here if its episode is longer still."""


def save_replay(
    experiment: Experiment,
    state: TrainState,
    point: int,
    path: Path,
    *,
    greedy: bool = True,
    number: int = 0,
) -> bool:
    """Saves one episode of the first seed at a grid point; False if nothing can draw it.

    Args:
        experiment: what was run.
        state: leading axes ``[P, K]``.
        point: whose policies play.
        path: the GIF to write.
        greedy: take the likeliest actions.
        number: which episode.
    """
    env: Any = experiment.trainer.env
    if not hasattr(env, "animate"):
        return False
    team = jax.tree.map(lambda x: x[point, 0], state.learner)
    (key,) = episode_keys(experiment.seeds[:1], Purpose.REPLAY, number)
    env.animate(play_episode(experiment.trainer, team, key, greedy), save_path=str(path))
    return True


def play_episode(
    trainer: Trainer, learner: LearnerState, key: jax.Array, greedy: bool = True
) -> list[PyTree]:
    """Returns the environment's states in one episode, the first one included; key is consumed."""

    @jax.jit
    def step(state: PyTree, observation: Any, key: jax.Array):
        action, _ = trainer.learner.act(learner, observation, key, greedy)
        state, timestep = trainer.env.step(state, action)
        return state, timestep.observation, timestep.last()

    reset_key, key = jax.random.split(key)
    state, timestep = jax.jit(trainer.env.reset)(reset_key)
    states, observation = [state], timestep.observation
    for step_key in jax.random.split(key, MAX_STEPS):
        state, observation, is_last = step(state, observation, step_key)
        states.append(state)
        if is_last:
            break
    return states
