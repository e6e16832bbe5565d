"""What other programs are given of a figure."""

import pytest

from experiments.analysis.paper.evidence import Outcome, Series, measure
from experiments.analysis.paper.exchange import _step_entries, common_steps
from experiments.analysis.paper.figures import FIGURE_3B, FIGURE_AGENTS
from experiments.analysis.paper.report import summary_table
from experiments.analysis.results import read_result
from experiments.training.folder.files import write_json
from tests.experiments.made_up_runs import SIZES, write_run


def series_of(directory, algorithm: str, grouping_steps: int = 0) -> Series:
    """Returns the curve of a run of ten updates, 32 steps each."""
    argv = ["--env", "maze", *SIZES, "--algorithm", algorithm]
    write_run(argv, directory, lambda *_: 10.0, episode__count=400.0)
    if grouping_steps:
        labels = [{"seed": seed, "labels": [0, 0, 1, 1]} for seed in (0, 1)]
        write_json(directory / "clusters.json", {"env_steps": grouping_steps, "seeds": labels})
    result = read_result(directory)
    return Series(algorithm, result, 0, measure(result, FIGURE_3B, 0))


def test_steps_before_training_count_and_time_does_not(tmp_path):
    plain, grouped = series_of(tmp_path / "a", "oappo"), series_of(tmp_path / "b", "seps", 64)
    assert (plain.measured.budget, grouped.measured.budget) == (320, 64 + 320)
    assert grouped.measured.steps.tolist() == [64 + 288] * 2
    moments = common_steps(Outcome(FIGURE_3B, (plain, grouped), (), 2))
    # From the grouped run's first update on, until the other ends.
    assert (moments[0], moments[-1]) == (96, 320)
    entry = _step_entries(grouped, 0, moments, ("return",))["step_0"]
    assert entry["mean_episode_return"] == [pytest.approx(0.0)]  # 1 / 10 - 0.1
    # Ten updates took 2 seconds; the first was done after a tenth of that.
    assert entry["elapsed_time"] == pytest.approx(0.2)


def test_seconds_are_those_of_one_lane_of_a_run_and_only_of_its_training(tmp_path):
    plain, grouped = series_of(tmp_path / "a", "oappo"), series_of(tmp_path / "b", "seps", 64)
    # Two seeds took 2 seconds for ten updates; each is at 0.9 after nine.
    assert plain.measured.seconds == pytest.approx([0.9, 0.9])
    assert grouped.measured.seconds == pytest.approx([0.9, 0.9])
    (header, row) = summary_table(Outcome(FIGURE_AGENTS, (plain,), (), 2))
    assert header[-3:] == [
        "steps to 0.9 of the optimum",
        "seconds to 0.9 of the optimum",
        "reached",
    ]
    assert row[-3:] == ["288 [288, 288]", "0.9 [0.9, 0.9]", "2 of 2"]
    assert "seconds" not in " ".join(summary_table(Outcome(FIGURE_3B, (plain,), (), 2))[0])


def test_runs_that_have_no_steps_in_common_have_no_entries(tmp_path):
    plain, grouped = series_of(tmp_path / "a", "oappo"), series_of(tmp_path / "b", "seps", 8192)
    assert common_steps(Outcome(FIGURE_3B, (plain, grouped), (), 2)) == []
