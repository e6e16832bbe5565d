"""A log read back from its file: a stream of rows into one array."""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from experiments.training.folder.metrics import INDEX_COLUMNS, compare_columns, read_head

BLOCK_CELLS = 2**17
"""How much of a file is in memory as text at a time."""

EMPTY_CELL = re.compile(r"(?<=,)(?=[,\n])")


class Table(NamedTuple):
    """The rows of a log, as few bytes as they can be.

    Attributes:
        updates: ``[R]`` int64, the updates that have rows, in their order.
        names: of the C columns.
        values: ``[C, R, P, K]`` float32, which is what training computes; NaN for an empty cell.
    """

    updates: np.ndarray
    names: tuple[str, ...]
    values: np.ndarray

    @property
    def columns(self) -> dict[str, np.ndarray]:
        """Every column, ``[R, P, K]``, by name: views."""
        return dict(zip(self.names, self.values, strict=True))

    def matrices(self, name: str, shape: tuple[int, int]) -> np.ndarray:
        """Returns ``[R, P, K, G, N]`` a metric that is a matrix of that shape: a view."""
        start, size = self.names.index(f"{name}/0/0"), shape[0] * shape[1]
        entries = [f"{name}/{row}/{column}" for row, column in np.ndindex(shape)]
        compare_columns(entries, self.names[start : start + size])
        found = self.values[start : start + size].reshape(*shape, *self.values.shape[1:])
        return np.moveaxis(found, (0, 1), (-2, -1))


def read_log(path: Path, num_points: int, seeds: Sequence[int], steps: int) -> Table:
    """Returns the rows of whole updates, as the last may have been cut off.

    A file that is missing has none.

    Args:
        num_points: grid points that it should be of.
        seeds: numbers of the seeds that it should be of.

    Raises:
        ValueError: if it is not such a log.
    """
    if not (num_points and seeds):
        raise ValueError("config.json names no point or no seed")
    lanes, num_lanes = (num_points, len(seeds)), num_points * len(seeds)
    names, num_rows = _measure(path)
    num_updates = num_rows // num_lanes
    if not num_updates:
        return Table(np.zeros(0, np.int64), (), np.zeros((0, 0, *lanes), np.float32))
    num_index = len(INDEX_COLUMNS)
    compare_columns(INDEX_COLUMNS, names[:num_index])
    updates = np.empty(num_updates, np.int64)
    values = np.empty((len(names) - num_index, num_updates, *lanes), np.float32)
    length = max(1, BLOCK_CELLS // (num_lanes * len(names)))
    with path.open(newline="", encoding="utf-8") as file:
        next(file)
        for start in range(0, num_updates, length):
            part = slice(start, min(start + length, num_updates))
            shape = (part.stop - start, *lanes, len(names))
            rows = itertools.islice(file, shape[0] * num_lanes)
            filled = (EMPTY_CELL.sub("nan", row) for row in rows)
            # Of float64, which holds steps exactly.
            cells = np.loadtxt(filled, delimiter=",", comments=None, ndmin=2).reshape(shape)
            updates[part] = _updates_of(cells[..., :num_index], seeds, steps)
            values[:, part] = np.moveaxis(cells[..., num_index:], -1, 0)
    if np.any(np.diff(updates) <= 0):
        raise ValueError("its updates are not in their order")
    return Table(updates, tuple(names[num_index:]), values)


def _measure(path: Path) -> tuple[list[str], int]:
    """Returns a file's columns, and how many rows with an end it has."""
    if not path.exists():
        return [], 0
    with path.open("rb") as file:
        names = read_head(file.readline())
        blocks = iter(functools.partial(file.read, 2**16), b"")
        return names, sum(block.count(b"\n") for block in blocks)


def _updates_of(index: np.ndarray, seeds: Sequence[int], steps: int) -> np.ndarray:
    """Returns the updates ``[R]`` that rows are of, given what stands under `INDEX_COLUMNS`.

    Raises:
        ValueError: if ``[R, P, K, 4]`` are not updates, points, seeds in their order.
    """
    point, seed, update, env_steps = np.moveaxis(index, -1, 0)
    is_placed = np.all(point == np.arange(index.shape[1])[:, None]) and np.all(seed == seeds)
    if not (is_placed and np.all(update == update[:, :1, :1])):
        raise ValueError("its rows are not those of the run's points and seeds")
    if not np.all(env_steps == update * steps):
        raise ValueError(f"its updates are not of {steps} environment steps")
    return update[:, 0, 0]
