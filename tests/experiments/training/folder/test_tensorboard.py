"""The boards of a run: what they show, in how many events, and what a full disk does."""

from pathlib import Path

import numpy as np
import pytest

from experiments.training.folder.tensorboard import Boards
from tests.experiments.events import read_events, read_scalars
from tests.experiments.faults import full_disk

NAN, INF = np.nan, np.inf
STEPS = 10
"""Environment steps of an update."""
METRICS = {
    # [2 updates, 2 points, 2 seeds]
    "critic/loss": np.array([[[1, 2], [3, NAN]], [[4, 6], [INF, NAN]]], np.float32),
    "episode/return": np.zeros((2, 2, 2), np.float32),
    "reuse/weight": np.ones((2, 2, 2, 3, 3), np.float32),
}


def boards(directory: Path) -> Boards:
    return Boards(directory, ["a", "b"], STEPS, 5)


def test_a_board_shows_means_over_the_seeds_that_are_finite(tmp_path: Path):
    with boards(tmp_path) as opened:
        opened.write(METRICS, [5, 6])
    returns = {("episode/return", 50): 0.0, ("episode/return", 60): 0.0}
    # (1 + 2) / 2 and (4 + 6) / 2
    expected = {("critic/loss", 50): 1.5, ("critic/loss", 60): 5.0}
    assert read_scalars(tmp_path / "tensorboard" / "0, a") == expected | returns
    # 3 alone; in update 6 no seed is finite.
    assert read_scalars(tmp_path / "tensorboard" / "1, b") == {("critic/loss", 50): 3.0} | returns


def test_an_update_is_one_event(tmp_path: Path):
    with boards(tmp_path) as opened:
        opened.write(METRICS, [5, 6])
    events = list(read_events(tmp_path / "tensorboard" / "0, a"))
    assert [event.step for event in events] == [0, 50, 50, 60]  # Version, start, two updates.


def test_a_full_disk_is_an_error_where_it_happens(tmp_path: Path):
    with boards(tmp_path) as opened:
        path = next(tmp_path.glob("tensorboard/0, a/events*"))
        with full_disk(path.stat().st_size), pytest.raises(OSError, match="File too large"):
            opened.write(METRICS, [5, 6])
