"""Rows of logs: their columns, their cells, and what is kept of them on resuming."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from experiments.training.errors import UsageError
from experiments.training.folder.metrics import (
    INDEX_COLUMNS,
    Log,
    Rows,
    as_text,
    flatten,
    make_logs,
)

METRICS = {"episode/return": np.arange(8.0).reshape(2, 2, 2), "critic/loss": np.ones((2, 2, 2))}


def make_log(tmp_path) -> Log:
    """Returns a log of 2 points and 2 seeds with the rows of updates 1 and 2."""
    shapes = {name: value.shape[3:] for name, value in METRICS.items()}
    log = Log(tmp_path / "metrics.csv", Rows(2, (3, 4), steps=10), shapes)
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


def test_updates_off_the_beat_have_rows_too():
    rows = Rows(1, (0,), steps=10, first=3, every=3, others=(4, 6, 8))
    assert list(rows.updates(7)) == [3, 4, 6]
    assert list(rows.updates(9)) == [3, 4, 6, 8, 9]


def test_rows_after_a_checkpoint_are_cut_off_and_written_again(tmp_path):
    log = make_log(tmp_path)
    whole = log.path.read_bytes()
    log.cut(log.size_of(1))
    assert len(log.path.read_text().splitlines()) == 5
    log.append({name: value[1:] for name, value in METRICS.items()}, [2])
    assert log.path.read_bytes() == whole
    log.cut(log.size_of(0))
    assert log.path.read_bytes() == b""


@pytest.mark.parametrize("damage", ["row", "cell", "other rows", "other steps", "file"])
def test_rows_that_are_not_whole_are_refused(tmp_path, damage):
    log = make_log(tmp_path)
    text = log.path.read_text()
    if damage == "file":
        log.path.unlink()
    elif damage.startswith("other"):
        number = "1,5,2,20" if damage == "other rows" else "1,4,2,21"
        log.path.write_text(text.replace("1,4,2,20", number))
    else:
        log.path.write_text(text[: text.rindex("\n", 0, -1) + 1] if damage == "row" else text[:-2])
    with pytest.raises(UsageError, match="does not hold the rows of 2 updates"):
        log.size_of(2)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda text: text.replace(b"critic/loss", b"critic/lose"), "column 6: expected critic/lo"),
        (lambda text: text.replace(b"critic/loss", b"critic/lose"), "got critic/lose"),
        (lambda text: text.replace(b",critic/loss", b""), "expected critic/loss, got none"),
        (lambda text: text.replace(b"loss", b"loss,more"), "column 7: expected none, got more"),
        (lambda text: b"\xef\xbb\xbf" + text, "byte-order mark"),
        (lambda text: text.replace(b"\n", b"\r\n"), "CR LF"),
        (lambda text: b"\xff\xfe" + text, "decode"),
    ],
)
def test_a_head_that_is_not_that_of_the_program_is_refused_by_what_differs(
    change, complaint, tmp_path
):
    log = make_log(tmp_path)
    log.path.write_bytes(change(log.path.read_bytes()))
    with pytest.raises(UsageError, match=complaint):
        log.size_of(1)
    assert log.size_of(0) == 0  # Nothing of the file is kept.


def test_how_much_of_a_file_is_kept_takes_no_memory(tmp_path):
    columns = {f"critic/{number}": () for number in range(50)}
    log = Log(tmp_path / "metrics.csv", Rows(1, (0,), steps=10), columns)
    log.append({name: np.ones((2000, 1, 1), np.float32) for name in columns}, range(1, 2001))
    tracemalloc.start()
    assert log.size_of(2000) == log.path.stat().st_size > 400_000
    assert tracemalloc.get_traced_memory()[1] < 50_000
    tracemalloc.stop()


def make_both(directory: Path, every: int) -> tuple[Log, Log]:
    """Returns the logs of a run of one point and two seeds, with matrices of two agents."""
    return make_logs(directory, Rows(1, (0, 1), steps=10), metrics_of(range(1)), every)


def metrics_of(updates: range) -> dict[str, np.ndarray]:
    """Returns metrics of these updates that say which it is."""
    loss = np.broadcast_to(np.array(updates, np.float32)[:, None, None], (len(updates), 1, 2))
    weight = np.broadcast_to(loss[..., None, None], (*loss.shape, 2, 2))
    return {"critic/loss": loss, "reuse/weight": weight}


@pytest.mark.parametrize("length", [1, 2, 3, 8])
def test_every_few_updates_matrices_go_to_a_log_of_their_own(length, tmp_path):
    metrics, matrices = make_both(tmp_path, every=3)
    for first in range(1, 9, length):
        updates = range(first, min(first + length, 9))
        for log in (metrics, matrices):
            log.append(metrics_of(updates), updates)
    head, *rows = (line.split(",") for line in matrices.path.read_text().splitlines())
    assert head == [*INDEX_COLUMNS, *(f"reuse/weight/{ij}" for ij in ("0/0", "0/1", "1/0", "1/1"))]
    assert rows == [
        ["0", str(seed), str(update), str(10 * update), *[f"{update}.0"] * 4]
        for update in (1, 4, 7)
        for seed in (0, 1)
    ]
    head, *rows = metrics.path.read_text().splitlines()
    assert head == ",".join([*INDEX_COLUMNS, "critic/loss"]) and len(rows) == 16
    # Of five updates the first and the fourth have matrices.
    size = matrices.size_of(5)
    assert len(matrices.path.read_bytes()[:size].splitlines()) == 1 + 2 * 2
