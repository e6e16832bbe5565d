"""The command line as a user runs it: files and what is in them, signals, mistakes."""

import contextlib
import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from experiments import run
from experiments.analysis.finish import draw
from experiments.training import program
from experiments.training.errors import typed_names
from experiments.training.position import NonFinite, Position
from experiments.training.settings.command_line import parse
from experiments.training.settings.experiment import build
from experiments.training.signals import StopRequest
from experiments.training.stopping import explain
from experiments.training.team import load_team
from tests.experiments.faults import lost_numbers
from tests.experiments.trained_run import LANES, TINY, shared_programs

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module", autouse=True)
def share_program() -> Iterator[None]:
    with shared_programs():
        yield


def start(*argv: str, cwd: Path) -> subprocess.Popen:
    command = [sys.executable, str(ROOT / "experiments" / "run.py"), *argv]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=cwd, stdout=pipe, stderr=pipe, text=True)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, share_program: None) -> tuple[Path, str]:
    """A whole run of 2 updates, 2 points and 2 seeds: its directory and what it printed."""
    directory = tmp_path_factory.mktemp("run") / "result"
    argv = [*TINY, *LANES, "--total-steps", "150", "--out", str(directory)]
    with contextlib.redirect_stdout(io.StringIO()) as output, pytest.MonkeyPatch.context() as patch:
        patch.setattr("experiments.analysis.finish.draw", draw)
        assert run.main(argv) == 0
    return directory, output.getvalue()


def read_rows(directory: Path, name: str = "metrics.csv") -> list[dict[str, str]]:
    with (directory / name).open() as file:
        return list(csv.DictReader(file))


def test_a_run_leaves_its_files_and_names_them(finished: tuple[Path, str]):
    directory, output = finished
    names = {"config.json", "metrics.csv", "matrices.csv", "training.json", "summary.json"}
    names |= {"curves.png", "reuse.png", "replay.gif"}
    folders = {"tensorboard", "checkpoints"}
    assert {path.name for path in directory.iterdir()} == names | folders | {".lock"}
    assert all(name in output for name in names)
    assert len(list(directory.glob("tensorboard/*/events.*"))) == 2


def test_metrics_have_a_row_per_point_seed_and_update(finished: tuple[Path, str]):
    rows = read_rows(finished[0])
    assert list(rows[0])[:4] == ["point", "seed", "update", "env_steps"]
    keys = {(row["point"], row["seed"], row["update"], row["env_steps"]) for row in rows}
    # 4 environments x 16 steps = 64 environment steps per update; 150 // 64 = 2 updates.
    expected = {(p, s, u, e) for p in "01" for s in "34" for u, e in (("1", "64"), ("2", "128"))}
    assert keys == expected
    assert len(rows) == len(expected)


def test_metrics_say_what_the_matrices_hold(finished: tuple[Path, str]):
    for row in read_rows(finished[0]):
        assert float(row["policy/first_ratio"]) == pytest.approx(1, abs=1e-5)
    rows = read_rows(finished[0], "matrices.csv")
    assert len(rows) == 8  # Of every update: with two agents a matrix is small.
    for row in rows:
        for learner in "01":
            weights = [float(row[f"reuse/weight/{learner}/{source}"]) for source in "01"]
            assert sum(weights) == pytest.approx(1, abs=1e-6)


def test_summary_is_valid_json_with_statistics_per_point(finished: tuple[Path, str]):
    def reject(constant: str):
        raise AssertionError(constant)

    text = (finished[0] / "summary.json").read_text()
    summary = json.loads(text, parse_constant=reject)
    assert summary["environment"] == "maze"
    assert summary["algorithm"] == "oappo"
    assert summary["env_steps"] == 128
    assert summary["completed"]
    steps_per_second = 128 * 4 / summary["run_seconds"]
    assert summary["env_steps_per_second"] == pytest.approx(steps_per_second)
    assert [p["hyperparameters"]["reuse_sigma"] for p in summary["points"]] == [0.1, 10]
    rows = [row for row in read_rows(finished[0]) if row["update"] == "2" and row["point"] == "1"]
    for name in ("success", "return", "length"):
        per_seed = [float(row[f"episode/{name}"]) for row in rows]
        assert summary["points"][1][f"episode/{name}"]["per_seed"] == pytest.approx(per_seed)


