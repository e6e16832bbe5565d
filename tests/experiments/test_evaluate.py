"""Evaluation from the command line: how many episodes, of whom, and what it says."""

import dataclasses
import json
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

from experiments import evaluate
from experiments.training.playing import Purpose, episode_keys
from experiments.training.team import load_team, save_replay
from tests.experiments.trained_run import ARGV, contents, make_trained_run

EPISODES = 7


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Directory, experiment and state of a run, untouched by the tests."""
    directory = tmp_path_factory.mktemp("evaluate") / "run"
    return directory, *make_trained_run(directory)


def play(directory: Path, *argv: str) -> dict:
    assert evaluate.main([str(directory), "--episodes", str(EPISODES), *argv]) == 0
    return json.loads((directory / "evaluation.json").read_text())


@pytest.fixture(scope="module")
def default(trained):
    return play(trained[0])


@pytest.fixture(scope="module")
def sampled(trained):
    return play(trained[0], "--sample")


def test_it_says_what_was_played(default):
    said = {name: default[name] for name in ("environment", "algorithm", "episodes", "policy")}
    assert said == {
        "environment": "maze",
        "algorithm": "oappo",
        "episodes": EPISODES,
        "policy": "greedy",
    }
    # 3 updates of 4 environments x 16 steps.
    assert default["updates"] == [3, 3] and default["env_steps"] == [192, 192]
    assert default["seeds"] == [3, 4]


def test_the_best_point_plays_unless_another_is_asked_for(trained, default):
    assert default["point"] == 1 and default["hyperparameters"]["reuse_sigma"] == 10
    other = play(trained[0], "--point", "0")
    assert other["point"] == 0 and other["hyperparameters"]["reuse_sigma"] == pytest.approx(0.1)
    assert other["metrics"] != default["metrics"]


def test_the_figures_are_those_of_the_trainer(trained, default):
    _, experiment, state = trained
    keys = episode_keys(experiment.seeds, Purpose.AFTERWARDS, 0)
    run = jax.jit(experiment.trainer.evaluate, static_argnums=(2, 3))
    for seed in range(2):
        learner = jax.tree.map(lambda x, seed=seed: x[1, seed], state.learner)
        for name, value in run(learner, keys[seed], EPISODES, True).items():
            each = default["metrics"][name.removeprefix("evaluation/")]
            np.testing.assert_allclose(each["per_seed"][seed], value, rtol=1e-6)


def test_every_seed_plays_exactly_that_many_episodes(sampled):
    # 7 is no multiple of 4 environments; a share of 7 episodes times 7 is whole.
    shares = [*sampled["metrics"]["success"]["per_seed"], *sampled["metrics"]["length"]["per_seed"]]
    assert all(x * EPISODES == pytest.approx(round(x * EPISODES), abs=1e-4) for x in shares)
    assert any(x != round(x) for x in shares)


def test_means_come_with_intervals_over_seeds(default):
    for each in default["metrics"].values():
        low, high = each["ci95"]
        # Of two seeds it reaches 12.706 x half their distance to either side.
        reach = 12.7062 * abs(np.diff(each["per_seed"]).item()) / 2
        expected = each["mean"] - reach, each["mean"] + reach
        assert (low, high) == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_the_same_again_gives_the_same_figures_and_another_seed_others(trained, sampled):
    assert play(trained[0], "--sample") == sampled
    assert play(trained[0], "--sample", "--seed", "1")["metrics"] != sampled["metrics"]


def test_sampling_plays_otherwise_than_the_likeliest_actions(trained, default, sampled):
    assert sampled["policy"] == "sample"
    assert sampled["metrics"] != default["metrics"]
    assert play(trained[0], "--greedy") == default


def test_the_best_policies_are_those_of_their_update(trained, default):
    best = play(trained[0], "--checkpoint", "best")
    assert best["updates"] == [2, 2] and best["env_steps"] == [128, 128]
    assert best["metrics"] != default["metrics"]


def test_the_table_holds_every_metric(trained, capsys):
    metrics = play(trained[0])["metrics"]
    shown = capsys.readouterr().out
    assert "7 greedy episodes of each of 2 seeds" in shown
    for name, each in metrics.items():
        (row,) = (line.split() for line in shown.splitlines() if line.split()[:1] == [name])
        assert float(row[1]) == pytest.approx(each["mean"], abs=5e-4)


def test_the_replay_moves_and_changes_with_the_seed(trained, tmp_path):
    play(trained[0], "--replay", str(tmp_path / "a.gif"))
    play(trained[0], "--replay", str(tmp_path / "b.gif"), "--seed", "1")
    with Image.open(tmp_path / "a.gif") as replay:
        assert replay.n_frames > 1
    assert (tmp_path / "a.gif").read_bytes() != (tmp_path / "b.gif").read_bytes()


def test_the_replay_is_of_the_best_seed_of_the_summary(trained, tmp_path, capsys):
    directory, experiment, _ = trained
    replay = tmp_path / "a.gif"
    play(directory, "--replay", str(replay))
    assert f"{replay}: seed 4" in capsys.readouterr().out.replace("\n", "")
    for place in (0, 1):
        path = tmp_path / f"{place}.gif"
        save_replay(load_team(directory), experiment.trainer, (1, place), path)
        assert (path.read_bytes() == replay.read_bytes()) == (place == 1)
    # Of point 0 another seed is the best, and without a summary none is known to be.
    assert load_team(directory).best_seed(0) == 0
    unknown = dataclasses.replace(load_team(directory), directory=tmp_path)
    assert unknown.best_seed(1) == 0


def test_the_file_goes_where_out_says(trained, default, tmp_path):
    before = contents(trained[0])
    play(trained[0], "--out", str(tmp_path / "other.json"))
    assert json.loads((tmp_path / "other.json").read_text()) == default
    assert contents(trained[0]) == before


def test_that_nothing_can_be_written_is_said_before_anything_is_played(
    trained, tmp_path, monkeypatch, capfd
):
    monkeypatch.setattr("experiments.training.team.load_team", None)
    for option in ("--out", "--replay"):
        suffix = {"--out": "json", "--replay": "gif"}[option]
        argv = [str(trained[0]), option, str(tmp_path / "none" / f"a.{suffix}")]
        assert f"{option[2:]}: expected a file in a directory" in usage_error(argv, capfd)


def test_an_episode_is_cut_off_where_the_option_says(trained, capfd):
    found = play(trained[0], "--max-steps", "2")
    assert found["max_steps"] == 2
    metrics = {name: np.array(each["per_seed"]) for name, each in found["metrics"].items()}
    # Two steps are below the time limit: what ends has arrived, and the rest is cut off.
    np.testing.assert_allclose(metrics["cut_off"], EPISODES * (1 - metrics["success"]), rtol=1e-6)
    assert metrics["length"].max() <= 2
    number = round(metrics["cut_off"].sum())
    said = f"{number} of {2 * EPISODES} episodes were cut off after 2 steps"
    assert number > 0 and said in capfd.readouterr().err


def test_by_default_episodes_are_cut_off_as_while_training(default):
    assert default["max_steps"] == 10_000
    assert default["metrics"]["cut_off"]["per_seed"] == [0, 0]


BAD_INPUT = {
    "no step": (["--max-steps", "0"], "max_steps: expected at least 1, got 0"),
    "too many steps": (["--max-steps", "2147483648"], "got 2147483648"),
    "no episode": (["--episodes", "0"], "episodes: expected at least 1, got 0"),
    "negative point": (["--point", "-1"], "expected a number in [0, 1], got -1"),
    "no such point": (["--point", "2"], "expected a number in [0, 1], got 2"),
    "no such checkpoint": (["--checkpoint", "newest"], "latest"),
    "negative seed": (["--seed", "-1"], "seed: expected a number in"),
    "two ways": (["--greedy", "--sample"], "sample"),
    "no gif": (["--replay", "a.mp4"], ".gif"),
    "nowhere to draw": (
        ["--episodes", "4", "--replay", "/proc/none/a.gif"],
        "replay: expected a file in a directory that exists",
    ),
    "no json": (["--out", "a.txt"], "out: expected a file that ends in .json, got a.txt"),
    "nowhere": (["--out", "/proc/none/a.json"], "out: expected a file in a directory that exists"),
    "unknown option": (["--episode", "7"], "--episode"),
}


@pytest.mark.parametrize(("argv", "expected"), BAD_INPUT.values(), ids=BAD_INPUT.keys())
def test_bad_input_is_a_usage_error(trained, argv, expected, capfd):
    assert expected in usage_error([str(trained[0]), *argv], capfd)


def test_what_is_no_run_is_a_usage_error(tmp_path, capfd):
    assert "holds no run" in usage_error([str(tmp_path)], capfd)
    assert "holds no run" in usage_error([str(tmp_path / "none")], capfd)


def test_a_run_that_lacks_something_is_a_usage_error(trained, tmp_path, capfd):
    run = tmp_path / "run"
    run.mkdir()
    for name in ("config.json", "checkpoints"):
        (run / name).symlink_to(trained[0] / name)
    assert "choose a point with --point" in usage_error([str(run)], capfd)
    (run / "summary.json").write_text('{"best_point": 5}')
    assert "choose a point with --point" in usage_error([str(run)], capfd)
    (run / "checkpoints").unlink()
    assert "holds no checkpoint" in usage_error([str(run)], capfd)


def test_without_evaluations_no_policies_are_the_best(tmp_path, capfd):
    make_trained_run(tmp_path / "run", ARGV[: ARGV.index("--eval-every")])
    argv = [str(tmp_path / "run"), "--point", "0", "--checkpoint", "best"]
    assert "take the latest" in usage_error(argv, capfd)


def usage_error(argv: list[str], capfd) -> str:
    with pytest.raises(SystemExit) as exit_:
        evaluate.main(argv)
    errors = " ".join(capfd.readouterr().err.replace("│", " ").split())
    assert exit_.value.code == 2, errors
    assert "Traceback" not in errors
    return errors
