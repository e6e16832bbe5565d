"""What a run leaves while it goes on: rows of metrics.csv, TensorBoard events, and the history."""

from __future__ import annotations

import csv
import itertools
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from experiments.training.errors import UsageError
from experiments.training.folder.tensorboard import Board
from experiments.training.program import Chunk
from experiments.training.settings.experiment import Experiment

INDEX_COLUMNS = ("point", "seed", "update", "env_steps")
GROUPS = ("episode", "policy", "critic", "reuse")
"""Prefixes of metrics, in the order of the columns; others follow."""


class Recorder:
    """Writes each chunk to metrics.csv and TensorBoard, and keeps it for summary and plots.

    Use it as a context manager: the files are closed at its end, whatever happened.
    """

    def __init__(
        self, experiment: Experiment, directory: Path, history: Mapping[str, np.ndarray]
    ) -> None:
        """Opens the files in ``directory``.

        Args:
            experiment: what is run.
            directory: where; a metrics.csv that is there is cut after the history.
            history: metrics ``[U, P, K, ...]`` of the updates done before, as `read_history`
                returns them; empty for a new run.
        """
        self._experiment = experiment
        self._chunks = [dict(history)] if history else []
        num_updates = len(next(iter(history.values()), ()))
        path = directory / "metrics.csv"
        cut_lines(path, num_lines(experiment, num_updates) if history else 0)
        self._csv = path.open("a", newline="")
        self._writer = csv.writer(self._csv, lineterminator="\n")
        root = directory / "tensorboard"
        labels = [experiment.label(point) for point in range(len(experiment.points))]
        folders = [root] if len(labels) == 1 else [root / label for label in labels]
        first_step = (num_updates + 1) * experiment.config.steps_per_update
        self._boards = [Board(folder, first_step) for folder in folders]

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._csv.close()
        for board in self._boards:
            board.close()

    @property
    def history(self) -> dict[str, np.ndarray]:
        """All metrics so far by name, ``[U, P, K, ...]``; empty before the first chunk."""
        if not self._chunks:
            return {}
        return {
            name: np.concatenate([chunk[name] for chunk in self._chunks])
            for name in self._chunks[0]
        }

    def write(self, chunk: Chunk) -> None:
        """Appends a chunk to everything, and flushes."""
        columns = flatten(chunk.metrics)
        if not self._chunks:
            self._writer.writerow([*INDEX_COLUMNS, *columns])
        self._chunks.append(chunk.metrics)
        self._writer.writerows(self._rows(chunk, columns))
        self._csv.flush()
        # On the disk before any checkpoint that follows: a resumed run needs the rows until there.
        os.fsync(self._csv.fileno())
        self._write_boards(chunk)

    def _rows(self, chunk: Chunk, columns: Mapping[str, np.ndarray]) -> Iterable[list[str]]:
        cells = np.stack([as_text(column) for column in columns.values()], axis=-1)
        steps = self._experiment.config.steps_per_update
        for (index, point, seed), _ in np.ndenumerate(cells[..., 0]):
            update = chunk.first_update + index
            position = (point, self._experiment.seeds[seed], update, update * steps)
            yield [*map(str, position), *cells[index, point, seed]]

    def write_evaluation(self, metrics: Mapping[str, np.ndarray], update: int) -> None:
        """Appends an evaluation ``[P, K]`` to TensorBoard, and flushes."""
        self._add_scalars(metrics, update)
        for board in self._boards:
            board.flush()

    def _write_boards(self, chunk: Chunk) -> None:
        scalars = {name: value for name, value in chunk.metrics.items() if value.ndim == 3}
        for index in range(chunk.num_updates):
            self._add_scalars({k: v[index] for k, v in scalars.items()}, chunk.first_update + index)
        for board in self._boards:
            board.flush()

    def _add_scalars(self, metrics: Mapping[str, np.ndarray], update: int) -> None:
        """Appends to TensorBoard the mean over seeds of each ``[P, K]`` metric."""
        env_steps = update * self._experiment.config.steps_per_update
        for name, value in metrics.items():
            for board, per_seed in zip(self._boards, value, strict=True):
                finite = per_seed[np.isfinite(per_seed)]
                if finite.size:
                    board.add_scalar(name, float(finite.mean()), env_steps)


def num_lines(experiment: Experiment, num_updates: int) -> int:
    """Returns how many lines of metrics.csv, its head included, so many updates fill."""
    return 1 + num_updates * len(experiment.points) * len(experiment.seeds)


def cut_lines(path: Path, count: int) -> None:
    """Keeps the first ``count`` lines of a file, which is made if it does not exist."""
    with path.open("a+b") as file:
        file.seek(0)
        kept = sum(len(line) for line in itertools.islice(file, count))
        file.truncate(kept)


def read_history(
    experiment: Experiment, directory: Path, shapes: Mapping[str, Any], num_updates: int
) -> dict[str, np.ndarray]:
    """Returns the metrics ``[U, P, K, ...]`` of the first updates, as metrics.csv has them.

    They are the numbers that were written, to the bit; rows of later updates are not looked at.

    Args:
        experiment: what was run.
        directory: where.
        shapes: ``[..., P, K, ...]`` shape and dtype of each metric.
        num_updates: how many updates; none make an empty history.

    Raises:
        UsageError: if the file does not hold these updates.
    """
    if num_updates == 0:
        return {}
    path = directory / "metrics.csv"
    lanes = (len(experiment.points), len(experiment.seeds))
    empty = {k: np.zeros((num_updates, *v.shape[1:]), v.dtype) for k, v in shapes.items()}
    columns = flatten(empty)
    expected = [
        [str(point), str(experiment.seeds[seed]), str(update + 1)]
        for update, point, seed in np.ndindex(num_updates, *lanes)
    ]
    try:
        with path.open(newline="") as file:
            lines = list(itertools.islice(file, num_lines(experiment, num_updates)))
        rows = list(csv.reader(lines))
        cells = np.array(rows[1:], dtype=object)
        if rows[0] != [*INDEX_COLUMNS, *columns] or cells[:, :3].tolist() != expected:
            raise ValueError("its rows are not those of the run")
        if not lines[-1].endswith("\n"):
            raise ValueError("a row is cut off")
        for index, column in enumerate(columns.values(), len(INDEX_COLUMNS)):
            text = np.where(cells[:, index] == "", "nan", cells[:, index]).astype(str)
            column[...] = text.astype(column.dtype).reshape(column.shape)
    except (OSError, ValueError, IndexError) as error:
        raise UsageError(
            f"resume: {path} does not hold the {num_updates} updates before the checkpoint "
            f"({error}); nothing was changed"
        ) from error
    return empty


def flatten(metrics: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns scalar columns ``[U, P, K]``; an entry of a matrix is named ``name/row/column``."""
    order = {group: index for index, group in enumerate(GROUPS)}
    names = sorted(metrics, key=lambda name: (order.get(name.split("/")[0], len(order)), name))
    return {
        "/".join([name, *map(str, entry)]): metrics[name][(..., *entry)]
        for name in names
        for entry in np.ndindex(metrics[name].shape[3:])
    }


def as_text(column: np.ndarray) -> np.ndarray:
    """Returns the shortest text that reads back as the same number; nothing for NaN.

    >>> as_text(np.array([0.1, np.nan], np.float32)).tolist()
    ['0.1', '']
    """
    return np.where(np.isnan(column), "", column.astype(str))
