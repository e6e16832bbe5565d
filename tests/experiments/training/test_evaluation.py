"""Evaluation while training goes on: it changes nothing, and a resumed run evaluates alike."""

import csv
import itertools
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import run
from experiments.training import program
from experiments.training.evaluation import Evaluator, keep_better, no_best, with_actors
from experiments.training.folder.checkpoints import find_checkpoints
from experiments.training.folder.metrics import as_text
from experiments.training.placement import place
from experiments.training.playing import (
    Playing,
    Purpose,
    episode_keys,
    make_evaluate,
)
from experiments.training.settings.command_line import parse
from experiments.training.settings.experiment import build
from experiments.training.team import load_team
from oatrpo_jax.checkpoint import to_host
from tests.experiments.trained_run import (
    ARGV,
    LANES,
    STEPS,
    TINY,
    read_checkpoint,
    shared_programs,
    with_random_policies,
)
from tests.probe_envs import tree_equal

TOTAL, EPISODES = 6, 7
SMALL = [*TINY, *LANES, "--actor-lr", "0.05", "--checkpoint-every", "3"]
WATCHED = ["--eval-every", "2", "--eval-episodes", str(EPISODES)]


@pytest.fixture(scope="module", autouse=True)
def share_program():
    with shared_programs():
        yield


def begin(directory: Path, num_updates: int, *argv: str) -> Path:
    total = ["--total-steps", str(num_updates * STEPS)]
    assert run.main([*SMALL, *total, "--out", str(directory), *argv]) == 0
    return directory


@pytest.fixture(scope="module")
def watched(tmp_path_factory) -> Path:
    """The directory of a run that was evaluated after updates 2, 4 and 6."""
    return begin(tmp_path_factory.mktemp("watched") / "run", TOTAL, *WATCHED)


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> Path:
    """The directory of the same run without evaluation."""
    return begin(tmp_path_factory.mktemp("plain") / "run", TOTAL)


def rows_of(directory: Path) -> list[dict[str, str]]:
    with (directory / "evaluation.csv").open() as file:
        return list(csv.DictReader(file))


def absolute_of(directory: Path) -> list[dict]:
    points = json.loads((directory / "summary.json").read_text())["points"]
    return [point["absolute"] for point in points]


def assert_same(directory: Path, whole: Path) -> None:
    for name in ("metrics.csv", "matrices.csv", "evaluation.csv"):
        assert (directory / name).read_bytes() == (whole / name).read_bytes(), name
    left, right = (to_host(read_checkpoint(each).state) for each in (directory, whole))
    assert all(left[name].tobytes() == right[name].tobytes() for name in left)
    assert absolute_of(directory) == absolute_of(whole)


def test_training_is_the_same_to_the_bit_with_and_without(watched: Path, plain: Path):
    assert (watched / "metrics.csv").read_bytes() == (plain / "metrics.csv").read_bytes()
    left, right = (to_host(read_checkpoint(each).state.train) for each in (watched, plain))
    assert all(left[name].tobytes() == right[name].tobytes() for name in left)


def test_without_evaluation_nothing_is_left_of_it(plain: Path):
    assert not (plain / "evaluation.csv").exists()
    assert read_checkpoint(plain).state.best is None
    assert "absolute" not in (plain / "summary.json").read_text()


def test_there_is_a_row_per_evaluation_point_and_seed(watched: Path):
    index = [
        tuple(int(row[name]) for name in ("update", "point", "seed", "env_steps"))
        for row in rows_of(watched)
    ]
    expected = itertools.product((2, 4, 6), (0, 1), (3, 4))
    assert index == [(*place, place[0] * STEPS) for place in expected]


def evaluate(team, keys):
    trainer = team.experiment.trainer
    placement = place(trainer.env, 4)
    play = make_evaluate(trainer, Playing(EPISODES), placement, placement.of_block)
    return play(placement.counts, team.learner, keys)


def test_the_figures_are_those_of_the_policies_at_that_update(watched: Path):
    team = load_team(watched)
    keys = episode_keys(team.experiment.seeds, Purpose.CURVE, TOTAL)
    metrics = evaluate(team, keys)
    last = [row for row in rows_of(watched) if row["update"] == "6"]
    for name, value in metrics.items():
        assert [row[name] for row in last] == as_text(np.asarray(value)).ravel().tolist()


def test_tensorboard_has_the_curve(watched: Path, plain: Path):
    name = b"evaluation/return"
    for directory, count in ((watched, 3), (plain, 0)):
        files = list((directory / "tensorboard").glob("*/*"))
        assert len(files) == 2
        assert all(file.read_bytes().count(name) == count for file in files)


