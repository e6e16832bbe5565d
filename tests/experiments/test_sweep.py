import json
import os
import pickle
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from experiments import evaluate, export, run, sweep
from experiments.analysis.ranking import describe_preset
from experiments.analysis.reading import read_result
from experiments.training.folder.files import write_json
from experiments.training.settings.command_line import parse
from experiments.training.settings.config_file import describe_experiment
from experiments.training.settings.experiment import build
from experiments.training.settings.search import natural_order
from experiments.training.settings.stored import stored_options
from tests.experiments.made_up_runs import change_json
from tests.experiments.trained_run import TINY, shared_programs

SMALL = [*TINY, "--seeds", "2"]
WHOLE = [*SMALL, "--total-steps", "128"]
SEARCH = ["--search", "actor_lr=log:1e-4:1e-2", "ent_coef=uniform:0:0.1", "--points", "3"]
SEARCH += ["--algorithm", "happo"]


@pytest.fixture(scope="module", autouse=True)
def share_programs() -> Iterator[None]:
    with shared_programs():
        yield


BAD_SWEEPS = {
    "out of range": (["--search", "gamma=uniform:0.5:1.5"], "gamma"),
    "no option": (["--search", "gamma=0.9,1", "--point", "3"], "Did you mean --points?"),
    "not read": (["--search", "kl_threshold=log:0.01:1"], "not read by oappo"),
    "given as well": (["--search", "gamma=0.9,0.95", "--gamma", "0.9"], "it is searched"),
    "a grid beside it": (["--search", "gamma=0.9,0.95", "--ent-coef", "0", "1"], "one value"),
    "no such order": (["--search", "gamma=0.9,0.95", "--rank-order", "best"], "lowest"),
    "no such metric": (["--search", "gamma=0.9,0.95", "--rank-by", "beauty"], "success"),
    "no coefficient": (["--search", "schedule_updates=10,20"], "unknown coefficient"),
    "searched twice": (
        ["--search", "gamma=0.9,0.95", "--search", "ent_coef=0,1"],
        "expected --search once",
    ),
    "seed below zero": (["--search", "gamma=0.9,0.95", "--search-seed", "-1"], "search_seed"),
    "no points": (["--search", "gamma=0.9,0.95", "--points", "0"], "points"),
    "resume": (["--search", "gamma=0.9,0.95", "--resume", "x"], "holds no run"),
    "dry run": (["--search", "gamma=0.9,0.95", "--dry-run"], "a sweep has none"),
    "option of nobody": (["--search", "gamma=0.9,0.95", "--speed", "9"], "--speed"),
}


@pytest.mark.parametrize(("argv", "expected"), BAD_SWEEPS.values(), ids=BAD_SWEEPS.keys())
def test_a_sweep_that_makes_no_sense_leaves_nothing(argv, expected, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    assert expected in refused(capfd, lambda: sweep.main([*WHOLE, *argv]))
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["--rank-by", "length"], "lowest"),
        (["--rank-by", "success"], "highest"),
        ([], "highest"),
        (["--rank-by", "length", "--rank-order", "highest"], "highest"),
        (["--rank-order", "lowest"], "lowest"),
    ],
)
def test_a_sweep_states_which_values_are_the_best(argv, expected):
    command = ["--search", "gamma=0.9,0.95", *argv]
    options = sweep.read([*WHOLE, *command])
    assert describe_experiment(build(options))["sweep"]["rank_order"] == expected


def test_the_lowest_are_the_best_of_what_the_team_ought_to_avoid():
    lowest = ("conceded", "out", "lost", "length", "total_path_length", "ratio_dirty_tiles")
    highest = ("return", "success", "arrived", "optimality", "allies_left", "checkpoints")
    assert {natural_order(name) for name in lowest} == {"lowest"}
    assert {natural_order(name) for name in highest} == {"highest"}


def refused(capfd, command) -> str:
    """Returns what a command says that exits with 2."""
    with pytest.raises(SystemExit) as exit_:
        command()
    errors = " ".join(capfd.readouterr().err.replace("│", " ").split())
    assert exit_.value.code == 2 and "Traceback" not in errors
    return errors


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory, share_programs: None) -> Path:
    """A real sweep of three points and two seeds in one program."""
    out = tmp_path_factory.mktemp("sweep") / "out"
    assert sweep.main([*SEARCH, *WHOLE, "--out", str(out)]) == 0
    return out


def test_a_sweep_trains_all_points_and_ranks_them_in_a_table(swept: Path):
    summary = json.loads((swept / "summary.json").read_text())
    points = [point["hyperparameters"] for point in summary["points"]]
    assert len({point["actor_lr"] for point in points}) == 3
    assert all(1e-4 <= point["actor_lr"] <= 1e-2 for point in points)
    lines = (swept / "table.md").read_text().splitlines()
    assert lines[2].startswith("| rank | point | actor_lr | ent_coef | return, last tenth |")
    scores = [float(line.split("|")[5].split()[0]) for line in lines[4:]]
    assert len(scores) == 3 and scores == sorted(scores, reverse=True)
    best = json.loads((swept / "preset.json").read_text())["hyperparameters"]
    point = summary["best_point"]
    assert lines[4].startswith(f"| 1 | {point} | {best['actor_lr']:g} | {best['ent_coef']:g} |")


