"""Weights & Biases, where it is installed: a run per grid point, means over seeds."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from experiments.training.errors import UsageError, shown
from experiments.training.folder.metrics import mean_over_seeds
from experiments.training.settings.experiment import Experiment

PROJECT = "oatrpo_jax"


class WandbRuns:
    """Scalars of a run as runs of wandb, which its environment variables configure.

    They are called by the grid points, and grouped by the run's directory.  A run that is resumed
    goes on in the same ones.
    """

    def __init__(self, directory: Path, experiment: Experiment) -> None:
        """Opens nothing yet."""
        self._directory, self._experiment = directory, experiment
        self._runs: list[Any] = []

    def __enter__(self) -> WandbRuns:
        """Begins the runs, or goes on with them; a UsageError says why wandb does not."""
        import wandb  # pyright: ignore[reportMissingImports]  Its own extra.

        group, labels = self._directory.resolve().name, self._experiment.labels
        key = _key_of(self._directory / "wandb")
        try:
            for point, label in enumerate(labels):
                run = wandb.init(
                    project=None if wandb.Settings().project else PROJECT,
                    dir=self._directory,
                    group=group,
                    name=group if len(labels) == 1 else f"{group}, {label}",
                    id=f"{key}-{point}",
                    resume="allow",
                    reinit="create_new",
                    config=self._config(point),
                    settings=wandb.Settings(console="off", silent=True),
                )
                self._runs.append(run)
                run.define_metric("env_steps")
                run.define_metric("*", step_metric="env_steps")
        except wandb.errors.Error as error:
            self._finish(1)
            raise UsageError(
                f"log: wandb does not start ({error}); log in to it, set WANDB_MODE=offline, or "
                f"leave it out of --log: --resume {shown(self._directory)} goes on"
            ) from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._finish(int(error is not None))

    def _finish(self, exit_code: int) -> None:
        for run in self._runs:
            run.finish(exit_code=exit_code)

    def write(self, metrics: Mapping[str, np.ndarray], updates: Sequence[int]) -> None:
        """Logs the scalars among metrics ``[U, P, K, ...]`` of so many updates."""
        names, means = mean_over_seeds(metrics)
        steps = self._experiment.config.steps_per_update
        for update, of_points in zip(updates, means, strict=True):
            for run, values in zip(self._runs, of_points, strict=True):
                known = {k: v for k, v in zip(names, values, strict=True) if v is not None}
                run.log({"env_steps": update * steps, **known})

    def _config(self, point: int) -> dict[str, Any]:
        """Returns what wandb's tables and filters go by."""
        experiment, run = self._experiment, self._experiment.options.run
        return {
            "env": run.env,
            "algorithm": run.algorithm,
            "seeds": list(experiment.seeds),
            **experiment.options.config,
            **experiment.points[point],
        }


def _key_of(folder: Path) -> str:
    """Returns what tells the runs of a directory from all others, made when first asked for."""
    path = folder / "key"
    if not path.exists():
        folder.mkdir(exist_ok=True)
        path.write_text(secrets.token_hex(6))
    return path.read_text()
