"""A finished run read back from its directory."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from experiments.analysis.curves import Curve, bin_ends, learning_curve
from experiments.analysis.summary import episode_mean, tail_means
from experiments.training.errors import UsageError

SEED_BINS = 500
"""Points per curve of one seed at most: fine enough to see when it reaches a threshold."""


@dataclass(frozen=True)
class Result:
    """What a run left.

    Attributes:
        directory: where it lies.
        config: config.json, what was asked for and with which versions.
        summary: summary.json, statistics of its end.
        columns: every other column of metrics.csv, ``[U, P, K]``; NaN where a cell is empty.
    """

    directory: Path
    config: dict[str, Any]
    summary: dict[str, Any]
    columns: dict[str, np.ndarray]

    @property
    def num_points(self) -> int:
        """How many grid points it has."""
        return len(self.summary["points"])

    @property
    def num_seeds(self) -> int:
        """How many seeds it has."""
        return len(self.summary["seeds"])

    @property
    def steps_per_update(self) -> int:
        """Environment steps of an update."""
        return self.config["config"]["num_envs"] * self.config["config"]["rollout_length"]

    def has(self, name: str) -> bool:
        """Returns whether the environment reports that episode metric."""
        return f"episode/{name}" in self.columns

    def ends(self, name: str, point: int) -> np.ndarray:
        """Returns ``[K]`` an episode metric over the last tenth of the updates."""
        count = self.columns["episode/count"]
        return tail_means(self.columns[f"episode/{name}"], count)[point]

    def evaluated(self, name: str, point: int) -> np.ndarray:
        """Returns ``[K]`` an episode metric of the best policies' likeliest actions."""
        return np.array(self.summary["points"][point]["absolute"][name]["per_seed"], float)

    def curve(self, name: str, point: int, statistic: Callable[..., Any] = np.mean) -> Curve:
        """Returns the learning curve of an episode metric, over seeds."""
        return learning_curve(
            self.columns[f"episode/{name}"][:, point],
            self.columns["episode/count"][:, point],
            self.config["config"]["num_envs"],
            self.steps_per_update,
            statistic,
        )

    def seed_curve(self, name: str, point: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns environment steps and an episode metric of one seed, ``[bins]`` each.

        A bin is as short as it can be with an episode per environment in it, `SEED_BINS` at most.
        """
        count = self.columns["episode/count"][:, point, seed]
        value = self.columns[f"episode/{name}"][:, point, seed]
        ends = bin_ends(count[:, None], self.config["config"]["num_envs"], SEED_BINS)
        starts = [0, *ends][:-1]
        means = [episode_mean(value[a:b], count[a:b]) for a, b in zip(starts, ends, strict=True)]
        return np.array(ends, int) * self.steps_per_update, np.array(means, float)

    def matrices(self, name: str, point: int) -> np.ndarray:
        """Returns ``[U, G, N]`` a metric that is a matrix, mean over seeds."""
        entries = {
            tuple(map(int, key.split("/")[-2:])): value[:, point].mean(axis=-1)
            for key, value in self.columns.items()
            if key.startswith(f"{name}/")
        }
        rows, columns = (1 + max(index) for index in zip(*entries, strict=True))
        flat = [entries[row, column] for row in range(rows) for column in range(columns)]
        return np.stack(flat, axis=-1).reshape(-1, rows, columns)


def read_result(directory: Path) -> Result:
    """Returns what a run left.

    Raises:
        UsageError: if the directory holds no finished run.
    """
    try:
        summary = json.loads((directory / "summary.json").read_text())
        config = json.loads((directory / "config.json").read_text())
        _check(summary, config)
        names, cells = _read_cells(directory / "metrics.csv")
        # Rows run over updates, then points, then seeds.
        shape = (-1, len(summary["points"]), len(summary["seeds"]))
        columns = {name: cells[:, index].reshape(shape) for index, name in enumerate(names)}
    except (OSError, ValueError, StopIteration) as error:
        raise UsageError(f"runs: {directory} holds no finished run ({error})") from error
    return Result(directory, config, summary, columns)


def _check(summary: Any, config: Any) -> None:
    """Raises a ValueError if what summary.json and config.json hold is not of a run."""
    if not isinstance(summary, dict) or not isinstance(config, dict):
        raise ValueError("summary.json and config.json should be objects")
    lists = [summary.get(name) for name in ("points", "seeds")]
    if not all(isinstance(one, list) and one for one in lists):
        raise ValueError("summary.json names no point or no seed")
    settings = config.get("config")
    if not isinstance(settings, dict) or not {"num_envs", "rollout_length"} <= settings.keys():
        raise ValueError("config.json names no num_envs or no rollout_length")


def _read_cells(path: Path) -> tuple[list[str], np.ndarray]:
    with path.open(newline="") as file:
        rows = csv.reader(file)
        names = next(rows)
        return names, np.stack([np.array([float(cell or "nan") for cell in row]) for row in rows])