def test_a_sweep_evaluates_and_exports_like_every_run(swept: Path):
    assert evaluate.main([str(swept), "--episodes", "4"]) == 0
    best = json.loads((swept / "summary.json").read_text())["best_point"]
    assert json.loads((swept / "evaluation.json").read_text())["point"] == best
    assert export.main([str(swept), "--point", "2", "--seed", "1"]) == 0
    with zipfile.ZipFile(swept / "policy.zip") as archive:
        specs = json.loads(archive.read("specs.json"))
    config = json.loads((swept / "config.json").read_text())
    assert specs["hyperparameters"] == config["points"][2] and specs["seed"] == 1


def test_a_sweep_that_was_stopped_goes_on_to_the_bit(swept: Path, tmp_path: Path):
    out = tmp_path / "out"
    shorter = [*SMALL, "--total-steps", "64"]  # One update of two.
    assert sweep.main([*SEARCH, *shorter, "--out", str(out)]) == 0
    assert run.main(["--resume", str(out), "--total-steps", "128"]) == 0
    for name in ("metrics.csv", "table.md"):
        assert (out / name).read_bytes() == (swept / name).read_bytes(), name
    preset = json.loads((out / "preset.json").read_text())
    assert preset == json.loads((swept / "preset.json").read_text())


def test_a_sweep_ranked_by_what_is_not_reported_any_more_can_be_read(swept: Path, tmp_path: Path):
    config = json.loads((swept / "config.json").read_text())
    config["sweep"]["rank_by"] = "beauty"
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert len(build(stored_options(tmp_path)).points) == 3


def test_what_is_searched_cannot_be_changed_on_resuming(swept: Path, capfd):
    argv = ["--resume", str(swept), "--actor-lr", "0.1", "--total-steps", "192"]
    assert "actor_lr: it is searched" in refused(capfd, lambda: run.main(argv))


def test_a_point_that_diverges_comes_last_and_the_others_go_on(tmp_path, capfd):
    out = tmp_path / "out"
    search = ["--search", "ent_coef=1e38,0.01", "--method", "grid"]
    assert sweep.main([*search, *WHOLE, "--out", str(out)]) == 0
    output, errors = capfd.readouterr()
    assert "1 of 2 points diverged" in errors and "ent_coef=1e+38" in errors
    first, last = (out / "table.md").read_text().splitlines()[4:]
    assert first.startswith("| 1 | 1 | 0.01 |") and last.startswith("| 2 | 0 | 1e+38 | diverged |")
    assert "diverged" in output and json.loads((out / "summary.json").read_text())["completed"]
    # As if the other point had not been there.
    alone = tmp_path / "alone"
    assert run.main([*WHOLE, "--ent-coef", "0.01", "--out", str(alone)]) == 0
    sound = read_result(out).log.columns["episode/return"][:, 1]
    np.testing.assert_array_equal(sound, read_result(alone).log.columns["episode/return"][:, 0])


def test_a_sweep_of_which_nothing_is_left_stops(tmp_path, capfd):
    out = tmp_path / "out"
    search = ["--search", "ent_coef=1e38,2e38", "--method", "grid"]
    assert sweep.main([*search, *WHOLE, "--out", str(out)]) == 1
    errors = capfd.readouterr().err
    assert "no point is left" in errors and "--resume" not in errors
    assert not (out / "preset.json").exists()


def test_the_preset_says_all_that_the_best_point_was_trained_with(swept: Path):
    options = parse(["--preset", str(swept / "preset.json"), "--seeds", "2"])
    experiment = build(options)
    config = json.loads((swept / "config.json").read_text())
    assert options.run.env == "maze" and options.run.algorithm == "happo"
    assert experiment.env_options == config["env_options"]
    assert experiment.env_options["time_limit"] == 12
    trained = experiment.config
    assert (trained.num_envs, trained.hidden_sizes, trained.num_updates) == (4, (8,), 2)
    assert experiment.points[0] in config["points"]


def test_a_preset_says_how_long_schedules_are_if_they_end_sooner_than_the_sweep(tmp_path):
    out = tmp_path / "sweep"
    argv = ["--search", "actor_lr_end=0,1e-4", "--algorithm", "happo", "--out", str(out)]
    assert sweep.main([*WHOLE, *argv, "--schedule-steps", "64"]) == 0
    longer = ["--preset", str(out / "preset.json"), "--total-steps", "256"]
    experiment = build(parse(longer))
    assert experiment.schedule_updates == 1 and [*experiment.hparams.ends()] == ["actor_lr"]
    # Those of a sweep that go over all of it are those of a longer run that go over all of that.
    result = read_result(out)
    change_json(out / "config.json", run=result.config["run"] | {"schedule_steps": 128})
    write_json(out / "preset.json", describe_preset(read_result(out).points[0]))
    assert build(parse(longer)).schedule_updates == 4


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
    "code for a setting": ({"config": {"num_envs": CODE}}, "num_envs"),
    "another option as a value": ({"env_option": ["--out", "harmed"]}, "env_option"),
    "a path": ({"out": "harmed"}, "out is no setting"),
    "a setting of nobody": ({"config": {"speed": 9}}, "speed is no setting"),
    "a coefficient of nobody": ({"hyperparameters": {"speed": 9}}, "speed is no setting"),
    "updates": ({"config": {"num_updates": 9}}, "num_updates is no setting"),
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
