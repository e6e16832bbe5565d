import json
import subprocess
import sys

import numpy as np
import pytest

from experiments.compare import read_run, save_figure, steps_to, table
from experiments.errors import UsageError
from experiments.plots import Curve
from experiments.summary import describe


def write_run(directory, algorithm, success, environment="maze"):
    """A run of two seeds with one environment each: one episode of length 2 per update."""
    directory.mkdir()
    config = {"config": {"num_envs": 1, "rollout_length": 2}}
    (directory / "config.json").write_text(json.dumps(config))
    ends = {name: describe(np.array([1.0, 1.0])) for name in ("return", "length")}
    ends["success"] = describe(np.array([success[-1]] * 2))
    summary = {
        "environment": environment,
        "algorithm": algorithm,
        "seeds": [0, 1],
        "env_steps": 2 * len(success),
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


def test_a_directory_without_a_finished_run_is_refused(tmp_path):
    with pytest.raises(UsageError, match="holds no finished run"):
        read_run(tmp_path)


def test_runs_on_different_environments_are_refused(tmp_path):
    directories = [
        write_run(tmp_path / "a", "oappo", [1.0]),
        write_run(tmp_path / "b", "oappo", [1.0], environment="smax:3m"),
    ]
    result = subprocess.run(
        [sys.executable, "experiments/compare.py", *map(str, directories)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 2
    assert "same environment" in result.stderr
