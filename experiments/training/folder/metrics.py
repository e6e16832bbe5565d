"""metrics.csv and evaluation.csv: rows per update, grid point and seed, appended and kept."""

from __future__ import annotations

import csv
import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from experiments.training.errors import UsageError

INDEX_COLUMNS = ("point", "seed", "update", "env_steps")
GROUPS = ("episode", "policy", "critic", "reuse")
"""Prefixes of metrics, in the order of the columns; others follow."""


class Log:
    """A CSV file to which rows are appended; what it was given is on the disk when it returns."""

    def __init__(self, path: Path, num_points: int, seeds: Sequence[int], steps: int) -> None:
        """Says what the rows are of; opens nothing.

        Args:
            path: the file.
            num_points: grid points.
            seeds: their numbers.
            steps: environment steps of an update.
        """
        self.path = path
        self._lanes = [(point, seed) for point in range(num_points) for seed in seeds]
        self._steps = steps

    def size_of(self, updates: Sequence[int]) -> int:
        """Returns how many bytes the head and the rows of the file's first updates take.

        Raises:
            UsageError: if the file does not hold them, as they were written.
        """
        if not updates:
            return 0
        try:
            with self.path.open(newline="") as file:
                lines = list(itertools.islice(file, 1 + len(updates) * len(self._lanes)))
            self._check(lines, updates)
        except (OSError, ValueError, IndexError) as error:
            raise UsageError(
                f"resume: {self.path} does not hold the rows of {len(updates)} updates before the "
                f"checkpoint ({error}); nothing was changed"
            ) from error
        return sum(len(line.encode()) for line in lines)

    def cut(self, size: int) -> None:
        """Keeps so many bytes of the file, which is made if it does not exist."""
        with self.path.open("ab") as file:
            file.truncate(size)

    def append(self, metrics: Mapping[str, np.ndarray], updates: Sequence[int]) -> None:
        """Appends metrics ``[U, P, K, ...]`` of so many updates, after a head in an empty file."""
        columns = flatten(metrics)
        with self.path.open("a", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            if not file.tell():
                writer.writerow([*INDEX_COLUMNS, *columns])
            writer.writerows(self._rows(columns, updates))
            file.flush()
            # On the disk before any checkpoint that follows: a resumed run needs the rows.
            os.fsync(file.fileno())

    def _rows(
        self, columns: Mapping[str, np.ndarray], updates: Sequence[int]
    ) -> Iterator[list[str]]:
        cells = np.stack([as_text(column) for column in columns.values()], axis=-1)
        flat = cells.reshape(len(updates), len(self._lanes), -1)
        for update, of_update in zip(updates, flat, strict=True):
            for (point, seed), row in zip(self._lanes, of_update, strict=True):
                yield [*map(str, (point, seed, update, update * self._steps)), *row]

    def _check(self, lines: Sequence[str], updates: Sequence[int]) -> None:
        """Raises a ValueError unless the lines are a head and the rows of these updates."""
        expected = [
            [str(point), str(seed), str(update)]
            for update in updates
            for point, seed in self._lanes
        ]
        rows = list(csv.reader(lines))
        if [row[:3] for row in rows[1:]] != expected:
            raise ValueError("its rows are not those of the run")
        if len({len(row) for row in rows}) != 1 or not lines[-1].endswith("\n"):
            raise ValueError("a row is cut off")


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
