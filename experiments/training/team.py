"""A trained team: loaded from its run's folder, chosen by point and seed, played and shown."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np

from experiments.training.errors import UsageError, shown
from experiments.training.folder.checkpoints import restore
from experiments.training.naming import command
from experiments.training.placement import in_turn, place
from experiments.training.playing import (
    Playing,
    Purpose,
    episode_keys,
    make_evaluate,
    short_names,
    warn_of_cut_off,
)
from experiments.training.position import RunState
from experiments.training.program import abstract_state
from experiments.training.settings.experiment import Experiment, build
from experiments.training.settings.stored import stored_options
from experiments.training.surroundings import Devices
from oatrpo_jax import run_folder
from oatrpo_jax.export import with_actors
from oatrpo_jax.learner import LearnerState
from oatrpo_jax.runs import NOT_EVALUATED
from oatrpo_jax.train import Trainer
from oatrpo_jax.types import CUT_OFF, PyTree, StrPath

MAX_REPLAY_STEPS = 1000
"""A replay is cut here if its episode is longer still."""

ONE_EPISODE = Playing(1)
"""What a replay shows where nothing else is asked for."""


@dataclass(frozen=True)
class Team:
    """What a run has learnt.

    Attributes:
        directory: the run's.
        experiment: what was run.
        learner: leading axes ``[P, K]``.
        updates: ``[P, K]`` how many updates the policies have seen.
    """

    directory: Path
    experiment: Experiment
    learner: LearnerState
    updates: np.ndarray

    def choose_point(self, asked: int | None) -> int:
        """Returns the number of the grid point asked for, else of the best in summary.json.

        Raises:
            UsageError: if there is no such point, or none is known to be the best.
        """
        with _in_words("--point"):
            return run_folder.choose_point(self.directory, len(self.experiment.points), asked)

    def choose_seed(self, point: int, asked: int | None) -> int:
        """Returns the place among the seeds of the one asked for, else of the point's best.

        Raises:
            UsageError: if there is no such seed, or none is known to be the best.
        """
        with _in_words("--seed"):
            return run_folder.choose_seed(self.directory, self.experiment.seeds, point, asked)

    def best_seed(self, point: int) -> int:
        """Returns the place of a point's best seed in summary.json, the first if none is known."""
        try:
            return self.choose_seed(point, None)
        except UsageError:
            return 0


@contextlib.contextmanager
def _in_words(option: str) -> Iterator[None]:
    """Lets a choice that cannot be made be a UsageError that ends in the option that makes it."""
    try:
        yield
    except ValueError as error:
        raise UsageError(f"{error} with {option}") from error


def load_team(directory: StrPath, which: Literal["latest", "best"] = "latest") -> Team:
    """Returns a run's policies as it last saved them, or each seed's as it played best.

    Raises:
        UsageError: if there is no run, no checkpoint that can be loaded, or no evaluation.
    """
    directory = Path(directory)
    experiment = build(stored_options(directory))
    restored = restore(directory, RunState.like(abstract_state(experiment), experiment))
    if restored is None:
        raise UsageError(f"{directory} holds no checkpoint; resume it to train on")
    learner, best = restored.state.train.learner, restored.state.best
    if which == "latest":
        return Team(directory, experiment, learner, np.full(experiment.lanes, restored.num_updates))
    if best is None or not np.any(best.update):
        raise UsageError(f"checkpoint: {directory} {NOT_EVALUATED}")
    return Team(directory, experiment, with_actors(learner, best.actors), np.asarray(best.update))


def play(
    team: Team, trainer: Trainer, point: int, how: Playing, devices: Devices = 1
) -> dict[str, np.ndarray]:
    """Returns ``[K]`` means of each metric over whole episodes of a grid point's teams.

    On a device seeds play one after another: an environment outside of JAX then holds the episodes
    of one.  How many episodes were cut off is said on stderr.

    Args:
        trainer: the run's own, or one with another environment of the same sizes.
        how: how many episodes, how long and by which actions.
        devices: over which seeds are spread.
    """
    keys = episode_keys(team.experiment.seeds, Purpose.AFTERWARDS, how.number)
    placement = place(trainer.env, len(keys), devices)
    run = make_evaluate(trainer, how, placement, in_turn)
    learner = jax.tree.map(lambda x: x[point : point + 1], team.learner)
    metrics = jax.device_get(short_names(run(placement.counts, learner, keys)))
    warn_of_cut_off(metrics[CUT_OFF], how.num_episodes, how.max_steps, "--max-steps")
    return {name: value[0].astype(np.float64) for name, value in metrics.items()}


def save_replay(
    team: Team, trainer: Trainer, lane: tuple[int, int], path: Path, how: Playing = ONE_EPISODE
) -> bool:
    """Saves one episode of a seed at a grid point as a GIF; False if nothing can draw it.

    Raises:
        UsageError: if drawing fails; environments of anybody's draw themselves.

    Args:
        trainer: the run's own, or one with another environment of the same sizes.
        lane: grid point, and place among the seeds.
        how: by which actions, and which episode.
    """
    env: Any = trainer.env
    if not hasattr(env, "animate"):
        return False
    _, place = lane
    learner = jax.tree.map(lambda x: x[lane], team.learner)
    (key,) = episode_keys([team.experiment.seeds[place]], Purpose.REPLAY, how.number)
    states = play_episode(trainer, learner, key, how.greedy)
    try:
        env.animate(states, save_path=str(path))
    except Exception as error:
        raise UsageError(
            f"replay: expected animate of {type(env).__name__} to draw an episode, got "
            f"{type(error).__name__}: {error}; correct it, then {command('evaluate')} "
            f"{shown(team.directory)} --replay GIF draws one"
        ) from error
    return True


def play_episode(
    trainer: Trainer, learner: LearnerState, key: jax.Array, greedy: bool = True
) -> list[PyTree]:
    """Returns the environment's states in one episode, the first one included; key is consumed."""

    @jax.jit
    def step(state: PyTree, observation: Any, memory: jax.Array | None, key: jax.Array):
        action, _, *after = trainer.learner.act(learner, observation, key, greedy, memory=memory)
        state, timestep = trainer.env.step(state, action)
        return state, timestep.observation, after[0] if after else None, timestep.last()

    # Of one episode, which needs no axis.
    memory = jax.tree.map(lambda x: x[0], trainer.learner.start(1, to_learn=False))
    reset_key, key = jax.random.split(key)
    state, timestep = jax.jit(trainer.env.reset)(reset_key)
    states, observation = [state], timestep.observation
    for step_key in jax.random.split(key, MAX_REPLAY_STEPS):
        state, observation, memory, is_last = step(state, observation, memory, step_key)
        states.append(state)
        if is_last:
            break
    return states