def test_the_best_is_the_highest_success_then_return_then_the_earliest(watched: Path):
    best = read_checkpoint(watched).state.best
    for point, seed in np.ndindex(2, 2):
        mine = [row for row in rows_of(watched) if row["point"] == str(point)]
        mine = [row for row in mine if row["seed"] == str(3 + seed)]
        scores = [(float(r["evaluation/success"]), float(r["evaluation/return"])) for r in mine]
        assert best.update[point, seed] == int(mine[scores.index(max(scores))]["update"])
    # It would prove little if all had been best at the end.
    assert len(set(np.ravel(best.update).tolist())) > 1


def test_the_absolute_metric_is_a_mean_over_ten_times_the_episodes(watched: Path):
    team = load_team(watched, "best")
    seeds = team.experiment.seeds
    sets = [evaluate(team, episode_keys(seeds, Purpose.ABSOLUTE, number)) for number in range(10)]
    for point, absolute in enumerate(absolute_of(watched)):
        assert absolute["episodes"] == 70
        assert absolute["updates"] == team.updates[point].tolist()
        for name in ("success", "return", "length"):
            expected = np.mean([each[f"evaluation/{name}"][point] for each in sets], axis=0)
            np.testing.assert_allclose(absolute[name]["per_seed"], expected, rtol=1e-6)


def test_an_evaluation_costs_no_checkpoint(watched: Path):
    # --checkpoint-every 3: evaluations after updates 2 and 4 leave the best policies, no more.
    assert sorted(find_checkpoints(watched)) == [3, 6]


def test_a_resumed_run_evaluates_alike(tmp_path: Path, watched: Path):
    directory = begin(tmp_path / "run", 4, *WATCHED)
    assert [row["update"] for row in rows_of(directory)] == ["2"] * 4 + ["4"] * 4
    total = ["--total-steps", str(TOTAL * STEPS)]
    assert run.main(["--resume", str(directory), *total]) == 0
    assert_same(directory, watched)


def test_the_last_update_is_evaluated_and_its_rows_stay_when_the_run_goes_on(
    tmp_path: Path, watched: Path
):
    directory = begin(tmp_path / "run", 3, *WATCHED)
    assert [row["update"] for row in rows_of(directory)] == ["2"] * 4 + ["3"] * 4
    for num_updates in (5, TOTAL):
        total = ["--total-steps", str(num_updates * STEPS)]
        assert run.main(["--resume", str(directory), *total]) == 0
    rows = rows_of(directory)
    assert [row["update"] for row in rows] == sorted([*"23456"] * 4)
    assert [row for row in rows if row["update"] in "246"] == rows_of(watched)
    assert (directory / "metrics.csv").read_bytes() == (watched / "metrics.csv").read_bytes()


@pytest.mark.parametrize("killed_at", [2, 4])
def test_a_run_killed_after_an_evaluation_evaluates_again(
    tmp_path: Path, watched: Path, monkeypatch, killed_at: int
):
    play = Evaluator.play

    def die(evaluator, learner, best, update):
        found = play(evaluator, learner, best, update)
        if update == killed_at:
            raise RuntimeError("killed")
        return found

    with monkeypatch.context() as patch:
        patch.setattr(Evaluator, "play", die)
        with pytest.raises(RuntimeError):
            begin(tmp_path / "run", TOTAL, *WATCHED)
    assert run.main(["--resume", str(tmp_path / "run")]) == 0
    assert_same(tmp_path / "run", watched)


