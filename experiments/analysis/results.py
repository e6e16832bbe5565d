"""A run read back from its directory: the one reader of what experiments/training writes."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from experiments.analysis.estimates import MEAN
from experiments.analysis.logs import Table, read_log
from experiments.analysis.statistics import (
    Curve,
    bin_ends,
    bin_means,
    curve_over_seeds,
    first_passages,
    tail_means,
)
from experiments.training.errors import UsageError
from experiments.training.folder.files import read_json
from experiments.training.settings.points import name_points

LOGS = ("metrics", "matrices", "evaluation")

SEED_BINS = 500
"""Points per curve of one seed at most."""


@dataclass(frozen=True)
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

    @property
    def columns(self) -> dict[str, np.ndarray]:
        """Every column of metrics.csv, ``[U, P, K]`` float32; NaN where a cell is empty."""
        return self.log.columns

    @property
    def seeds(self) -> list[int]:
        """The number of each seed."""
        return self.config["seeds"]

    @property
    def num_seeds(self) -> int:
        """How many seeds it has."""
        return len(self.seeds)

    @property
    def num_points(self) -> int:
        """How many grid points it has."""
        return len(self.config["points"])

    @property
    def num_updates(self) -> int:
        """How many updates are done."""
        return len(self.log.updates)

    @property
    def steps_per_update(self) -> int:
        """Environment steps of an update, per seed."""
        return _steps_per_update(self.config)

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
        return [f"{kind} {index}" for index, kind in enumerate(self.config["agent_types"])]

    @property
    def learners(self) -> list[str]:
        """Names of the G learners: those of the agents where each has a policy."""
        number = self.config["num_policies"]
        if number == len(self.agents) and not self.clusters:
            return self.agents
        return [f"policy {index}" for index in range(number)]

    @functools.cached_property
    def labels(self) -> list[str]:
        """The name of each grid point: what is swept there, else the algorithm."""
        config = self.config
        return name_points(config["points"], config["swept"], config["algorithm"])

    def has(self, name: str) -> bool:
        """Returns whether the environment reports that episode metric."""
        return f"episode/{name}" in self.log.names

    def ends(self, name: str, point: int) -> np.ndarray:
        """Returns ``[K]`` an episode metric over the last tenth of the point's sound updates."""
        return tail_means(*self._episodes(name, point))

    def evaluated(self, name: str, point: int) -> np.ndarray:
        """Returns ``[K]`` an episode metric of the best policies; NaN where it was not measured."""
        measured = self.absolute(point).get("per_seed", {})
        return np.array(measured.get(name, [np.nan] * self.num_seeds), float)

    def absolute(self, point: int) -> dict[str, Any]:
        """Returns how a grid point's best policies play new episodes; empty if none did."""
        return (self.training.get("absolute") or {point: None})[point] or {}

    def num_sound(self, point: int) -> int:
        """Returns how many updates a grid point did before it diverged, if it did."""
        return self.diverged.get(point, self.num_updates + 1) - 1

    def curve(self, name: str, point: int, trim: float = MEAN) -> Curve:
        """Returns the learning curve of an episode metric over seeds, until the point diverged."""
        value, count = self._episodes(name, point)
        ends = bin_ends(count, self.config["config"]["num_envs"])
        env_steps = self.steps_after(np.array(ends, int))
        return curve_over_seeds(env_steps, bin_means(value, count, ends), trim)

    def seed_curve(self, name: str, point: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns environment steps and an episode metric of one seed, ``[bins]`` each.

        A bin is as short as it can be with an episode per environment in it, `SEED_BINS` at most.
        """
        value, count = (column[:, [seed]] for column in self._episodes(name, point))
        ends = bin_ends(count, self.config["config"]["num_envs"], SEED_BINS)
        return self.steps_after(np.array(ends, int)), bin_means(value, count, ends)[:, 0]

    def steps_to(self, name: str, point: int, threshold: float) -> tuple[np.ndarray, np.ndarray]:
        """Returns ``[K]`` the steps until a metric reaches a threshold, and ``[K]`` whether it did.

        See `statistics.first_passage`.  A seed that never gets there counts with all the run's
        steps, which are then a lower bound.
        """
        updates = first_passages(*self._episodes(name, point), threshold)
        reached = np.isfinite(updates)
        return self.steps_after(np.where(reached, updates, self.num_updates)), reached

    def own(self) -> np.ndarray:
        """Returns ``[K, G, N]`` where agent n acts with policy g; SEPS groups agents per seed."""
        policies = [self.config["policy_of_agent"]] * self.num_seeds
        if self.clusters:
            policies = [each["labels"] for each in self.clusters["seeds"]]
        return np.array(policies)[:, None] == np.arange(self.config["num_policies"])[:, None]

    def sound(self, name: str, point: int) -> np.ndarray:
        """Returns ``[U, K]`` float64 a column of metrics.csv, in sound updates."""
        return self.columns[name][: self.num_sound(point), point].astype(np.float64)

    def has_matrix(self, name: str) -> bool:
        """Returns whether a metric that is a matrix was recorded."""
        return f"{name}/0/0" in self.matrix_log.names

    def matrix_updates(self, point: int) -> np.ndarray:
        """Returns ``[R]`` the sound updates after which matrices were recorded."""
        updates = self.matrix_log.updates
        return updates[updates <= self.num_sound(point)]

    def matrices(self, name: str, point: int) -> np.ndarray:
        """Returns ``[R, K, G, N]`` float32 a metric that is a matrix, in `matrix_updates`."""
        shape = self.config["num_policies"], len(self.agents)
        return self.matrix_log.matrices(name, shape)[: len(self.matrix_updates(point)), point]

    def _episodes(self, name: str, point: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns ``[U, K]`` an episode metric, and of how many episodes, in sound updates."""
        return self.sound(f"episode/{name}", point), self.sound("episode/count", point)


def read_result(directory: Path, *, may_be_empty: bool = False) -> Result:
    """Returns what a run left.

    Args:
        directory: where it lies.
        may_be_empty: whether it is a run as well if no update was done.

    Raises:
        UsageError: if the directory holds no run with metrics.
    """
    try:
        config = read_json(directory / "config.json")
        training, clusters = (
            read_json(path) if (path := directory / name).exists() else {}
            for name in ("training.json", "clusters.json")
        )
        of_run = len(config["points"]), config["seeds"], _steps_per_update(config)
        logs = (read_log(directory / f"{name}.csv", *of_run) for name in LOGS)
        result = Result(directory, config, training, clusters, *logs)
        _check_updates(result, may_be_empty)
        # What everybody looks at; where one of it is missing, this is no run.
        _ = result.env_steps, result.labels, result.agents, result.is_complete, result.diverged
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise UsageError(
            f"runs: {directory} holds no run that can be read ({error!r}). "
            "Leave it out, or train it again."
        ) from error
    return result


def _steps_per_update(config: Mapping[str, Any]) -> int:
    return config["config"]["num_envs"] * config["config"]["rollout_length"]


def _check_updates(result: Result, may_be_empty: bool) -> None:
    """Raises a ValueError unless metrics.csv has all updates that were done, and their episodes."""
    updates = result.log.updates
    if not (len(updates) or may_be_empty):
        raise ValueError("metrics.csv holds no whole update")
    if np.any(updates != np.arange(1, len(updates) + 1)):
        raise ValueError("metrics.csv: an update is missing")
    if missing := [name for name in ("count", "return") if len(updates) and not result.has(name)]:
        raise ValueError(f"metrics.csv: it has no column episode/{missing[0]}")
