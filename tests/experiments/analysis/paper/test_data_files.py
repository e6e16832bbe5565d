"""What other programs are given of a figure."""

import pytest

from experiments.analysis.paper.data_files import common_steps, step_entries
from experiments.analysis.paper.figures import FIGURE_3B
from experiments.analysis.paper.outcome import Outcome
from tests.experiments.analysis.paper.made_up_series import make_series


def test_steps_before_training_count_and_time_does_not(tmp_path):
    plain, grouped = make_series(tmp_path / "a", "oappo"), make_series(tmp_path / "b", "seps", 64)
    assert (plain.measured.budget, grouped.measured.budget) == (320, 64 + 320)
    assert grouped.measured.steps.tolist() == [64 + 288] * 2
    moments = common_steps(Outcome(FIGURE_3B, (plain, grouped), (), 2))
    # From the grouped run's first update on, until the other ends.
    assert (moments[0], moments[-1]) == (96, 320)
    entry = step_entries(grouped, 0, moments, ("return",))["step_0"]
    assert entry["mean_episode_return"] == [pytest.approx(0.0)]  # 1 / 10 - 0.1
    # Ten updates took 2 seconds; the first was done after a tenth of that.
    assert entry["elapsed_time"] == pytest.approx(0.2)


def test_runs_that_have_no_steps_in_common_have_no_entries(tmp_path):
    plain, grouped = make_series(tmp_path / "a", "oappo"), make_series(tmp_path / "b", "seps", 8192)
    assert common_steps(Outcome(FIGURE_3B, (plain, grouped), (), 2)) == []
