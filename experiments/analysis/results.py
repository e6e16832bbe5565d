"""A run that was read back, and its grid points: what is drawn and tabled of them."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from envs.importing import without_folder
from experiments.analysis.estimates import MEAN, average
from experiments.analysis.logs import Table
from experiments.analysis.statistics import (
    Curve,
    bin_ends,
    bin_means,
    first_passage,
    tail_means,
)
from experiments.training.settings.points import name_agents, name_points

SEED_BINS = 500
"""Points per curve of one seed at most."""


@dataclass(frozen=True, eq=False)
class Result:
    """What a run left, finished or not.

    Attributes:
        directory: where it lies.
        config: config.json, what was asked for and with which versions.
        training: training.json, how it went; empty while a run is under way or was killed.
        clusters: clusters.json, SEPS' groups of agents; empty with any other algorithm.
        log: metrics.csv.
        matrix_log: matrices.csv, which need not have rows of every update.
        evaluation_log: evaluation.csv, which has no rows where nothing was evaluated.
    """

    directory: Path
    config: dict[str, Any]
    training: dict[str, Any]
    clusters: dict[str, Any]
    log: Table
    matrix_log: Table
    evaluation_log: Table

    @functools.cached_property
    def points(self) -> list[Point]:
        """Its grid points, with a name each: what is swept there, else the algorithm."""
        config = self.config
        labels = name_points(config["points"], config["swept"], config["algorithm"])
        return [Point(self, number, label) for number, label in enumerate(labels)]

    @property
    def environment(self) -> str:
        """The environment's name; that of somebody's file without its folder."""
        return without_folder(self.config["environment"])

    @property
    def seeds(self) -> list[int]:
        """The number of each seed."""
        return self.config["seeds"]

    @property
    def num_seeds(self) -> int:
        """How many seeds it has."""
        return len(self.seeds)

    @property
    def num_updates(self) -> int:
        """How many updates are done."""
        return len(self.log.updates)

    @property
    def steps_per_update(self) -> int:
        """Environment steps of an update, per seed."""
        return self.config["config"]["num_envs"] * self.config["config"]["rollout_length"]

    @property
    def env_steps(self) -> int:
        """Environment steps of training done, per seed."""
        return self.num_updates * self.steps_per_update

    @property
    def steps_before_training(self) -> int:
        """Environment steps per seed before the first update: those of SEPS' grouping."""
        return self.clusters.get("env_steps", 0)

    def steps_after(self, updates: Any) -> Any:
        """Returns all environment steps per seed until so many updates were done."""
        return self.steps_before_training + updates * self.steps_per_update

    @property
    def is_complete(self) -> bool:
        """Whether all updates were done, and a grid point at least is sound."""
        is_of_now = self.training.get("num_updates") == self.config["num_updates"]
        return is_of_now and self.training.get("completed") is True

    @property
    def diverged(self) -> dict[int, int]:
        """Grid points with a number that was not finite, and the update in which it was first."""
        return {each["point"]: each["update"] for each in self.training.get("diverged", ())}

    @property
    def agents(self) -> list[str]:
        """Names of the N agents."""
        return name_agents(self.config["agent_types"])

    @property
    def learners(self) -> list[str]:
        """Names of the G learners: those of the agents where each has a policy."""
        number = self.config["num_policies"]
        if number == len(self.agents) and not self.clusters:
            return self.agents
        return [f"policy {index}" for index in range(number)]

    def own(self) -> np.ndarray:
        """Returns ``[K, G, N]`` where agent n acts with policy g; SEPS groups agents per seed."""
        policies = [self.config["policy_of_agent"]] * self.num_seeds
        if self.clusters:
            policies = [each["labels"] for each in self.clusters["seeds"]]
        return np.array(policies)[:, None] == np.arange(self.config["num_policies"])[:, None]

    def has_matrix(self, name: str) -> bool:
        """Returns whether a metric that is a matrix was recorded."""
        return f"{name}/0/0" in self.matrix_log.names


def reported(results: Sequence[Result], names: Sequence[str]) -> list[str]:
    """Returns those of some episode metrics that all of these runs report."""
    return [n for n in names if all(f"episode/{n}" in result.log.names for result in results)]