def test_evaluations_that_are_not_those_of_the_run_are_refused(tmp_path: Path, capfd):
    directory = begin(tmp_path / "run", 3, *WATCHED)
    rows = directory / "evaluation.csv"
    whole = rows.read_bytes()
    for content in (whole[:-1], whole[: len(whole) // 2], b"", None):
        if content is None:
            rows.unlink()
        else:
            rows.write_bytes(content)
        errors = usage_error(["--resume", str(directory), "--total-steps", "384"], capfd)
        assert "does not hold the rows of 2 updates before the checkpoint" in errors
        assert content is None or rows.read_bytes() == content
    rows.write_bytes(whole.replace(b"evaluation/length", b"evaluation/size"))
    errors = usage_error(["--resume", str(directory), "--total-steps", "384"], capfd)
    assert "expected evaluation/length, got evaluation/size" in errors


def test_episodes_that_are_cut_off_are_counted_and_said_once(tmp_path: Path, capfd):
    argv = ["--eval-every", "1", "--eval-episodes", str(EPISODES), "--eval-max-steps", "2"]
    directory = begin(tmp_path / "run", 2, *argv)
    assert json.loads((directory / "config.json").read_text())["run"]["eval_max_steps"] == 2
    rows = rows_of(directory)
    # Two steps are below the time limit: what ends has arrived, and the rest is cut off.
    for row in rows:
        expected = EPISODES * (1 - float(row["evaluation/success"]))
        assert float(row["evaluation/cut_off"]) == pytest.approx(expected)
    number = round(sum(float(row["evaluation/cut_off"]) for row in rows[:4]))
    said = f"{number} of {4 * EPISODES} episodes were cut off after 2 steps"
    assert number > 0
    errors = capfd.readouterr().err
    assert said in errors and errors.count("cut off") == 1
    for absolute in absolute_of(directory):
        success, cut_off = (np.array(absolute[x]["per_seed"]) for x in ("success", "cut_off"))
        np.testing.assert_allclose(cut_off, 10 * EPISODES * (1 - success), rtol=1e-6)


def test_where_nothing_is_cut_off_the_count_is_zero(watched: Path):
    assert {row["evaluation/cut_off"] for row in rows_of(watched)} == {"0.0"}


BAD_INPUT = {
    "negative": (["--eval-every", "-1"], "eval_every: expected at most the 6 updates"),
    "never reached": (["--eval-every", "7"], "got 7"),
    "no episode": (["--eval-every", "2", "--eval-episodes", "0"], "eval_episodes: expected at"),
    "not read": (["--eval-episodes", "5"], "only with --eval-every"),
    "no step": (
        ["--eval-every", "2", "--eval-max-steps", "0"],
        "eval_max_steps: expected at least 1, got 0",
    ),
    "steps not read": (["--eval-max-steps", "5"], "eval_max_steps: expected only with"),
}


@pytest.mark.parametrize(("argv", "expected"), BAD_INPUT.values(), ids=BAD_INPUT.keys())
def test_bad_input_is_a_usage_error(argv, expected, tmp_path, capfd):
    total = ["--total-steps", str(TOTAL * STEPS)]
    assert expected in usage_error([*SMALL, *total, "--out", str(tmp_path / "run"), *argv], capfd)
    assert not (tmp_path / "run").exists()


def test_other_evaluations_are_refused_on_resuming(watched: Path, capfd):
    errors = usage_error(["--resume", str(watched), "--eval-every", "3"], capfd)
    assert "eval_every was 2, got 3" in errors


def usage_error(argv: list[str], capfd) -> str:
    with pytest.raises(SystemExit) as exit_:
        run.main(argv)
    errors = " ".join(capfd.readouterr().err.replace("│", " ").split())
    assert exit_.value.code == 2, errors
    assert "Traceback" not in errors
    return errors


def some_evaluations():
    """Four learners ``[1, 2]``, with scores in which every rule decides something."""
    experiment = build(parse(ARGV))
    state = program.abstract_state(experiment)
    zeros = jax.tree.map(lambda x: jnp.zeros((1, 2, *x.shape[2:]), x.dtype), state.learner)
    learners = [with_random_policies(zeros, seed) for seed in range(4)]
    success = [[[0.5, 0.5]], [[1.0, 0.5]], [[1.0, 0.5]], [[0.0, 0.5]]]
    returns = [[[9.0, 1.0]], [[0.2, 2.0]], [[0.1, 2.0]], [[9.0, 1.5]]]
    metrics = [
        {"evaluation/success": jnp.array(s), "evaluation/return": jnp.array(r)}
        for s, r in zip(success, returns, strict=True)
    ]
    return list(zip(learners, metrics, range(1, 5), strict=True))


def test_the_best_is_kept_and_of_equals_the_earlier():
    seen = some_evaluations()
    best = no_best(seen[0][0])
    for learner, metrics, update in seen:
        best = keep_better(best, learner, metrics, update)
    # Seed 0: success 1.0 and return 0.2; seed 1: return 2.0, first seen in update 2.
    assert best.update.tolist() == [[2, 2]]
    assert tree_equal(with_actors(seen[0][0], best.actors).policies, seen[1][0].policies)


def test_policies_that_are_not_finite_are_never_the_best():
    learner, metrics, update = some_evaluations()[1]
    params = jax.tree.map(lambda x: x.at[0, 1].set(jnp.nan), learner.policies.params)
    bad = learner._replace(policies=learner.policies._replace(params=params))
    best = keep_better(no_best(learner), bad, metrics, update)
    assert best.update.tolist() == [[2, 0]]
