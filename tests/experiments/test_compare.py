import json
import subprocess
import sys

import numpy as np
import pytest

from experiments.analysis.curves import Curve
from experiments.analysis.finished import labelled_points, read_run
from experiments.analysis.summary import describe
from experiments.compare import main, save_figure, statistic_text, steps_to, table
from experiments.training.errors import UsageError


def write_run(directory, algorithm, success, environment="maze", **env_options):
    """A run of two seeds with one environment each: one episode of length 2 per update."""
    directory.mkdir()
    config = {"config": {"num_envs": 1, "rollout_length": 2}, "env_options": env_options}
    (directory / "config.json").write_text(json.dumps(config))
    ends = {name: describe(np.array([1.0, 1.0])) for name in ("return", "length")}
    ends["success"] = describe(np.array([success[-1]] * 2))
    summary = {
        "environment": environment,
        "algorithm": algorithm,
        "seeds": [0, 1],
        "env_steps": 2 * len(success),
        "completed": True,
        "points": [{f"episode/{name}": value for name, value in ends.items()}],
    }
    (directory / "summary.json").write_text(json.dumps(summary))
    rows = ["episode/count,episode/success,episode/return,episode/length"]
    rows += [f"1.0,{value},1.0,2.0" for value in success for _ in range(2)]
    (directory / "metrics.csv").write_text("\n".join(rows) + "\n")
    return directory


def test_runs_are_read_back_and_put_side_by_side(tmp_path):
    fast = write_run(tmp_path / "a", "oappo", [0.0, 1.0, 1.0])
    slow = write_run(tmp_path / "b", "happo", [0.0, 0.5, 0.8])
    runs = [read_run(fast), read_run(slow)]
    np.testing.assert_allclose(runs[1].curves[0]["success"].mean, [0.0, 0.5, 0.8])
    # The second update of 1 x 2 steps is the first with success for good; the other never is.
    lines = table(runs, threshold=0.9).splitlines()
    assert lines[2] == "| oappo | 2 | 1 [1, 1] | 1 [1, 1] | 1 [1, 1] | 4 |"
    assert lines[3].endswith("| not in 6 |")
    save_figure(runs, tmp_path / "compare.png")
    assert (tmp_path / "compare.png").stat().st_size > 10_000


def test_runs_that_tell_of_no_success_are_compared_by_their_returns(tmp_path):
    directory = write_run(tmp_path / "a", "ippo", [0.0, 1.0])
    for name in ("summary.json", "metrics.csv"):
        path = directory / name
        path.write_text(path.read_text().replace("episode/success", "episode/other"))
    runs = [read_run(directory)]
    assert table(runs, threshold=0.9).splitlines() == [
        "| run | seeds | return | length |",
        "|---|---|---|---|",
        "| ippo | 2 | 1 [1, 1] | 1 [1, 1] |",
    ]
    save_figure(runs, tmp_path / "compare.png")
    assert (tmp_path / "compare.png").stat().st_size > 10_000


def test_the_threshold_is_reached_when_the_curve_stays_above_it():
    mean = np.array([0.95, 0.5, 0.9, 0.92])
    curve = Curve(np.array([10, 20, 30, 40]), mean, mean, mean)
    assert steps_to(curve, 0.9) == 30
    assert steps_to(curve, 0.3) == 10
    assert steps_to(curve, 0.99) is None


def write_grid(directory, *grid):
    """A run with a point for each of these coefficients."""
    write_run(directory, "oappo", [0.0, 1.0])
    path = directory / "summary.json"
    summary = json.loads(path.read_text())
    summary["points"] = [summary["points"][0] | {"hyperparameters": point} for point in grid]
    path.write_text(json.dumps(summary))
    head, *rows = (directory / "metrics.csv").read_text().splitlines()
    repeated = [row for update in (rows[:2], rows[2:]) for row in update * len(grid)]
    (directory / "metrics.csv").write_text("\n".join([head, *repeated]) + "\n")
    return directory


def labels_of(*directories):
    return [label for label, _, _ in labelled_points([read_run(one) for one in directories])]


def test_grid_points_are_called_by_the_coefficients_that_differ(tmp_path):
    grid = [{"reuse_sigma": sigma, "actor_lr": 0.001} for sigma in (0.1, 10.0)]
    labels = labels_of(write_grid(tmp_path / "a", *grid), write_run(tmp_path / "b", "happo", [1]))
    assert labels == ["oappo reuse_sigma=0.1", "oappo reuse_sigma=10", "happo"]


