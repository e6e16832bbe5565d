"""Evaluation while training goes on: a curve beside the metrics, and the best policies so far."""

from __future__ import annotations

import csv
import itertools
import os
import sys
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np

from experiments.analysis.summary import describe, finite_json
from experiments.training.best import Best, keep_better, load_best, no_best, save_best, with_actors
from experiments.training.errors import UsageError
from experiments.training.evaluation import Purpose, episode_keys, make_evaluate, short_names
from experiments.training.folder.metrics import INDEX_COLUMNS, Recorder, as_text, cut_lines
from experiments.training.settings.experiment import Experiment
from oatrpo_jax.learner import LearnerState

FILE = "evaluation.csv"

ABSOLUTE_SETS = 10
"""How many times the episodes of one evaluation measure the best policies at a run's end."""


class Monitor:
    """Evaluates every few updates, by keys that depend on seed and update alone.

    A resumed run thus plays the same episodes, and training is the same to the bit without it.
    """

    def __init__(self, experiment: Experiment, directory: Path, num_updates: int) -> None:
        """Cuts what is there after ``num_updates``; does nothing where no evaluation is wanted.

        Raises:
            UsageError: if evaluation.csv lacks evaluations that were done before.
        """
        run = experiment.options.run
        self.every, self._episodes = run.eval_every, run.eval_episodes
        self.compile_seconds = 0.0
        self._experiment, self._directory = experiment, directory
        self._path = directory / FILE
        self._num_done = num_updates // self.every if self.every else 0
        self._evaluate: Any = None
        self._best: Any = None
        if self.every:
            self._cut_rows()

    def compile(self, learner: LearnerState) -> None:
        """Compiles the evaluation of learners ``[P, K]`` of these shapes, and loads the best."""
        if not self.every:
            return
        start = time.perf_counter()
        run = make_evaluate(self._experiment.trainer, self._episodes)
        self._evaluate = run.lower(learner, self._keys(Purpose.CURVE, 0)).compile()
        self.compile_seconds = time.perf_counter() - start
        self._best = self._load_best(learner)

    def is_due(self, update: int) -> bool:
        """Returns whether to evaluate after an update."""
        return self.every > 0 and update % self.every == 0

    def play(self, learner: LearnerState, update: int, recorder: Recorder) -> None:
        """Evaluates, records that, and keeps the policies that did better than before.

        Args:
            learner: leading axes ``[P, K]``.
            update: updates done.
            recorder: whose TensorBoard files the figures go to as well.
        """
        metrics = self._evaluate(learner, self._keys(Purpose.CURVE, update))
        before, self._best = self._best, keep_better(self._best, learner, metrics, update)
        if not np.array_equal(before.update, self._best.update):
            save_best(self._best, self._directory)
        metrics = {name: np.asarray(metrics[name]) for name in sorted(metrics)}
        self._write_rows(metrics, update)
        recorder.write_evaluation(metrics, update)

    def absolute(self, learner: LearnerState) -> list[dict[str, Any]]:
        """Returns, per grid point, how well each seed's best policies play new episodes.

        Empty if nothing has been evaluated.
        """
        if self._best is None or not np.all(self._best.update):
            return []
        best = with_actors(learner, self._best.actors)
        sets = [
            self._evaluate(best, self._keys(Purpose.ABSOLUTE, number))
            for number in range(ABSOLUTE_SETS)
        ]
        means = jax.tree.map(lambda *each: np.mean(each, axis=0, dtype=np.float64), *sets)
        return [
            finite_json(
                {"episodes": ABSOLUTE_SETS * self._episodes, "updates": updates.tolist()}
                | {name: describe(value[point]) for name, value in short_names(means).items()}
            )
            for point, updates in enumerate(np.asarray(self._best.update))
        ]

    def _keys(self, purpose: Purpose, number: int) -> jax.Array:
        return episode_keys(self._experiment.seeds, purpose, number)

    def _load_best(self, learner: LearnerState) -> Best:
        try:
            best = load_best(self._directory, learner) if self._num_done else None
        except UsageError as error:
            print(f"Warning: {error}; only policies to come can be the best", file=sys.stderr)
            best = None
        return best or no_best(learner)

    def _cut_rows(self) -> None:
        lanes = len(self._experiment.points) * len(self._experiment.seeds)
        wanted = 1 + self._num_done * lanes if self._num_done else 0
        if wanted:
            found = 0
            if self._path.exists():
                with self._path.open("rb") as file:
                    found = sum(line.endswith(b"\n") for line in itertools.islice(file, wanted))
            if found < wanted:
                raise UsageError(
                    f"resume: {self._path} does not hold the {self._num_done} evaluations before "
                    "the checkpoint; nothing was changed"
                )
        cut_lines(self._path, wanted)

    def _write_rows(self, metrics: dict[str, np.ndarray], update: int) -> None:
        env_steps = update * self._experiment.config.steps_per_update
        cells = np.stack([as_text(value) for value in metrics.values()], axis=-1)
        with self._path.open("a", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            if not file.tell():
                writer.writerow([*INDEX_COLUMNS, *metrics])
            for point, seed in np.ndindex(cells.shape[:2]):
                position = (point, self._experiment.seeds[seed], update, env_steps)
                writer.writerow([*position, *cells[point, seed]])
            file.flush()
            # On the disk before any checkpoint that follows, as the rows of metrics.csv are.
            os.fsync(file.fileno())
