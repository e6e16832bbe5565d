"""A log is read as a stream into float32: to the bit, whatever its blocks, and in little memory."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from experiments.analysis import logs
from experiments.analysis.logs import Table, read_log
from experiments.training.folder.metrics import Log, Rows

SEEDS, STEPS = (3, 4), 2**20


def write(path: Path, num_updates: int, num_columns: int, every: int = 1) -> np.ndarray:
    """Writes a log of one point and two seeds; returns its values ``[U, 1, K, columns]``."""
    values = np.random.default_rng(0).normal(size=(num_updates, 1, 2, num_columns))
    values = values.astype(np.float32)
    values[::7, ..., ::3] = np.nan
    names = [f"critic/{number:02d}" for number in range(num_columns)]
    rows = Rows(1, SEEDS, STEPS, every=every)
    log = Log(path, rows, dict.fromkeys(names, ()))
    metrics = dict(zip(names, np.moveaxis(values, -1, 0), strict=True))
    log.append(metrics, range(1, num_updates + 1))
    return values


def read(path: Path) -> Table:
    return read_log(path, 1, SEEDS, STEPS)


@pytest.mark.parametrize("block_cells", [1, 100, 2**17])
def test_every_cell_is_read_to_the_bit_whatever_the_blocks(block_cells, tmp_path, monkeypatch):
    monkeypatch.setattr(logs, "BLOCK_CELLS", block_cells)
    values = write(tmp_path / "log.csv", num_updates=30, num_columns=4, every=2)
    table = read(tmp_path / "log.csv")
    # Of these updates of 2**20 steps float32 could not tell the number of steps.
    assert table.updates.tolist() == list(range(1, 31, 2))
    assert table.values.dtype == np.float32 and list(table.columns) == [
        f"critic/{number:02d}" for number in range(4)
    ]
    np.testing.assert_array_equal(np.moveaxis(table.values, 0, -1), values[::2])


def test_reading_takes_four_bytes_a_cell_and_a_block(tmp_path, monkeypatch):
    monkeypatch.setattr(logs, "BLOCK_CELLS", 2**11)
    write(tmp_path / "log.csv", num_updates=1000, num_columns=60)
    num_cells = 1000 * 2 * 60
    tracemalloc.start()
    read(tmp_path / "log.csv")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # A block of 2**11 cells, as numbers and as text, and pieces of the file.
    assert peak < 4 * num_cells + 400_000


def test_a_log_that_is_missing_or_has_no_whole_update_is_empty(tmp_path):
    path = tmp_path / "log.csv"
    assert read(path).updates.shape == (0,) and not read(path).columns
    write(path, num_updates=1, num_columns=2)
    path.write_text(path.read_text()[:-1])
    assert read(path).updates.shape == (0,)


def test_a_matrix_is_a_view_of_its_entries_learner_first(tmp_path):
    log = Log(tmp_path / "log.csv", Rows(1, SEEDS, STEPS), {"a": (2, 3), "b": (2, 3)})
    of_a = np.arange(24, dtype=np.float32).reshape(2, 1, 2, 2, 3)
    log.append({"a": of_a, "b": -of_a}, [1, 2])
    table = read(tmp_path / "log.csv")
    found = table.matrices("b", (2, 3))
    np.testing.assert_array_equal(found, -of_a)
    assert np.shares_memory(found, table.values)
    with pytest.raises(ValueError, match="expected a/0/3, got a/1/0"):
        table.matrices("a", (2, 4))
