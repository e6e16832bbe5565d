"""Rows of metrics.csv: their columns, their cells, and what is kept of them on resuming."""

import numpy as np
import pytest

from experiments.training.errors import UsageError
from experiments.training.folder.metrics import Log, as_text, flatten

METRICS = {"episode/return": np.arange(8.0).reshape(2, 2, 2), "critic/loss": np.ones((2, 2, 2))}


def make_log(tmp_path) -> Log:
    """Returns a log of 2 points and 2 seeds with the rows of updates 1 and 2."""
    log = Log(tmp_path / "metrics.csv", 2, (3, 4), steps=10)
    log.append(METRICS, [1, 2])
    return log


def test_matrices_become_one_column_per_entry_learner_first():
    matrix = np.arange(4.0).reshape(1, 1, 1, 2, 2)
    columns = flatten({"reuse/weight": matrix, "episode/return": np.zeros((1, 1, 1))})
    assert list(columns) == ["episode/return", *(f"reuse/weight/{ij}" for ij in
                             ("0/0", "0/1", "1/0", "1/1"))]  # fmt: skip
    assert columns["reuse/weight/1/0"].item() == 2


def test_cells_read_back_as_the_same_number():
    values = np.array([1 / 3, 1e-30, 3e7, np.nan], np.float32)
    text = as_text(values)
    assert text[3] == ""
    np.testing.assert_array_equal(text[:3].astype(np.float32), values[:3])


def test_rows_run_over_updates_then_points_then_seeds(tmp_path):
    rows = [line.split(",") for line in make_log(tmp_path).path.read_text().splitlines()]
    assert rows[0] == ["point", "seed", "update", "env_steps", "episode/return", "critic/loss"]
    assert rows[1] == ["0", "3", "1", "10", "0.0", "1.0"]
    assert rows[4] == ["1", "4", "1", "10", "3.0", "1.0"]
    assert rows[5] == ["0", "3", "2", "20", "4.0", "1.0"]
    assert len(rows) == 9  # A head, and 2 updates of 2 points and 2 seeds.


def test_rows_after_a_checkpoint_are_cut_off_and_written_again(tmp_path):
    log = make_log(tmp_path)
    whole = log.path.read_bytes()
    log.cut(log.size_of([1]))
    assert len(log.path.read_text().splitlines()) == 5
    log.append({name: value[1:] for name, value in METRICS.items()}, [2])
    assert log.path.read_bytes() == whole
    log.cut(log.size_of([]))
    assert log.path.read_bytes() == b""


@pytest.mark.parametrize("damage", ["row", "cell", "other rows", "file"])
def test_rows_that_are_not_whole_are_refused(tmp_path, damage):
    log = make_log(tmp_path)
    text = log.path.read_text()
    if damage == "file":
        log.path.unlink()
    elif damage == "other rows":
        log.path.write_text(text.replace("1,4,2,20", "1,5,2,20"))
    else:
        log.path.write_text(text[: text.rindex("\n", 0, -1) + 1] if damage == "row" else text[:-2])
    with pytest.raises(UsageError, match="does not hold the rows of 2 updates"):
        log.size_of([1, 2])
