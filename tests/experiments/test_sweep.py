import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from experiments import run, sweep
from experiments.analysis.results import read_result
from experiments.training.errors import UsageError
from experiments.training.folder.checkpoints import load_run
from experiments.training.settings.experiment import build
from experiments.training.settings.options import parse
from experiments.training.settings.preset_files import describe_preset
from experiments.training.settings.search import search_points

TINY = "--env maze --env-option num_per_colour=1 time_limit=12 --num-envs 4 --hidden-sizes 8"
TINY = f"{TINY} --rollout-length 16 --total-steps 128 --seeds 2".split()


def test_a_grid_takes_all_combinations_evenly_on_the_scale_of_each_range():
    points = search_points(["actor_lr=log:1e-4:1e-2", "gamma=uniform:0.9:0.98"], 3, "grid", 0)
    # Factors of 10, and steps of 0.04.
    expected = [(lr, gamma) for lr in (1e-4, 1e-3, 1e-2) for gamma in (0.9, 0.94, 0.98)]
    assert [(point["actor_lr"], point["gamma"]) for point in points] == expected


def test_random_points_are_in_range_repeatable_and_even_in_the_logarithm():
    searches = ["reuse_sigma=log:0.01:1", "gamma=0.9,0.99"]
    points = search_points(searches, 400, "random", 0)
    assert points == search_points(searches, 400, "random", 0)
    assert points != search_points(searches, 400, "random", 1)
    sigma = np.array([point["reuse_sigma"] for point in points])
    assert sigma.min() >= 0.01 and sigma.max() <= 1
    # Half of them below the geometric mean: 200 with standard deviation 10.
    assert abs(np.sum(sigma < 0.1) - 200) < 40
    assert {point["gamma"] for point in points} == {0.9, 0.99}


LISTS = ["gamma=0.9,0.95,0.99", "ent_coef=0,0.01"]


def test_lists_that_are_tried_at_random_are_tried_without_repeats():
    everything = search_points(LISTS, 1, "grid", 0)
    assert len(everything) == 6  # 3 x 2.
    assert search_points(LISTS, 6, "random", 0) == everything
    assert search_points(LISTS, 5000, "random", 0) == everything
    some = search_points(LISTS, 5, "random", 0)
    assert len({tuple(point.values()) for point in some}) == len(some) == 5
    assert all(point in everything for point in some)
    assert some != search_points(LISTS, 5, "random", 1)


BAD_SEARCHES = {
    "nothing": ([], "expected at least one"),
    "no range": (["gamma"], "NAME=log:LOW:HIGH"),
    "unknown name": (["learning_rate=log:1:2"], "actor_lr"),
    "unknown scale": (["gamma=cubic:0.1:0.2"], "scale log or uniform"),
    "no numbers": (["gamma=log:a:b"], "NAME=log:LOW:HIGH"),
    "one bound": (["gamma=log:0.1"], "NAME=log:LOW:HIGH"),
    "empty range": (["gamma=uniform:0.9:0.9"], "LOW < HIGH"),
    "log of zero": (["ent_coef=log:0:1"], "LOW above 0"),
    "endless": (["ent_coef=uniform:0:inf"], "LOW < HIGH"),
    "twice": (["gamma=0.9,0.99", "gamma=0.5,0.6"], "gamma again"),
    "equal values": (["gamma=0.9,0.9"], "values that differ"),
    "too many": ([f"{n}=uniform:0.1:0.2" for n in ("gamma", "actor_lr", "ent_coef")], "at most"),
}


@pytest.mark.parametrize(("searches", "expected"), BAD_SEARCHES.values(), ids=BAD_SEARCHES.keys())
def test_a_search_that_makes_no_sense_is_refused(searches, expected):
    with pytest.raises(UsageError, match=expected):
        search_points(searches, 20, "grid", 0)


