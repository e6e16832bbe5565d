"""What is measured of a run."""

import pytest

from tests.experiments.analysis.paper.made_up_series import make_series


def test_seconds_are_those_of_one_lane_of_a_run_and_only_of_its_training(tmp_path):
    plain = make_series(tmp_path / "a", "oappo")
    grouped = make_series(tmp_path / "b", "seps", 64)
    # Two seeds took 2 seconds for ten updates; each is at 0.9 after nine.
    assert plain.measured.seconds == pytest.approx([0.9, 0.9])
    assert grouped.measured.seconds == pytest.approx([0.9, 0.9])


def test_all_points_of_a_grid_share_the_seconds_of_its_program(tmp_path):
    grid = make_series(tmp_path / "a", "oappo", options=("--reuse-sigma", "0.1", "10"))
    # Two points of two seeds took 2 seconds for ten updates.
    assert grid.measured.seconds == pytest.approx([0.45, 0.45])
