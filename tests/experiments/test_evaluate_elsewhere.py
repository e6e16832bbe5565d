"""Playing a trained team in another environment than its own."""

import json
import sys
from pathlib import Path

import pytest

from envs.grf import env as grf_env
from experiments import evaluate
from tests.envs.made_up_match import SCENARIO, MadeUpMatch
from tests.experiments.trained_run import LANES, TINY, make_trained_run

EPISODES = 5
TIME_LIMIT = 12
FOOTBALL = f"football:{SCENARIO}"
SIZES = ["--num-envs", "4", "--hidden-sizes", "8", "--rollout-length", "16", "--total-steps", "192"]


@pytest.fixture(scope="module")
def in_maze(tmp_path_factory):
    """Directory of a run in the maze."""
    directory = tmp_path_factory.mktemp("maze") / "run"
    make_trained_run(directory, [*TINY, *LANES, "--total-steps", "192"])
    return directory


@pytest.fixture(scope="module")
def in_football(tmp_path_factory):
    """Directory of a run on academy football."""
    directory = tmp_path_factory.mktemp("football") / "run"
    env = ["--env", FOOTBALL, "--env-option", f"time_limit={TIME_LIMIT}"]
    make_trained_run(directory, [*env, *SIZES, *LANES])
    return directory


def play(directory, *argv):
    assert evaluate.main([str(directory), "--episodes", str(EPISODES), *argv]) == 0
    return json.loads((directory / "transfer.json").read_text())


@pytest.mark.parametrize(
    "run", ["in_maze", pytest.param("in_football", marks=pytest.mark.thorough)]
)
def test_the_same_environment_gives_the_same_figures_and_those_of_evaluate(run, request, capsys):
    directory = request.getfixturevalue(run)
    config = json.loads((directory / "config.json").read_text())
    result = play(directory, "--env", config["environment"])
    shown = capsys.readouterr().out
    assert result["home"] == result["other"]
    assert result["home"]["env_options"] == config["env_options"]
    assert result["home"]["env_options"]["time_limit"] == TIME_LIMIT
    assert result["seeds"] == [3, 4] and result["intervals"] == "over seeds"
    assert evaluate.main([str(directory), "--episodes", str(EPISODES)]) == 0
    told = json.loads((directory / "evaluation.json").read_text())
    for name, metric in told["metrics"].items():
        assert result["home"]["metrics"][name]["mean"] == pytest.approx(metric["mean"], rel=1e-5)
        (row,) = (line.split() for line in shown.splitlines() if line.split()[:1] == [name])
        assert float(row[1]) == pytest.approx(metric["mean"], abs=1e-3)


def test_options_given_count_more_than_those_of_the_run(in_maze):
    result = play(in_maze, "--env", "maze:black-red", "--env-option", "time_limit=2")
    home, other = result["home"], result["other"]
    assert home["env_options"]["time_limit"] == TIME_LIMIT
    assert other["environment"] == "maze:black-red"
    assert other["env_options"] == home["env_options"] | {"time_limit": 2}
    lengths = [side["metrics"]["length"]["per_seed"] for side in (home, other)]
    assert max(lengths[1]) <= 2 < min(lengths[0])


@pytest.mark.thorough
def test_options_given_count_more_in_matches_of_google_football_too(in_football, monkeypatch):
    monkeypatch.setattr(grf_env, "Match", MadeUpMatch)
    options = ["first_team=left", "time_limit=4"]
    result = play(in_football, "--env", f"grf:{SCENARIO}", "--env-option", *options)
    assert result["other"]["environment"] == f"grf:{SCENARIO}"
    assert result["other"]["env_options"] == {"first_team": "left", "time_limit": 4}
    assert result["home"]["env_options"] == {"time_limit": TIME_LIMIT}
    # A made-up match goes on for at least 5 steps.
    assert result["other"]["metrics"]["length"]["per_seed"] == [4, 4]
    assert result["other"]["metrics"]["success"]["mean"] == 0


def test_more_matches_than_engines_are_refused_before_they_are_played(
    in_football, monkeypatch, capfd
):
    monkeypatch.setattr(grf_env, "Match", MadeUpMatch)
    argv = ["--env", f"grf:{SCENARIO}", "--env-option", "max_engines=3", "--episodes", "9"]
    with pytest.raises(SystemExit, match="2"):
        evaluate.main([str(in_football), *argv])
    errors = " ".join(capfd.readouterr().err.replace("│", " ").split())
    # 4 of the 9 are played side by side, one per environment of the run.
    assert "episodes = 4: Expected at most max_engines = 3 episodes in progress, got 4" in errors


WRONG_REWARD = """
import jax.numpy as jnp
from envs.maze import Maze

class Wrong(Maze):
    def __init__(self, num_per_colour: int = 1):
        super().__init__("black-red", num_per_colour=num_per_colour)

    def reset(self, key):
        state, timestep = super().reset(key)
        return state, timestep.replace(reward=jnp.zeros(2))
"""
BAD_INPUT = {
    "other agents": (["--env", "maze:black-blue-red"], "which has 3 agents, not 2; choose"),
    "other views": (
        ["--env", "maze", "--env-option", "observe_agent_id=true"],
        "65 features of a view, not 63",
    ),
    "other family": (["--env", FOOTBALL], "which has 3 agents, not 2 and"),
    "no such environment": (["--env", "footbal:none"], "Expected the name of an environment"),
    "no such scenario": (["--env", "football:none"], "SCENARIO in football:SCENARIO"),
    "not as it must be": (["--env", "mine.py:Wrong"], "reward from reset: expected a floating"),
    "no such option": (["--env", "maze", "--env-option", "weather=wet"], "has no weather"),
    "no engine": (["--env", f"grf:{SCENARIO}"], "gfootball==2.10.2"),
    "no episode": (["--env", "maze", "--episodes", "0"], "got 0"),
    "no such point": (["--env", "maze", "--point", "2"], "[0, 1], got 2"),
}


@pytest.mark.parametrize(("argv", "expected"), BAD_INPUT.values(), ids=BAD_INPUT.keys())
def test_bad_input_is_a_usage_error(in_maze, argv, expected, monkeypatch, tmp_path, capfd):
    monkeypatch.setitem(sys.modules, "gfootball_engine", None)
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(WRONG_REWARD)
    with pytest.raises(SystemExit) as exit_:
        evaluate.main([str(in_maze), *argv])
    errors = " ".join(capfd.readouterr().err.replace("│", " ").split())
    assert exit_.value.code == 2, errors
    assert expected in errors and "Traceback" not in errors