def test_config_says_what_was_resolved(finished: tuple[Path, str]):
    config = json.loads((finished[0] / "config.json").read_text())
    assert config["total_steps_asked"] == 150
    assert config["total_steps"] == 128
    assert config["config"]["num_updates"] == 2
    assert config["hyperparameters"]["reuse_sigma"] == [0.1, 10]
    options = {"layout": "sss\n.T.\nsss", "num_per_colour": 1, "time_limit": 12}
    assert config["env_options"] == options
    assert config["seeds"] == [3, 4]
    assert {"python", "jax", "jaxlib", "flax", "optax"} <= config["versions"].keys()


def test_pictures_open_and_the_replay_moves(finished: tuple[Path, str]):
    for name in ("curves.png", "reuse.png"):
        with Image.open(finished[0] / name) as image:
            assert np.asarray(image.convert("L")).std() > 0
    with Image.open(finished[0] / "replay.gif") as replay:
        assert replay.n_frames > 1


@pytest.mark.parametrize(
    ("number", "exit_code"),
    [
        pytest.param(signal.SIGINT, 130, id="INT"),
        pytest.param(signal.SIGTERM, 143, id="TERM", marks=pytest.mark.slow),
    ],
)
def test_a_signal_ends_the_run_with_everything_saved(
    tmp_path: Path, number: signal.Signals, exit_code: int
):
    out, argv = tmp_path / "result", [*TINY, *LANES, "--total-steps", "100000000"]
    process = start(*argv, "--out", "result", cwd=tmp_path)
    metrics = out / "metrics.csv"
    while process.poll() is None and not (metrics.exists() and metrics.stat().st_size):
        time.sleep(0.05)  # Another process: there is nothing to wait on but its file.
    process.send_signal(number)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == exit_code, errors
    assert number.name in errors
    assert "once more stops at once" in errors
    rows = read_rows(out)
    summary = json.loads((out / "summary.json").read_text())
    assert not summary["completed"]
    assert summary["env_steps"] == int(rows[-1]["env_steps"])
    assert (load_team(out).updates == int(rows[-1]["update"])).all()
    assert (out / "curves.png").exists()


def without(argv: Sequence[str], names: Sequence[str]) -> list[str]:
    """Returns a command line without some options and their values: none may stand there twice."""
    kept, is_kept = [], True
    for token in argv:
        if token.startswith("--"):
            is_kept = not set(typed_names([token])) & set(names)
        kept += [token] * is_kept
    return kept


