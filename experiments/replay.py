"""One greedy episode, as a moving picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax

from experiments.experiment import Experiment
from oatrpo_jax.learner import LearnerState
from oatrpo_jax.train import Trainer, TrainState
from oatrpo_jax.types import PyTree

MAX_STEPS = 1000
"""A replay is cut here if its episode is longer still."""


def save_replay(experiment: Experiment, state: TrainState, best_point: int, path: Path) -> bool:
    """Saves one greedy episode of the first seed at a grid point; False if nothing can draw it."""
    env: Any = experiment.trainer.env
    if not hasattr(env, "animate"):
        return False
    learner = jax.tree.map(lambda x: x[best_point, 0], state.learner)
    # Another key than the one that training began with.
    key = jax.random.fold_in(jax.random.key(experiment.seeds[0]), 1)
    env.animate(play_episode(experiment.trainer, learner, key), save_path=str(path))
    return True


def play_episode(trainer: Trainer, learner: LearnerState, key: jax.Array) -> list[PyTree]:
    """Returns the environment's states in one greedy episode, the first one included."""

    def step(state: PyTree, observation: Any, key: jax.Array):
        action, _ = trainer.learner.act(learner, observation, key, greedy=True)
        state, timestep = trainer.env.step(state, action)
        return state, timestep.observation, timestep.last()

    step = jax.jit(step)
    state, timestep = jax.jit(trainer.env.reset)(key)
    states, observation = [state], timestep.observation
    for _ in range(MAX_STEPS):
        state, observation, is_last = step(state, observation, key)
        states.append(state)
        if is_last:
            break
    return states
