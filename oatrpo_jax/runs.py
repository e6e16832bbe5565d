"""A trained learner from a run's folder, with neither its environment nor what trained it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp

from oatrpo_jax.algorithms import Algorithm, fixed_algorithm, get_algorithm
from oatrpo_jax.config import Config
from oatrpo_jax.env_spec import EnvSpec
from oatrpo_jax.export import actor_parameters, with_actors
from oatrpo_jax.hyperparams import Hyperparams
from oatrpo_jax.learner import Learner, LearnerState, make_learner
from oatrpo_jax.reuse.rules import allowed_reuse
from oatrpo_jax.run_folder import choose_point, choose_seed, read_config, restore
from oatrpo_jax.types import PyTree, StrPath

NOT_EVALUATED = (
    "was trained without --eval-every, or not yet evaluated, so that no policies are known to "
    "be the best; take the latest"
)
"""What is said of a run's folder that holds no best policies."""


@dataclass(frozen=True)
class TrainedRun:
    """One learner of a run, ready to act, to be valued and to learn on.

    ```python
    run = load_run("runs/a")
    action, _ = run.learner.act(run.state, observation, key, greedy=True)
    env = envs.make(run.env_name, **run.env_options)
    ```

    Where policies remember (``config.memory_size``), `act` takes a memory and gives the next one
    as its third result; where an episode starts, it is zeros again:

    ```python
    memory = run.learner.start(num_envs, to_learn=False)
    action, _, memory = run.learner.act(run.state, observation, key, greedy=True, memory=memory)
    ```

    Who collects what `update` is to learn from begins with ``learner.start(num_envs)``.

    Attributes:
        learner: its functions; ``learner.config`` are the static settings.
        state: what it has learnt, with no axes of points and seeds.
        hparams: the coefficients of its grid point.  Those in force, which `update` takes, are
            ``run.hparams.at(run.num_updates, run.config.num_updates)``.
        point: the grid point's number.
        seed: the seed's number.
        num_updates: that the policies have seen.
        env_name: what ``envs.make`` takes, with ``env_options``, to make the environment.
        env_options: keyword arguments of the environment.
        about: all that config.json says.
    """

    learner: Learner
    state: LearnerState
    hparams: Hyperparams
    point: int
    seed: int
    num_updates: int
    env_name: str
    env_options: dict[str, Any]
    about: dict[str, Any]

    @property
    def config(self) -> Config:
        """The static settings."""
        return self.learner.config


def load_run(
    directory: StrPath,
    point: int | None = None,
    seed: int | None = None,
    which: Literal["latest", "best"] = "latest",
) -> TrainedRun:
    """Returns a learner as a run has left it; no environment is made, and nothing is executed.

    Args:
        directory: the run's.
        point: grid point, numbered from 0; the best of summary.json if not given.
        seed: one of the run's; the point's best of summary.json if not given.
        which: the last policies, or the seed's as they played best when evaluated; critics and
            optimisers are the last ones in any case.

    Raises:
        ValueError: if there is no run, no checkpoint, or no such point or seed, listing them.
        DamagedCheckpointError: if no checkpoint can be loaded.
    """
    if which not in ("latest", "best"):
        raise ValueError(f"which: expected latest or best, got {which!r}")
    directory = Path(directory)
    about = read_config(directory)
    try:
        learner = _learner(about)
        points, seeds = [dict(each) for each in about["points"]], list(about["seeds"])
        env = about["environment"], dict(about["env_options"])
        is_evaluated = about["run"]["eval_every"] > 0
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(
            f"{directory / 'config.json'}: expected what this version writes, got that of another "
            f"version, or damage ({error!r}); resume the run to more steps, which writes it anew"
        ) from error
    point = choose_point(directory, len(points), point)
    place = choose_seed(directory, seeds, point, seed)
    one = jax.eval_shape(learner.init, jax.random.key(0))
    like = {"train": {"learner": _with_lanes(one, (len(points), len(seeds)))}}
    if which == "best" and not is_evaluated:
        raise ValueError(f"which: {directory} {NOT_EVALUATED}")
    if which == "best":
        like["best"] = _best_like(like["train"]["learner"])
    restored = restore(directory, like, is_part=True)
    if restored is None:
        raise ValueError(f"{directory}: expected checkpoints, got none; resume it to train on")
    for problem in restored.problems:
        warnings.warn(problem, stacklevel=2)
    lane = jax.tree.map(lambda x: x[point, place], restored.state)
    state, updates = lane["train"]["learner"], restored.num_updates
    if which == "best":
        updates = int(lane["best"]["update"])
        if not updates:
            raise ValueError(f"which: {directory} {NOT_EVALUATED}")
        state = with_actors(state, lane["best"]["actors"])
    hparams = Hyperparams.create(**points[point], schedule_updates=about.get("schedule_updates"))
    return TrainedRun(learner, state, hparams, point, seeds[place], updates, *env, about)


def _learner(about: Mapping[str, Any]) -> Learner:
    """Returns the functions of a run's learners."""
    settings: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in about["config"].items()
    }
    return make_learner(EnvSpec(**about["env_spec"]), _algorithm(about), Config(**settings))


def _algorithm(about: Mapping[str, Any]) -> Algorithm:
    if about["algorithm"] != "fixed":
        return get_algorithm(about["algorithm"])
    rows = about["reuse_rows"]
    return fixed_algorithm(allowed_reuse(rows) if isinstance(rows[0][0], bool) else rows)


def _with_lanes(tree: PyTree, lanes: tuple[int, int]) -> PyTree:
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct((*lanes, *x.shape), x.dtype), tree)


def _best_like(learner: LearnerState) -> dict[str, Any]:
    """Returns what a checkpoint says of the best policies of learners ``[P, K]``."""
    shape = learner.labels.shape[:2]
    return {
        "update": jax.ShapeDtypeStruct(shape, jnp.int32),
        "actors": jax.eval_shape(actor_parameters, learner),
    }