BAD_INPUT = {
    "options twice": (
        ["--env-option", "num_per_colour=1", "--env-option", "time_limit=9"],
        "list them after it: --env-option FIRST SECOND",
    ),
    "option twice, spelt otherwise": (["--actor_lr=1e-3", "--actor-lr", "1e-4"], "actor_lr"),
    "switched on and off": (["--layer-norm", "--no-layer-norm"], "expected --layer-norm once"),
    "endless": (["--total-steps", str(10**20)], "total_steps: expected at most"),
    "half an agent": (
        ["--env-option", "num_per_colour=1.5"],
        "Expected num_per_colour to be a whole number",
    ),
    "true agents": (["--env-option", "num_per_colour=true"], "got True"),
    "text for a count": (["--env-option", "time_limit=x"], "to be a whole number, got x"),
    "text for a switch": (["--env-option", "observe_agent_id=no"], "to be true or false, got no"),
    "text for a cost": (["--env-option", "step_cost=low"], "to be a number, got low"),
    "unknown environment": (["--env", "maize"], "Did you mean maze?"),
    "unknown algorithm": (["--algorithm", "ppo"], "oatrpo"),
    "unknown option": (["--sigma", "1"], "--sigma"),
    "too few steps": (["--total-steps", "63"], "at least one update"),
    "too many at once": (
        ["--num-envs", str(10**12), "--total-steps", str(10**14)],
        "out of bounds",
    ),
    "negative steps": (["--total-steps", "-1"], "at least one update"),
    "no seed": (["--seeds", "0"], "seeds"),
    "negative seed": (["--seed", "-1"], "seed"),
    "minibatches": (["--num-minibatches", "3"], "divisor"),
    "no environment": (["--num-envs", "0"], "num_envs"),
    "negative memory": (
        ["--memory-size", "-1"],
        "memory_size: expected a whole number of at least 0, got -1",
    ),
    "memory of one step": (
        ["--memory-size", "4", "--rollout-length", "1"],
        "memory_size: expected 0 with rollout_length = 1, got 4",
    ),
    "no width": (["--hidden-sizes", "0"], "hidden_sizes"),
    "negative sigma": (["--reuse-sigma", "0.1", "-0.1"], "reuse_sigma"),
    "lambda above one": (["--reuse-lambda", "1.1"], "reuse_lambda"),
    "not a number": (["--actor-lr", "nan"], "actor_lr"),
    "infinite": (["--ent-coef", "inf"], "ent_coef"),
    "no value": (["--gamma"], "gamma"),
    "value twice": (["--gamma", "0.9", "0.9"], "differ"),
    "text for a number": (["--gamma", "high"], "gamma"),
    "not read": (["--algorithm", "oatrpo", "--clip-eps", "0.1"], "clip_eps is not read by oatrpo"),
    "quantile unused": (["--divergence-quantile", "0.5"], "divergence_quantile is not read"),
    "matrix missing": (["--algorithm", "fixed"], "nr, ur, rr, ar"),
    "matrix unused": (["--reuse-matrix", "rr"], "only with --algorithm fixed"),
    "matrix name": (["--algorithm", "fixed", "--reuse-matrix", "xx"], "nr, ur, rr, ar"),
    "matrix shape": (["--algorithm", "fixed", "--reuse-matrix", "1"], "2 rows of 2"),
    "matrix rows": (["--algorithm", "fixed", "--reuse-matrix", "1,0;0.5,0.4"], "sum to 1"),
    "matrix sign": (["--algorithm", "fixed", "--reuse-matrix", "2,-1;0,1"], "at least 0"),
    "matrix nan": (["--algorithm", "fixed", "--reuse-matrix", "nan,1;0,1"], "at least 0"),
    "option name": (["--env-option", "speed=2"], "num_per_colour"),
    "option form": (["--env-option", "speed"], "NAME=VALUE"),
    "option type": (["--env-option", "num_per_colour=many"], "num_per_colour"),
    "option value": (["--env-option", "num_per_colour=0"], "num_per_colour"),
    "layout without target": (["--env-option", "layout='s..\\n...\\n...'"], "target"),
    "layout unreachable": (["--env-option", "layout='s#T\\n.#.\\n.#.'"], "a way to the target"),
    "directory is a file": (["--out", "/etc/hostname"], "file"),
    "directory in use": (["--out", "/etc"], "holds files"),
    "directory impossible": (["--out", "/proc/none/here"], "out"),
}


