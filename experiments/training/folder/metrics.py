"""metrics.csv, matrices.csv and evaluation.csv: rows per update, grid point and seed."""

from __future__ import annotations

import codecs
import csv
import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from experiments.training.errors import UsageError

INDEX_COLUMNS = ("point", "seed", "update", "env_steps")
GROUPS = ("episode", "policy", "critic", "reuse")
"""Prefixes of metrics, in the order of the columns; others follow."""


class Rows(NamedTuple):
    """What the rows of a log are of: updates, of each the grid points, of each point the seeds.

    Attributes:
        num_points: grid points.
        seeds: their numbers.
        steps: environment steps of an update.
        first: the first update that has rows.
        every: one in so many has them from there on.
        others: further updates that have them, in rising order.
    """

    num_points: int
    seeds: Sequence[int]
    steps: int
    first: int = 1
    every: int = 1
    others: tuple[int, ...] = ()

    def updates(self, last: int) -> Sequence[int]:
        """Returns which of the updates until the last one have rows."""
        regular = range(self.first, last + 1, self.every)
        others = {update for update in self.others if update <= last}
        return sorted(others.union(regular)) if others else regular

    def index(self, updates: Sequence[int]) -> Iterator[list[str]]:
        """Yields the cells under `INDEX_COLUMNS` of each row of these updates."""
        for update in updates:
            for point, seed in itertools.product(range(self.num_points), self.seeds):
                yield [str(point), str(seed), str(update), str(update * self.steps)]


class Log:
    """A CSV file to which rows are appended; what it was given is on the disk when it returns."""

    def __init__(self, path: Path, rows: Rows, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Says what it holds; opens nothing.

        Args:
            shapes: of the metrics that it holds, by name: ``()`` or ``(G, N)``.
        """
        self.path = path
        self._rows, self._names = rows, tuple(shapes)
        nothing = {name: np.zeros((0, 0, 0, *shape)) for name, shape in shapes.items()}
        self._columns = [*INDEX_COLUMNS, *flatten(nothing)]

    def size_of(self, num_updates: int) -> int:
        """Returns how many bytes the head and the rows of the run's first updates take.

        Raises:
            UsageError: if the file does not hold them, as they were written.
        """
        updates = self._rows.updates(num_updates)
        if not updates:
            return 0
        try:
            with self.path.open("rb") as file:
                compare_columns(self._columns, read_head(file.readline()))
                for index in self._rows.index(updates):
                    line = file.readline()
                    if not line.startswith(f"{','.join(index)},".encode()):
                        raise ValueError("its rows are not those of the run")
                    if line.count(b",") != len(self._columns) - 1 or not line.endswith(b"\n"):
                        raise ValueError("a row is cut off")
                return file.tell()
        except (OSError, ValueError) as error:
            raise UsageError(
                f"resume: {self.path} does not hold the rows of {len(updates)} updates before the "
                f"checkpoint ({error}); nothing was changed. Put the file back as the run left it, "
                "or start anew with --out"
            ) from error

    def cut(self, size: int) -> None:
        """Keeps so many bytes of the file, which is made if it does not exist."""
        with self.path.open("ab") as file:
            file.truncate(size)

    def append(self, metrics: Mapping[str, np.ndarray], updates: Sequence[int]) -> None:
        """Appends what it holds of metrics ``[U, P, K, ...]``, after a head in an empty file.

        Args:
            metrics: of the updates; others may be among them.
            updates: their numbers; some may have no rows.
        """
        has_rows = [update in self._rows.updates(update) for update in updates]
        if not any(has_rows):
            return
        columns = flatten({name: metrics[name][has_rows] for name in self._names})
        cells = np.stack([as_text(column) for column in columns.values()], axis=-1)
        index = self._rows.index(list(itertools.compress(updates, has_rows)))
        rows = zip(index, cells.reshape(-1, len(columns)), strict=True)
        with self.path.open("a", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            if not file.tell():
                writer.writerow(self._columns)
            writer.writerows([*of_row, *values] for of_row, values in rows)
            file.flush()
            # On the disk before any checkpoint that follows: a resumed run needs the rows.
            os.fsync(file.fileno())


def make_logs(
    directory: Path, rows: Rows, metrics: Mapping[str, Any], matrix_every: int
) -> tuple[Log, Log]:
    """Returns metrics.csv, and matrices.csv for the metrics that are matrices.

    Args:
        metrics: shapes ``[U, P, K, ...]`` by name.
        matrix_every: one in so many updates has rows in matrices.csv, from the first on.
    """
    shapes = {name: tuple(each.shape[3:]) for name, each in metrics.items()}
    matrices = {name: shape for name, shape in shapes.items() if len(shape) == 2}
    others = {name: shape for name, shape in shapes.items() if len(shape) != 2}
    return (
        Log(directory / "metrics.csv", rows, others),
        Log(directory / "matrices.csv", rows._replace(every=matrix_every), matrices),
    )


def read_head(line: bytes) -> list[str]:
    """Returns the columns that a log's first line names.

    Raises:
        ValueError: if another program has saved the file since, which may have rounded numbers.
    """
    if line.startswith(codecs.BOM_UTF8):
        raise ValueError("it begins with a byte-order mark: a spreadsheet or an editor saved it")
    if line.endswith(b"\r\n"):
        raise ValueError("its lines end in CR LF: a spreadsheet or an editor saved it")
    return line.decode().removesuffix("\n").split(",")


def compare_columns(expected: Sequence[str], columns: Sequence[str]) -> None:
    """Raises a ValueError that names the first column that is not the one expected."""
    pairs = itertools.zip_longest(expected, columns, fillvalue="none")
    for place, (one, other) in enumerate(pairs, 1):
        if one != other:
            raise ValueError(f"column {place}: expected {one}, got {other[:80] or 'nothing'}")


def flatten(metrics: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns scalar columns ``[U, P, K]``; an entry of a matrix is named ``name/row/column``."""
    order = {group: index for index, group in enumerate(GROUPS)}
    names = sorted(metrics, key=lambda name: (order.get(name.split("/")[0], len(order)), name))
    return {
        "/".join([name, *map(str, entry)]): metrics[name][(..., *entry)]
        for name in names
        for entry in np.ndindex(metrics[name].shape[3:])
    }


def mean_over_seeds(
    metrics: Mapping[str, np.ndarray],
) -> tuple[list[str], list[list[list[float | None]]]]:
    """Returns the names of the scalars ``[U, P, K]`` among metrics, and their means.

    The means are lists ``[U][P][names]``, with None where no seed has a finite number.

    >>> mean_over_seeds({"loss": np.array([[[1.0, 2.0, np.nan]]]), "matrix": np.ones((1, 1, 1, 2))})
    (['loss'], [[[1.5]]])
    """
    names = [name for name, value in metrics.items() if value.ndim == 3]
    scalars = np.ma.masked_invalid([metrics[name] for name in names])
    return names, np.moveaxis(scalars.mean(axis=-1, dtype=np.float64), 0, -1).tolist()


def as_text(column: np.ndarray) -> np.ndarray:
    """Returns the shortest text that reads back as the same number; nothing for NaN.

    >>> as_text(np.array([0.1, np.nan], np.float32)).tolist()
    ['0.1', '']
    """
    return np.where(np.isnan(column), "", column.astype(str))