@dataclass(frozen=True, eq=False)
class Point:
    """A grid point of a run: what is drawn and tabled, of its updates before it diverged.

    Attributes:
        result: the run.
        number: of the point, from 0.
        label: its name.
    """

    result: Result
    number: int
    label: str

    @property
    def coefficients(self) -> dict[str, float]:
        """Every coefficient that is traced, whether the algorithm reads it or not."""
        return self.result.config["points"][self.number]

    @property
    def is_diverged(self) -> bool:
        """Whether a number was not finite."""
        return self.number in self.result.diverged

    @property
    def num_sound(self) -> int:
        """How many updates it did before it diverged, if it did."""
        return self.result.diverged.get(self.number, self.result.num_updates + 1) - 1

    def sound(self, name: str) -> np.ndarray:
        """Returns ``[U, K]`` float64 a column of metrics.csv, in sound updates."""
        return self.result.log.columns[name][: self.num_sound, self.number].astype(np.float64)

    def episodes(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Returns ``[U, K]`` an episode metric, and of how many episodes."""
        return self.sound(f"episode/{name}"), self.sound("episode/count")

    def ends(self, name: str) -> np.ndarray:
        """Returns ``[K]`` an episode metric over the last tenth of the sound updates."""
        return tail_means(*self.episodes(name))

    @property
    def absolute(self) -> dict[str, Any]:
        """How its best policies play new episodes; empty if none did."""
        every = self.result.training.get("absolute")
        return (every and every[self.number]) or {}

    def evaluated(self, name: str) -> np.ndarray:
        """Returns ``[K]`` an episode metric of the best policies; NaN where it was not measured."""
        measured = self.absolute.get("per_seed", {})
        return np.array(measured.get(name, [np.nan] * self.result.num_seeds), float)

    @functools.cached_property
    def bins(self) -> np.ndarray:
        """Where the bins of its learning curves end, see `statistics.bin_ends`."""
        return bin_ends(self.sound("episode/count"), self.result.config["config"]["num_envs"])

    @property
    def has_curve(self) -> bool:
        """Whether episodes enough ended for a learning curve, before it diverged."""
        return len(self.bins) > 0

    def curve(self, name: str, trim: float = MEAN) -> Curve:
        """Returns the learning curve of an episode metric over seeds."""
        means = bin_means(*self.episodes(name), self.bins)
        return Curve(self.result.steps_after(self.bins), *average(means, trim))

    @functools.cached_property
    def _seed_bins(self) -> list[np.ndarray]:
        """The same of each seed: as short as they can be, `SEED_BINS` at most."""
        count, num_envs = self.sound("episode/count"), self.result.config["config"]["num_envs"]
        return [bin_ends(each[:, None], num_envs, SEED_BINS) for each in count.T]

    def seed_curve(self, name: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns environment steps and an episode metric of one seed, ``[bins]`` each."""
        ends = self._seed_bins[seed]
        value, count = (column[:, [seed]] for column in self.episodes(name))
        return self.result.steps_after(ends), bin_means(value, count, ends)[:, 0]

    def evaluation_curve(self, name: str) -> Curve | None:
        """Returns a metric of the evaluations while training went on, if it was measured."""
        log = self.result.evaluation_log
        if f"evaluation/{name}" not in log.names:
            return None
        is_sound = log.updates <= self.num_sound
        values = log.columns[f"evaluation/{name}"][is_sound, self.number].astype(np.float64)
        return Curve(self.result.steps_after(log.updates[is_sound]), *average(values, MEAN))

    def steps_to(self, name: str, threshold: float) -> tuple[np.ndarray, np.ndarray]:
        """Returns ``[K]`` the steps until a metric reaches a threshold, and ``[K]`` whether it did.

        See `statistics.first_passage`.  A seed that never gets there counts with all the run's
        steps, which are then a lower bound.
        """
        value, count = self.episodes(name)
        seeds = zip(value.T, count.T, strict=True)
        updates = np.array([first_passage(*seed, threshold) for seed in seeds])
        reached = np.isfinite(updates)
        steps = self.result.steps_after(np.where(reached, updates, self.result.num_updates))
        return steps, reached

    @property
    def matrix_updates(self) -> np.ndarray:
        """``[R]`` the sound updates after which matrices were recorded."""
        updates = self.result.matrix_log.updates
        return updates[updates <= self.num_sound]

    def matrices(self, name: str) -> np.ndarray:
        """Returns ``[R, K, G, N]`` float32 a metric that is a matrix, in `matrix_updates`."""
        shape = self.result.config["num_policies"], len(self.result.agents)
        every = self.result.matrix_log.matrices(name, shape)
        return every[: len(self.matrix_updates), self.number]
