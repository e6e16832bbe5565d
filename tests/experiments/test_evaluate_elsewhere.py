"""Playing a trained team in another environment than its own."""

import json
import sys

import pytest

from envs.grf import env as grf_env
from experiments import evaluate
from tests.envs.made_up_match import SCENARIO, MadeUpMatch
from tests.experiments.trained_run import make_trained_run

EPISODES = 5
TIME_LIMIT = 12
ARGV = (
    f"--env football:{SCENARIO} --env-option time_limit={TIME_LIMIT} --num-envs 4 --hidden-sizes 8 "
    "--rollout-length 16 --total-steps 192 --seeds 2 --seed 3 --reuse-sigma 0.1 10"
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Directory of a run on academy football."""
    directory = tmp_path_factory.mktemp("transfer") / "run"
    make_trained_run(directory, ARGV)
    return directory


def play(directory, *argv):
    assert evaluate.main([str(directory), "--episodes", str(EPISODES), *argv]) == 0
    return json.loads((directory / "transfer.json").read_text())


def test_the_same_environment_gives_the_same_figures_and_those_of_evaluate(trained, capsys):
    result = play(trained, "--env", f"football:{SCENARIO}")
    shown = capsys.readouterr().out
    assert result["home"] == result["other"]
    assert result["home"]["env_options"] == {"time_limit": TIME_LIMIT}
    assert result["seeds"] == [3, 4] and result["intervals"] == "over seeds"
    assert evaluate.main([str(trained), "--episodes", str(EPISODES)]) == 0
    told = json.loads((trained / "evaluation.json").read_text())
    for name, metric in told["metrics"].items():
        assert result["home"]["metrics"][name]["mean"] == pytest.approx(metric["mean"], rel=1e-5)
        (row,) = (line.split() for line in shown.splitlines() if line.split()[:1] == [name])
        assert float(row[1]) == pytest.approx(metric["mean"], abs=1e-3)


def test_options_given_count_more_than_those_of_the_run(trained, monkeypatch):
    monkeypatch.setattr(grf_env, "Match", MadeUpMatch)
    options = ["first_team=left", "time_limit=4"]
    result = play(trained, "--env", f"grf:{SCENARIO}", "--env-option", *options)
    assert result["other"]["environment"] == f"grf:{SCENARIO}"
    assert result["other"]["env_options"] == {"first_team": "left", "time_limit": 4}
    assert result["home"]["env_options"] == {"time_limit": TIME_LIMIT}
    # A made-up match goes on for at least 5 steps.
    assert result["other"]["metrics"]["length"]["per_seed"] == [4, 4]
    assert result["other"]["metrics"]["success"]["mean"] == 0


BAD_INPUT = {
    "other agents": (
        ["--env", "football:academy_pass_and_shoot_with_keeper"],
        "which has 2 agents, not 3 and",
    ),
    "other views": (
        ["--env", f"football:{SCENARIO}", "--env-option", "observation=simple115v2"],
        "115 features of a view, not 52",
    ),
    "no such environment": (["--env", "football:none"], "Expected the name of an environment"),
    "no such option": (
        ["--env", f"football:{SCENARIO}", "--env-option", "weather=wet"],
        "has no weather",
    ),
    "no engine": (["--env", f"grf:{SCENARIO}"], "gfootball==2.10.2"),
    "no episode": (["--env", f"football:{SCENARIO}", "--episodes", "0"], "got 0"),
    "no such point": (["--env", f"football:{SCENARIO}", "--point", "2"], "[0, 1], got 2"),
}


@pytest.mark.parametrize(("argv", "expected"), BAD_INPUT.values(), ids=BAD_INPUT.keys())
def test_bad_input_is_a_usage_error(trained, argv, expected, monkeypatch, capfd):
    monkeypatch.setitem(sys.modules, "gfootball_engine", None)
    with pytest.raises(SystemExit) as exit_:
        evaluate.main([str(trained), *argv])
    errors = " ".join(capfd.readouterr().err.replace("│", " ").split())
    assert exit_.value.code == 2, errors
    assert expected in errors and "Traceback" not in errors
