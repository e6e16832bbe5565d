"""What a run leaves while it goes on: rows of metrics.csv, TensorBoard events, and the history."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType

import numpy as np
from tensorboardX import SummaryWriter

from experiments.experiment import Experiment
from experiments.runner import Chunk

INDEX_COLUMNS = ("point", "seed", "update", "env_steps")
GROUPS = ("episode", "policy", "critic", "reuse")
"""Prefixes of metrics, in the order of the columns; others follow."""


class Recorder:
    """Writes each chunk to metrics.csv and TensorBoard, and keeps it for summary and plots.

    Use it as a context manager: the files are closed at its end, whatever happened.
    """

    def __init__(self, experiment: Experiment, directory: Path) -> None:
        """Opens the files in ``directory``."""
        self._experiment = experiment
        self._chunks: list[dict[str, np.ndarray]] = []
        self._csv = (directory / "metrics.csv").open("w", newline="")
        self._writer = csv.writer(self._csv, lineterminator="\n")
        root = directory / "tensorboard"
        labels = [experiment.label(point) for point in range(len(experiment.points))]
        folders = [root] if len(labels) == 1 else [root / label for label in labels]
        self._boards = [SummaryWriter(str(folder)) for folder in folders]

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
        self._write_boards(chunk)

    def _rows(self, chunk: Chunk, columns: Mapping[str, np.ndarray]) -> Iterable[list[str]]:
        cells = np.stack([as_text(column) for column in columns.values()], axis=-1)
        steps = self._experiment.config.steps_per_update
        for (index, point, seed), _ in np.ndenumerate(cells[..., 0]):
            update = chunk.first_update + index
            position = (point, self._experiment.seeds[seed], update, update * steps)
            yield [*map(str, position), *cells[index, point, seed]]

    def _write_boards(self, chunk: Chunk) -> None:
        scalars = {name: value for name, value in chunk.metrics.items() if value.ndim == 3}
        steps = self._experiment.config.steps_per_update
        for point, board in enumerate(self._boards):
            for name, value in scalars.items():
                for index, per_seed in enumerate(value[:, point]):
                    finite = per_seed[np.isfinite(per_seed)]
                    if finite.size:
                        env_steps = (chunk.first_update + index) * steps
                        board.add_scalar(name, float(finite.mean()), env_steps)
            board.flush()


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