BAD_SWEEPS = {
    "out of range": (["--search", "gamma=uniform:0.5:1.5"], "gamma"),
    "not read": (["--search", "kl_threshold=log:0.01:1"], "not read by oappo"),
    "given as well": (["--search", "gamma=0.9,0.95", "--gamma", "0.9"], "it is searched"),
    "a grid beside it": (["--search", "gamma=0.9,0.95", "--ent-coef", "0", "1"], "one value"),
    "no such metric": (["--search", "gamma=0.9,0.95", "--rank-by", "beauty"], "success"),
    "searched twice": (
        ["--search", "gamma=0.9,0.95", "--search", "ent_coef=0,1"],
        "expected --search once",
    ),
    "seed below zero": (["--search", "gamma=0.9,0.95", "--search-seed", "-1"], "search_seed"),
    "no points": (["--search", "gamma=0.9,0.95", "--points", "0"], "points"),
    "resume": (["--search", "gamma=0.9,0.95", "--resume", "x"], "cannot be resumed"),
    "dry run": (["--search", "gamma=0.9,0.95", "--dry-run"], "a sweep has none"),
    "option of nobody": (["--search", "gamma=0.9,0.95", "--speed", "9"], "--speed"),
}


@pytest.mark.parametrize(("argv", "expected"), BAD_SWEEPS.values(), ids=BAD_SWEEPS.keys())
def test_a_sweep_that_makes_no_sense_leaves_nothing(argv, expected, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    assert expected in refused(capfd, lambda: sweep.main([*TINY, *argv]))
    assert not os.listdir(tmp_path)


def refused(capfd, command) -> str:
    """Returns what a command says that exits with 2."""
    with pytest.raises(SystemExit) as exit_:
        command()
    errors = " ".join(capfd.readouterr().err.replace("│", " ").split())
    assert exit_.value.code == 2 and "Traceback" not in errors
    return errors


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real sweep of three points and two seeds in one program."""
    out = tmp_path_factory.mktemp("sweep") / "out"
    search = ["--search", "actor_lr=log:1e-4:1e-2", "ent_coef=uniform:0:0.1", "--points", "3"]
    happo = ["--algorithm", "happo", "--out", str(out)]
    assert sweep.main([*search, *TINY, *happo]) == 0
    return out


def test_a_sweep_trains_all_points_and_ranks_them_in_a_table(swept: Path):
    summary = json.loads((swept / "summary.json").read_text())
    points = [point["hyperparameters"] for point in summary["points"]]
    assert len({point["actor_lr"] for point in points}) == 3
    assert all(1e-4 <= point["actor_lr"] <= 1e-2 for point in points)
    lines = (swept / "table.md").read_text().splitlines()
    assert lines[2].startswith("| rank | actor_lr | ent_coef | return, last tenth |")
    scores = [float(line.split("|")[4].split()[0]) for line in lines[4:]]
    assert len(scores) == 3 and scores == sorted(scores, reverse=True)
    best = json.loads((swept / "preset.json").read_text())["hyperparameters"]
    assert lines[4].startswith(f"| 1 | {best['actor_lr']:g} | {best['ent_coef']:g} |")


def test_a_sweep_is_not_taken_for_a_run_and_its_preset_is_pointed_at(swept: Path, capfd):
    errors = refused(capfd, lambda: run.main(["--resume", str(swept)]))
    assert "holds a sweep" in errors and "damaged" not in errors
    preset = swept / "preset.json"
    with pytest.raises(UsageError, match=rf"holds a sweep.* --preset {preset}"):
        load_run(swept)  # As evaluate.py and export.py do.


def test_a_point_that_diverges_comes_last_and_the_others_go_on(tmp_path, capfd):
    out = tmp_path / "out"
    search = ["--search", "ent_coef=1e38,0.01", "--method", "grid"]
    assert sweep.main([*search, *TINY, "--out", str(out)]) == 0
    output, errors = capfd.readouterr()
    assert "1 of 2 points diverged" in errors and "ent_coef=1e+38" in errors
    first, last = (out / "table.md").read_text().splitlines()[4:]
    assert first.startswith("| 1 | 0.01 |") and last.startswith("| 2 | 1e+38 | diverged |")
    assert "diverged" in output and json.loads((out / "summary.json").read_text())["completed"]
    # As if the other point had not been there.
    alone = tmp_path / "alone"
    assert run.main([*TINY, "--ent-coef", "0.01", "--out", str(alone)]) == 0
    sound = read_result(out).columns["episode/return"][:, 1]
    np.testing.assert_array_equal(sound, read_result(alone).columns["episode/return"][:, 0])


def test_a_sweep_of_which_nothing_is_left_stops(tmp_path, capfd):
    out = tmp_path / "out"
    search = ["--search", "ent_coef=1e38,2e38", "--method", "grid"]
    assert sweep.main([*search, *TINY, "--out", str(out)]) == 1
    errors = capfd.readouterr().err
    assert "no point is left" in errors and "--resume" not in errors
    assert not (out / "preset.json").exists()


def test_the_preset_says_all_that_the_best_point_was_trained_with(swept: Path):
    options = parse(["--preset", str(swept / "preset.json"), "--seeds", "2"])
    experiment = build(options)
    config = json.loads((swept / "config.json").read_text())
    assert options.run.env == "maze" and options.run.algorithm == "happo"
    assert experiment.env_options == {"num_per_colour": 1, "time_limit": 12}
    trained = experiment.config
    assert (trained.num_envs, trained.hidden_sizes, trained.num_updates) == (4, (8,), 2)
    assert experiment.points[0] in config["points"]
    # Written again it is the same file.
    again = json.loads(json.dumps(describe_preset(experiment, 0)))
    assert again == json.loads((swept / "preset.json").read_text())


def test_options_that_are_given_count_more_than_the_preset(swept: Path):
    given = ["--num-envs", "8", "--ent-coef", "0.5", "--algorithm", "mappo"]
    for argv in (["--preset", str(swept / "preset.json"), *given], [*given, "--preset"]):
        argv = argv if argv[-1] != "--preset" else [*argv, str(swept / "preset.json")]
        experiment = build(parse(argv))
        assert experiment.config.num_envs == 8 and experiment.config.rollout_length == 16
        assert experiment.points[0]["ent_coef"] == 0.5
        assert experiment.algorithm.name == "mappo"


class Malicious:
    def __reduce__(self):
        return os.system, ("touch harmed",)


CODE = "__import__('os').system('touch harmed')"
BAD_PRESETS = {
    "a pickle": (pickle.dumps(Malicious()), "no preset"),
    "code for a name": ({"env": CODE}, "Expected the name"),
    "code for an option": ({"env_option": [f"num_per_colour={CODE}"]}, "num_per_colour"),
    "code for a number": ({"hyperparameters": {"gamma": CODE}}, "gamma"),
    "code for a setting": ({"config": {"num_envs": CODE}}, "num-envs"),
    "another option as a value": ({"env_option": ["--out", "harmed"]}, "env_option"),
    "a path": ({"out": "harmed"}, "out, which is no setting"),
    "a setting of nobody": ({"config": {"speed": 9}}, "config.speed"),
    "a coefficient of nobody": ({"hyperparameters": {"speed": 9}}, "hyperparameters.speed"),
    "updates": ({"config": {"num_updates": 9}}, "config.num_updates"),
    "an object for a value": ({"config": {"num_envs": {"a": 1}}}, "num_envs"),
    "a number out of range": ({"hyperparameters": {"gamma": 2}}, "gamma"),
    "not a number": (b'{"hyperparameters": {"gamma": NaN}}', "gamma"),
    "a group that is none": ({"config": [1]}, "object"),
    "a list": ([1], "object"),
    "a bottomless pit": (b"[" * 50_000, "no preset"),
    "a flood": (b" " * 200_000, "more than 100,000 bytes"),
    "nothing": (b"", "no preset"),
}


@pytest.mark.parametrize(("content", "expected"), BAD_PRESETS.values(), ids=BAD_PRESETS.keys())
def test_a_bad_preset_is_a_usage_error_that_harms_nothing(
    content, expected, tmp_path, monkeypatch, capfd
):
    monkeypatch.chdir(tmp_path)
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    Path("preset.json").write_bytes(raw)
    assert expected in refused(capfd, lambda: run.main(["--preset", "preset.json"]))
    assert os.listdir(tmp_path) == ["preset.json"]


def test_a_preset_that_is_missing_or_stands_beside_resume_is_a_usage_error(tmp_path, capfd):
    missing = ["--preset", str(tmp_path / "none.json")]
    assert "cannot read" in refused(capfd, lambda: run.main(missing))
    beside = [*missing, "--resume", str(tmp_path)]
    assert "only for a new run" in refused(capfd, lambda: run.main(beside))