@pytest.mark.parametrize(("argv", "expected"), BAD_INPUT.values(), ids=BAD_INPUT.keys())
def test_bad_input_is_a_usage_error_that_leaves_nothing(
    argv: list[str], expected: str, tmp_path: Path, monkeypatch, capfd
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as exit_:
        run.main([*without(TINY, typed_names(argv)), *argv])
    errors = " ".join(capfd.readouterr().err.replace("│", " ").split())
    assert exit_.value.code == 2
    assert expected in errors, errors
    assert "Traceback" not in errors
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize(
    ("error", "expected", "exit_code"),
    [
        (RuntimeError("RESOURCE_EXHAUSTED: Out of memory"), "Lower num_envs", 1),
        (OSError(28, "No space left on device", "metrics.csv"), "No space left on device", 1),
        (KeyboardInterrupt(), "Interrupted", 130),
    ],
)
def test_what_the_machine_lacks_is_said_without_a_traceback(
    error: BaseException, expected: str, exit_code: int, tmp_path: Path, monkeypatch, capfd
):
    def fail(*_):
        raise error

    monkeypatch.setattr(program, "trace", fail)
    assert run.main([*TINY, "--out", str(tmp_path / "result")]) == exit_code
    assert expected in capfd.readouterr().err


def test_a_directory_that_holds_files_stays_as_it_is(tmp_path: Path, capfd):
    (tmp_path / "old").write_text("kept")
    with pytest.raises(SystemExit) as exit_:
        run.main([*TINY, "--out", str(tmp_path)])
    assert exit_.value.code == 2
    assert os.listdir(tmp_path) == ["old"]


def test_a_number_that_is_not_finite_stops_the_run_and_keeps_its_rows(tmp_path: Path, capfd):
    out = tmp_path / "result"
    with lost_numbers(update=2, point=slice(None), seed=1):
        assert run.main([*TINY, *LANES, "--total-steps", "320", "--out", str(out)]) == 1
    errors = capfd.readouterr().err
    assert "critic/loss is not finite in update 2 at point 0 (reuse_sigma=0.1), seed 4" in errors
    assert "critic/loss is not finite in update 2 at point 1 (reuse_sigma=10), seed 4" in errors
    assert "no point is left" in errors
    # Two updates of two points and two seeds.
    is_lost = [False] * 4 + [False, True] * 2
    assert [row["critic/loss"] == "" for row in read_rows(out)] == is_lost
    assert not json.loads((out / "summary.json").read_text())["completed"]


@pytest.mark.parametrize(
    ("argv", "expected", "unexpected"),
    [
        ([], "Lower actor_lr or critic_lr: python experiments/run.py --resume", "kl_threshold"),
        (["--algorithm", "hatrpo"], "kl_threshold: python experiments/run.py --resume", "actor_lr"),
        (
            ["--actor-lr", "0.1", "0.2"],
            "Start anew with lower values of actor_lr or critic_lr.",
            "--resume",
        ),
    ],
)
def test_the_advice_after_a_divergence_can_be_followed(argv, expected, unexpected, capfd):
    experiment = build(parse([*TINY, *argv]))
    points = range(len(experiment.points))
    diverged = {point: NonFinite(point, 3, 0, "critic/loss") for point in points}
    position = Position(state=None, num_updates=2, run_seconds=0.0, diverged=diverged)  # type: ignore[arg-type]
    assert explain(experiment, position, True, StopRequest(), Path("runs/a")) == 1
    errors = capfd.readouterr().err
    assert expected in errors and unexpected not in errors
    assert "An active agent without a legal action" in errors


def test_a_point_that_diverged_is_named_and_the_others_go_on(tmp_path: Path, capfd):
    out = tmp_path / "result"
    with lost_numbers(update=2, point=1, seed=0):
        assert run.main([*TINY, *LANES, "--total-steps", "320", "--out", str(out)]) == 0
    expected = "1 of 2 points diverged: critic/loss is not finite in update 2 at point 1"
    assert expected in capfd.readouterr().err
    summary = json.loads((out / "summary.json").read_text())
    assert summary["completed"] and summary["best_point"] == 0
    # What goes on knows of it still.
    assert run.main(["--resume", str(out), "--total-steps", "384"]) == 0
    assert expected in capfd.readouterr().err
