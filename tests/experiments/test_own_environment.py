"""An environment of one's own on the command line: trained by its file, and found again."""

import hashlib
import json
from pathlib import Path
from unittest import mock

import pytest

from experiments import evaluate, run
from experiments.training.errors import UsageError
from experiments.training.folder.directory import default_directory
from experiments.training.packing import describe_team
from experiments.training.settings.command_line import parse
from experiments.training.settings.config_file import describe_experiment
from experiments.training.settings.defaults import get_preset
from experiments.training.settings.experiment import build
from experiments.training.settings.stored import read_preset, stored_options
from experiments.training.team import load_team, save_replay
from tests.experiments.trained_run import LANES, TINY, make_trained_run

TEXT = """
from envs.maze import Maze

def make(num_per_colour: int = 1, time_limit: int = 12, layout: str = ""):
    return Maze("black-red", num_per_colour=num_per_colour, time_limit=time_limit, layout=layout)
"""
ARGV = [{"maze": "mine.py:make"}.get(word, word) for word in TINY]


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A folder with the file, and the run that it has made from there."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "mine.py").write_text(TEXT)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        make_trained_run(folder / "run", [*ARGV, *LANES, "--total-steps", "192"])
    return folder


def test_the_record_says_where_it_came_from_and_a_run_finds_it_from_anywhere(own, capfd):
    config = json.loads((own / "run" / "config.json").read_text())
    name = f"{own}/mine.py:make"
    assert config["environment"] == config["run"]["env"] == name
    assert config["environment_source"]["file"] == f"{own}/mine.py"
    assert config["env_spec"] == {
        "num_agents": 2,
        "num_actions": 5,
        "view_size": 63,
        "state_size": config["env_spec"]["state_size"],
        "is_continuous": False,
    }
    experiment = build(stored_options(own / "run"))  # From the directory of the tests.
    assert experiment.options.run.env == name and capfd.readouterr().err == ""
    assert evaluate.main([str(own / "run"), "--episodes", "4"]) == 0
    told = json.loads((own / "run" / "evaluation.json").read_text())
    assert told["environment"] == name
    about = describe_team(load_team(own / "run"), 0, 0)
    assert about["environment"] == "mine.py:make" and str(own) not in json.dumps(about)


def test_the_record_is_of_the_code_that_trains_whatever_is_typed_meanwhile(own, monkeypatch):
    monkeypatch.chdir(own)
    before = (own / "mine.py").read_bytes()
    experiment = build(parse([*ARGV, "--total-steps", "192"]))
    try:
        (own / "mine.py").write_text("def make(:")
        source = describe_experiment(experiment)["environment_source"]
    finally:
        (own / "mine.py").write_bytes(before)
    assert source["sha256"] == hashlib.sha256(before).hexdigest()


def test_a_drawing_that_fails_is_named_and_a_stop_is_no_failure(own, tmp_path, monkeypatch):
    team = load_team(own / "run")
    trainer, path = team.experiment.trainer, tmp_path / "a.gif"
    monkeypatch.setattr("experiments.training.team.play_episode", lambda *_: [])
    for error, expected in (
        (RuntimeError("no pencil"), (UsageError, r"^replay: .* Maze .* RuntimeError: no pencil")),
        (KeyboardInterrupt(), (KeyboardInterrupt, None)),
    ):
        monkeypatch.setattr(type(trainer.env), "animate", mock.Mock(side_effect=error))
        with pytest.raises(expected[0], match=expected[1]):
            save_replay(team, trainer, (0, 0), path)


def test_a_file_that_has_changed_is_said_and_one_that_is_missing_named(own, tmp_path, capfd):
    file = own / "mine.py"
    try:
        file.write_text(TEXT + "\n")
        stored_options(own / "run")
        assert f"Warning: {file}, which makes" in capfd.readouterr().err
        file.unlink()
        for main, argv in ((evaluate.main, []), (run.main, ["--resume"])):
            with pytest.raises(SystemExit, match="2"):
                main([*argv, str(own / "run")])
            errors = " ".join(capfd.readouterr().err.replace("│", " ").split())
            assert "which is missing; put it back" in errors and "Traceback" not in errors
    finally:
        file.write_text(TEXT)


@pytest.mark.parametrize("env", ["maze.py:make", "dir/maze.py:Maze", "mazes:make", "maze:x/a.py:b"])
def test_its_presets_are_those_of_the_library(env):
    assert get_preset(env, "oappo") == get_preset("somebody:else", "oappo")
    assert get_preset(env, "oappo") != get_preset("maze", "oappo")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("/home/me/a b/maze.py:make-oappo", "maze.make-oappo"),
        ("~/my maze.py:Maze-oappo", "my-maze.Maze-oappo"),
        ("pack.sub:make-oappo", "pack.sub-make-oappo"),
        ("smax:3m-happo", "smax-3m-happo"),
    ],
)
def test_the_folder_of_its_runs_has_a_plain_name(name, expected):
    assert default_directory(name).name[:-16] == expected  # What follows is the time.
    assert default_directory(name).parent == Path("runs")


def test_an_environment_that_cannot_be_trained_is_a_usage_error(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text("def make():\n    return 1\n")
    with pytest.raises(UsageError, match=r"what mine.py:make makes cannot be trained. num_agents"):
        build(parse(["--env", "mine.py:make"]))


def test_a_preset_runs_no_code_unless_it_is_asked_for(tmp_path):
    preset = tmp_path / "preset.json"
    for env in ("mine.py:make", "somebody:else", "os:system"):
        preset.write_text(json.dumps({"env": env}))
        with pytest.raises(UsageError, match=r"env: expected an environment of the library"):
            read_preset(preset)
        assert read_preset(preset, "mine.py:make")["env"] == env
