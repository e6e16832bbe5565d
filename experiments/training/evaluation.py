"""Whole episodes of the likeliest actions while training goes on, and the best policies so far."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.training.folder.metrics import Log, Rows
from experiments.training.playing import (
    Playing,
    Purpose,
    episode_keys,
    make_evaluate,
    short_names,
    warn_of_cut_off,
)
from experiments.training.program import Traced
from experiments.training.settings.experiment import Experiment
from oatrpo_jax.export import actor_parameters, with_actors
from oatrpo_jax.learner import LearnerState
from oatrpo_jax.train import Metrics
from oatrpo_jax.types import CUT_OFF

ABSOLUTE_SETS = 10
"""How many times the episodes of one evaluation measure the best policies at a run's end."""


class Best(NamedTuple):
    """The best policies of each grid point and seed so far; arrays have leading axes ``[P, K]``.

    Attributes:
        success: share of successes, 0 where the environment tells of none; minus infinity before
            the first evaluation.
        episode_return: mean return, which decides where successes are equal.
        update: int32, when that was; 0 before the first evaluation.
        actors: parameters by name.
    """

    success: jax.Array
    episode_return: jax.Array
    update: jax.Array
    actors: dict[str, jax.Array]


def no_best(learner: LearnerState) -> Best:
    """Returns what stands before the first evaluation of ``[P, K]`` learners."""
    actors = actor_parameters(learner)
    shape = next(iter(actors.values())).shape[:2]
    worst = jnp.full(shape, -jnp.inf, jnp.float32)
    zeros = {name: jnp.zeros(value.shape, value.dtype) for name, value in actors.items()}
    return Best(worst, worst, jnp.zeros(shape, jnp.int32), zeros)


@jax.jit
def keep_better(best: Best, learner: LearnerState, metrics: Metrics, update: jax.Array) -> Best:
    """Returns, per point and seed, the better of two; of equals the earlier.

    Parameters that are not finite are never the better ones.
    """
    new = Best(
        # An environment need not tell of success.
        metrics.get("evaluation/success", jnp.zeros_like(best.success)),
        metrics["evaluation/return"],
        jnp.full_like(best.update, update),
        actor_parameters(learner),
    )
    is_better = (new.success > best.success) | (
        (new.success == best.success) & (new.episode_return > best.episode_return)
    )
    for value in new.actors.values():
        is_better &= jnp.all(jnp.isfinite(value), axis=range(2, value.ndim))

    def choose(new: jax.Array, old: jax.Array) -> jax.Array:
        return jnp.where(is_better.reshape(*is_better.shape, *[1] * (new.ndim - 2)), new, old)

    return jax.tree.map(choose, new, best)


class Evaluator:
    """Evaluates every few updates and after the last, by keys that depend on seed and update alone.

    A resumed run thus plays the same episodes, and training is the same to the bit without it.
    """

    def __init__(self, experiment: Experiment, traced: Traced, directory: Path) -> None:
        """Compiles nothing yet; does nothing at all where no evaluation is asked for."""
        run = experiment.options.run
        self.every, self._episodes = run.eval_every, run.eval_episodes
        self._max_steps, self._has_warned = run.eval_max_steps, False
        self.compile_seconds = 0.0
        self._spread = traced.placement.spread
        self._experiment, self._path = experiment, directory / "evaluation.csv"
        self._evaluate: Any = None
        if self.every:
            start = time.perf_counter()
            placement, how = traced.placement, Playing(self._episodes, self._max_steps)
            evaluate: Any = make_evaluate(experiment.trainer, how, placement, placement.of_block)
            self._counts = placement.counts
            keys = self._keys(Purpose.CURVE, 0)
            self._traced = evaluate.trace(self._counts, traced.state.learner, keys)
            self.compile_seconds = time.perf_counter() - start

    def logs(self, ends: tuple[int, ...]) -> tuple[Log, ...]:
        """Returns evaluation.csv, if there is to be one.

        Args:
            ends: updates that were evaluated as the last one of an earlier part of the run.
        """
        if not self.every:
            return ()
        config, num_points = self._experiment.config, len(self._experiment.points)
        steps, ends = config.steps_per_update, (*ends, config.num_updates)
        rows = Rows(num_points, self._experiment.seeds, steps, self.every, self.every, ends)
        return (Log(self._path, rows, dict.fromkeys(self._traced.out_info, ())),)

    def compile(self) -> None:
        """Compiles the evaluation."""
        if self.every:
            start = time.perf_counter()
            self._evaluate = self._traced.lower().compile()
            self.compile_seconds += time.perf_counter() - start

    def is_due(self, update: int) -> bool:
        """Returns whether to evaluate after an update."""
        last = self._experiment.config.num_updates
        return self.every > 0 and (update % self.every == 0 or update == last)

    def play(
        self, learner: LearnerState, best: Best | None, update: int
    ) -> tuple[Best, dict[str, np.ndarray]]:
        """Returns the best policies after an update, and ``[P, K]`` metrics of the newest.

        The first episodes that are cut off are said on stderr.
        """
        metrics = self._evaluate(self._counts, learner, self._keys(Purpose.CURVE, update))
        newest = keep_better(best or no_best(learner), learner, metrics, update)
        on_host = {name: np.asarray(value) for name, value in metrics.items()}
        self._warn_once(on_host[f"evaluation/{CUT_OFF}"], self._episodes)
        return newest, on_host

    def absolute(self, learner: LearnerState, best: Best) -> list[dict[str, Any] | None]:
        """Returns, per grid point, how well each seed's best policies play new episodes.

        None for a point of which a seed has no best policy.
        """
        learner = with_actors(learner, best.actors)
        sets = [
            short_names(self._evaluate(self._counts, learner, self._keys(Purpose.ABSOLUTE, number)))
            for number in range(ABSOLUTE_SETS)
        ]
        means = jax.tree.map(lambda *each: np.mean(each, axis=0, dtype=np.float64), *sets)
        means[CUT_OFF] *= ABSOLUTE_SETS  # A count.
        self._warn_once(means[CUT_OFF], ABSOLUTE_SETS * self._episodes)
        return [
            {
                "episodes": ABSOLUTE_SETS * self._episodes,
                "updates": updates.tolist(),
                "per_seed": {name: value[point].tolist() for name, value in means.items()},
            }
            if updates.all()
            else None
            for point, updates in enumerate(np.asarray(best.update))
        ]

    def _warn_once(self, cut_off: np.ndarray, num_episodes: int) -> None:
        if not self._has_warned:
            warn_of_cut_off(cut_off, num_episodes, self._max_steps, "--eval-max-steps")
            self._has_warned = bool(np.any(cut_off))

    def _keys(self, purpose: Purpose, number: int) -> jax.Array:
        return self._spread(episode_keys(self._experiment.seeds, purpose, number))