def test_runs_of_one_algorithm_are_called_by_their_directories(tmp_path):
    (tmp_path / "x").mkdir()
    first, second = (write_run(tmp_path / name, "oappo", [1.0]) for name in ("a", "b"))
    other = write_run(tmp_path / "c", "happo", [1.0])
    assert labels_of(first, second, other) == ["oappo (a)", "oappo (b)", "happo"]
    namesake = write_run(tmp_path / "x" / "a", "oappo", [1.0])
    assert labels_of(first, namesake) == [f"oappo (a) ({first})", f"oappo (a) ({namesake})"]


def test_what_one_seed_shows_has_no_interval():
    assert statistic_text({5}) == "mean and 95% interval over 5 seeds"
    assert "interval over" not in statistic_text({1})


def compare(*arguments):
    command = [sys.executable, "experiments/compare.py", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def refused(monkeypatch, capfd, *arguments):
    monkeypatch.setattr(sys, "argv", ["compare.py", *map(str, arguments)])
    with pytest.raises(SystemExit) as exit_:
        main()
    assert exit_.value.code == 2
    return " ".join(capfd.readouterr().err.replace("│", " ").split())


def test_a_directory_without_a_finished_run_is_refused(tmp_path):
    with pytest.raises(UsageError, match="holds no finished run"):
        read_run(tmp_path)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *(("summary.json", text) for text in ("{}", "[]", "7", '{"points": [], "seeds": [0]}')),
        ("summary.json", '{"points": [1], "seeds": [0, 1], "environment": "maze"}'),
        ("summary.json", '{"points": [{"hyperparameters": 1}], "seeds": [0, 1]}'),
        ("config.json", "{}"),
        ("config.json", "[]"),
        ("metrics.csv", "episode/count\n1\n1\n1\n"),
        ("metrics.csv", "update\n1\n1\n"),
    ],
)
def test_files_that_are_no_run_are_refused(name, text, tmp_path):
    directory = write_run(tmp_path / "a", "oappo", [1.0])
    (directory / name).write_text(text)
    with pytest.raises(UsageError):
        read_run(directory)


def test_runs_on_different_environments_are_refused(tmp_path, monkeypatch, capfd):
    maze, smax, large = (
        write_run(tmp_path / "a", "oappo", [1.0]),
        write_run(tmp_path / "b", "oappo", [1.0], environment="smax:3m"),
        write_run(tmp_path / "c", "oappo", [1.0], num_per_colour=4),
    )
    assert "same environment" in refused(monkeypatch, capfd, maze, smax)
    assert "got maze; maze num_per_colour=4." in refused(monkeypatch, capfd, maze, large)


BAD_INPUT = {
    "no picture": (["--out", "x.txt"], "ends in .png or .pdf, got x.txt"),
    "no folder": (["--out", "nodir/x.png"], "directory that exists, got nodir/x.png"),
    "nan": (["--threshold", "nan"], "in (0, 1], got nan"),
    "more than all": (["--threshold", "5"], "in (0, 1], got 5"),
    "nothing": (["--threshold", "0"], "in (0, 1], got 0"),
}


@pytest.mark.parametrize(("argv", "expected"), BAD_INPUT.values(), ids=BAD_INPUT.keys())
def test_bad_input_is_a_usage_error(argv, expected, tmp_path, monkeypatch, capfd):
    directory = write_run(tmp_path / "a", "oappo", [1.0])
    monkeypatch.chdir(tmp_path)
    assert expected in refused(monkeypatch, capfd, directory, *argv)


def test_a_file_that_cannot_be_written_is_a_usage_error(tmp_path):
    (tmp_path / "folder.png").mkdir()
    runs = [read_run(write_run(tmp_path / "a", "oappo", [1.0]))]
    with pytest.raises(UsageError, match="can be written"):
        save_figure(runs, tmp_path / "folder.png")


def test_a_run_that_is_not_complete_is_told(tmp_path):
    directory = write_run(tmp_path / "a", "oappo", [0.5, 1.0])
    path = directory / "summary.json"
    path.write_text(path.read_text().replace('"completed": true', '"completed": false'))
    result = compare(directory, "--out", tmp_path / "compare.pdf")
    assert result.returncode == 0, result.stderr
    assert "is not complete: what is shown ends after 4 environment steps" in result.stderr
    assert "| oappo, unfinished | 2 |" in result.stdout
    assert (tmp_path / "compare.pdf").stat().st_size > 5_000
