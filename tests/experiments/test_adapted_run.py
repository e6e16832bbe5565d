"""Whole runs on environments of other libraries."""

import json

import pytest

from experiments import run

pytestmark = pytest.mark.slow
SMALL = ["--algorithm", "ippo", "--num-envs", "4", "--num-minibatches", "1", "--total-steps", "200"]
SMALL += ["--rollout-length", "16", "--hidden-sizes", "8"]


def test_an_environment_without_goal_or_viewer_shows_returns_and_says_that_nothing_is_drawn(
    tmp_path, capsys
):
    env = ["--env", "jaxmarl:MPE_simple_spread_v3", "--env-option", "max_steps=5"]
    assert run.main([*SMALL, *env, "--seeds", "2", "--out", str(tmp_path / "run")]) == 0
    output = capsys.readouterr().out
    assert "no replay.gif: jaxmarl:MPE_simple_spread_v3 has no viewer" in output
    assert "success" not in output and "return" in output
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert "curves.png" in names and "replay.gif" not in names
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["env_options"] == {"max_steps": 5}
    assert config["env_settings"]["reward"] == "mean"
    (point,) = json.loads((tmp_path / "run" / "summary.json").read_text())["points"]
    assert "episode/success" not in point
    # JaxMARL stops one step later than max_steps says.
    assert point["episode/length"]["mean"] == 6


def test_a_run_on_jumanji_is_drawn_by_its_viewer(tmp_path, capsys):
    env = ["--env", "jumanji:Cleaner-v0", "--env-option", "num_rows=3", "num_cols=3"]
    assert run.main([*SMALL, *env, "--out", str(tmp_path / "run")]) == 0
    assert "no replay.gif" not in capsys.readouterr().out
    assert (tmp_path / "run" / "replay.gif").read_bytes()[:4] == b"GIF8"
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["env_settings"]["reward"] == "sum"


def test_opponents_and_a_misspelt_option_are_usage_errors(tmp_path, capsys):
    directory = tmp_path / "run"
    for env, expected in (
        (["--env", "jaxmarl:MPE_simple_tag_v3"], "--env-option team=adversary"),
        (["--env", "jumanji:Cleaner-v0", "--env-option", "rows=3"], "expected one of reward"),
    ):
        with pytest.raises(SystemExit) as exit_:
            run.main([*SMALL, *env, "--out", str(directory)])
        assert exit_.value.code == 2
        assert expected in capsys.readouterr().err
    assert not directory.exists()
