"""A run's folder read back: the one reader of what experiments/training writes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from experiments.analysis.logs import Table, read_log
from experiments.analysis.results import Result
from experiments.training.errors import UsageError
from experiments.training.folder.files import read_json


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
        result = Result(directory, config, training, clusters, *_read_logs(directory, config))
        _check_updates(result, may_be_empty)
        # What everybody looks at; where one of it is missing, this is no run.
        _ = result.env_steps, result.points, result.agents, result.is_complete, result.diverged
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise UsageError(
            f"runs: {directory} holds no run that can be read ({error!r}). "
            "Leave it out, or train it again."
        ) from error
    return result


def _read_logs(directory: Path, config: Mapping[str, Any]) -> Iterator[Table]:
    steps = config["config"]["num_envs"] * config["config"]["rollout_length"]
    for name in ("metrics.csv", "matrices.csv", "evaluation.csv"):
        try:
            yield read_log(directory / name, len(config["points"]), config["seeds"], steps)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error


def _check_updates(result: Result, may_be_empty: bool) -> None:
    """Raises a ValueError unless metrics.csv has all updates that were done, and their episodes."""
    updates = result.log.updates
    if not (len(updates) or may_be_empty):
        raise ValueError("metrics.csv holds no whole update")
    if np.any(updates != np.arange(1, len(updates) + 1)):
        raise ValueError("metrics.csv: an update is missing")
    for name in ("episode/count", "episode/return"):
        if len(updates) and name not in result.log.names:
            raise ValueError(f"metrics.csv: it has no column {name}")
