"""Statistics of a run's end, and what is the best of it."""

import json

import numpy as np
import pytest

from experiments.analysis.reading import read_result
from experiments.analysis.summary import describe, summarise
from experiments.training.folder.files import json_bytes
from tests.experiments.made_up_runs import SIZES, change_json, write_clusters, write_run

TINY = ["--env", "maze", *SIZES]


def test_statistics_of_five_seeds():
    described = describe(np.array([1.0, 2.0, 3.0, 4.0, 10.0]))
    assert described["mean"] == 4
    # Squared deviations 9 + 4 + 1 + 0 + 36 = 50, over n - 1 = 4.
    assert described["sd"] == pytest.approx(np.sqrt(12.5))
    # Cutting int(0.25 x 5) = 1 value at each end leaves 2, 3, 4.
    assert described["iqm"] == 3
    low, high = described["ci95"]
    # Student's t of 4 degrees of freedom times the standard error.
    reach = 2.7764 * np.sqrt(12.5 / 5)
    assert (low, high) == pytest.approx((4 - reach, 4 + reach), abs=1e-3)


def test_seeds_without_episodes_are_left_out():
    described = json.loads(json_bytes(describe(np.array([np.nan, 1.0]))))
    assert described == {"per_seed": [None, 1.0], "mean": 1.0, "sd": None, "iqm": 1.0, "ci95": None}
    assert describe(np.array([np.nan]))["mean"] is None
    json.dumps(described, allow_nan=False)


def test_a_summary_says_what_was_asked_and_what_came_of_it(tmp_path):
    write_run([*TINY, "--eval-every", "5"], tmp_path / "run", lambda _, __, seed: 20 - 10 * seed)
    summary = summarise(read_result(tmp_path / "run"))
    assert (summary["environment"], summary["algorithm"]) == ("maze", "oappo")
    assert summary["completed"] and summary["seeds"] == [0, 1] and summary["env_steps"] == 320
    assert summary["env_steps_per_second"] == 320 * 2 / 2.0
    assert summary["optimal_episode_length"] > 0
    (point,) = summary["points"]
    assert point["episode/success"]["per_seed"] == [0.5, 1.0]
    assert "episode/count" not in point and "kl_threshold" not in point["hyperparameters"]
    assert point["absolute"]["episodes"] == 320
    assert point["absolute"]["success"]["per_seed"] == [0.25, 0.5]
    assert (summary["best_point"], point["best_seed"]) == (0, 1)
    json.dumps(summary, allow_nan=False)


def test_the_best_has_the_highest_success_then_return_and_did_not_diverge(tmp_path):
    needed = {np.float32(0.1): 40, np.float32(0.2): 10, np.float32(0.3): 20}
    write_run(
        [*TINY, "--reuse-sigma", "0.1", "0.2", "0.3", "--seed", "7"],
        tmp_path / "run",
        lambda _, point, seed: needed[np.float32(point["reuse_sigma"])] + seed,
    )
    result = read_result(tmp_path / "run")
    summary = summarise(result)
    assert summary["best_point"] == 1
    assert [point["best_seed"] for point in summary["points"]] == [7, 7, 7]
    # Of equal success the higher return counts.
    result.log.columns["episode/success"][...] = 1.0
    result.log.columns["episode/return"][-1] = [[0, 1], [2, 3], [5, 4]]
    again = summarise(result)
    assert again["best_point"] == 2
    assert [point["best_seed"] for point in again["points"]] == [8, 8, 7]
    bad = [{"point": p, "seed": 7, "update": 3, "metric": "critic/loss"} for p in (0, 1, 2)]
    change_json(tmp_path / "run" / "training.json", diverged=bad[1:2])
    summary = summarise(read_result(tmp_path / "run"))
    assert summary["best_point"] == 2 and summary["diverged"] == bad[1:2]
    change_json(tmp_path / "run" / "training.json", diverged=bad)
    assert summarise(read_result(tmp_path / "run"))["best_point"] is None


def test_without_success_the_return_decides(tmp_path):
    write_run(TINY, tmp_path / "run", lambda _, __, seed: 20 - seed, episode__success=None)
    summary = summarise(read_result(tmp_path / "run"))
    assert (summary["best_point"], summary["points"][0]["best_seed"]) == (0, 1)


def test_how_agents_were_grouped_is_part_of_the_summary(tmp_path):
    write_run(TINY, tmp_path / "run", lambda *_: 5)
    clusters = write_clusters(tmp_path / "run", [[0] * 4] * 2)
    assert summarise(read_result(tmp_path / "run"))["seps"] == clusters
