"""Runs side by side, and what is refused of them."""

import shlex
import subprocess
import sys

import pytest

from experiments.analysis.comparison import describe_statistic, label_points, save_figure, table
from experiments.analysis.results import read_result
from experiments.compare import main
from experiments.training.errors import UsageError
from tests.experiments.faults import full_disk
from tests.experiments.made_up_runs import SIZES, change_json, write_run


def write(directory, algorithm, needed=10, env="maze", options=(), **changed):
    """A run that needs so many updates to the optimum; seed 1 needs ten more."""
    argv = ["--env", env, "--algorithm", algorithm, *SIZES, *options]
    # An update alone has episodes enough to show that a threshold is reached.
    changed = {"episode__count": 400.0} | changed
    write_run(argv, directory, lambda _, __, seed: needed + 10 * seed, **changed)
    return directory


def entries_of(*directories):
    return label_points([read_result(directory) for directory in directories])


def labels_of(*directories):
    return [entry.label for entry in entries_of(*directories)]


def test_runs_are_put_side_by_side(tmp_path):
    fast = write(tmp_path / "a", "oappo", 5)
    slow = write(tmp_path / "b", "happo", 10)
    entries = entries_of(fast, slow)
    lines = table(entries, threshold=0.9).splitlines()
    assert (
        lines[0] == "| run | seeds | success | return | length | steps to 0.9 success | reached |"
    )
    # Seed 0 has 9/10 after 9 of 10 updates, seed 1 ends with 10/20 after 320 steps.
    # An interval of two seeds reaches 12.706 x half their distance to either side: 203, 3.18, 286.
    assert lines[3].endswith(" | at least 304 [101, 507] | 1 of 2 |")
    assert lines[3].startswith("| happo | 2 | 0.75 [-2.43, 3.93] | 0.65 [-2.53, 3.83] | 32.5 [-253")
    save_figure(entries, tmp_path / "compare.png")
    assert (tmp_path / "compare.png").stat().st_size > 10_000


def test_runs_that_report_no_success_are_compared_by_their_returns(tmp_path):
    entries = entries_of(write(tmp_path / "a", "ippo", 1, episode__success=None))
    assert table(entries, threshold=0.9).splitlines()[0] == "| run | seeds | return | length |"
    save_figure(entries, tmp_path / "compare.png")
    assert (tmp_path / "compare.png").stat().st_size > 10_000


def test_grid_points_are_called_by_the_coefficients_that_differ(tmp_path):
    grid = ["--reuse-sigma", "0.1", "10", "--actor-lr", "0.001"]
    labels = labels_of(write(tmp_path / "a", "oappo", options=grid), write(tmp_path / "b", "happo"))
    assert labels == ["oappo reuse_sigma=0.1", "oappo reuse_sigma=10", "happo"]


def test_runs_of_one_algorithm_are_called_by_their_directories(tmp_path):
    first, second = (write(tmp_path / name, "oappo") for name in ("a", "b"))
    other = write(tmp_path / "c", "happo")
    assert labels_of(first, second, other) == ["oappo (a)", "oappo (b)", "happo"]
    namesake = write(tmp_path / "x" / "a", "oappo")
    assert labels_of(first, namesake) == [f"oappo (a) ({first})", f"oappo (a) ({namesake})"]


def test_what_one_seed_shows_has_no_interval():
    assert describe_statistic([5]) == "mean and 95% interval over 5 seeds"
    assert "interval over" not in describe_statistic([1])


def refused(monkeypatch, capfd, *arguments):
    monkeypatch.setattr(sys, "argv", ["compare.py", *map(str, arguments)])
    with pytest.raises(SystemExit) as exit_:
        main()
    assert exit_.value.code == 2
    return " ".join(capfd.readouterr().err.replace("│", " ").split())


def test_runs_on_different_environments_are_refused(tmp_path, monkeypatch, capfd):
    maze, large = (
        write(tmp_path / "a", "oappo"),
        write(tmp_path / "c", "oappo", options=["--env-option", "num_per_colour=4"]),
    )
    other = write(tmp_path / "b", "oappo")
    change_json(other / "config.json", environment="smax:3m")
    assert "same environment" in refused(monkeypatch, capfd, maze, other)
    assert "got maze; maze num_per_colour=4." in refused(monkeypatch, capfd, maze, large)


BAD_INPUT = {
    "no picture": (["--out", "x.txt"], "ends in .png or .pdf, got x.txt"),
    "no folder": (["--out", "nodir/x.png"], "can be written, got nodir/x.png"),
    "nan": (["--threshold", "nan"], "in (0, 1], got nan"),
    "more than all": (["--threshold", "5"], "in (0, 1], got 5"),
    "nothing": (["--threshold", "0"], "in (0, 1], got 0"),
}


@pytest.mark.parametrize(("argv", "expected"), BAD_INPUT.values(), ids=BAD_INPUT.keys())
def test_bad_input_is_a_usage_error(argv, expected, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    assert expected in refused(monkeypatch, capfd, tmp_path / "a", *argv)


def test_a_file_that_cannot_be_written_is_a_usage_error(tmp_path):
    (tmp_path / "folder.png").mkdir()
    entries = entries_of(write(tmp_path / "a", "oappo"))
    with pytest.raises(UsageError, match="can be written"):
        save_figure(entries, tmp_path / "folder.png")


def test_the_command_that_goes_on_can_be_pasted(tmp_path, capfd):
    directory = write(tmp_path / "my runs; a", "oappo")
    change_json(directory / "training.json", completed=False)
    assert main([str(directory), "--out", str(tmp_path / "compare.png")]) == 0
    command = capfd.readouterr().err.partition("experiments/run.py ")[2]
    assert shlex.split(command) == ["--resume", str(directory), "goes", "on"]


def test_a_full_disk_is_a_usage_error(tmp_path, monkeypatch, capfd):
    directory = write(tmp_path / "a", "oappo")
    with full_disk(5_000):
        message = refused(monkeypatch, capfd, directory, "--out", tmp_path / "compare.png")
    assert "can be written" in message


def test_a_run_that_is_not_complete_is_named(tmp_path):
    directory = write(tmp_path / "a", "oappo")
    change_json(directory / "training.json", completed=False)
    command = [sys.executable, "experiments/compare.py", str(directory)]
    result = subprocess.run(
        [*command, "--out", str(tmp_path / "compare.pdf")], capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    assert "is not complete: what is shown ends after 320 environment steps" in result.stderr
    assert "| oappo, unfinished | 2 |" in result.stdout
    assert (tmp_path / "compare.pdf").stat().st_size > 5_000
