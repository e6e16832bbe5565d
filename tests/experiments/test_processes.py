"""Runs of two processes: what they leave, who may go on with it, and what ends them."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from experiments import run, sweep
from experiments.analysis import finish
from experiments.training import processes
from oatrpo_jax.checkpoint import to_host
from tests.experiments.trained_run import STEPS, TINY, read_checkpoint, shared_programs
from tests.probe_envs import tree_equal
from tests.several_processes import LIMIT_SECONDS, ROOT, Started, started

EVALUATED = ("--eval-every", "2", "--eval-episodes", "3", "--log", "csv")
LANES = (*TINY, "--seeds", "2", "--actor-lr", "1e-3", "1e-2", "--algorithm", "happo", *EVALUATED)
LINE = "; python experiments/run.py --resume goes on from the newest checkpoint. Process {} ends"


def steps(num_updates: int) -> tuple[str, str]:
    return "--total-steps", str(num_updates * STEPS)


def command(*options: str) -> list[str]:
    return ["-m", __name__, *options, "--distributed"]


def two(folder: Path, *options: str, **variables: str):
    return started(folder, command(*options), command(*options), **variables)


def train(folder: Path, *options: str, **variables: str) -> Started:
    """Two processes train to the end; they leave nothing but the run."""
    with two(folder, *options, **variables) as both:
        assert both.wait() == [0, 0], (both.said(0), both.said(1))
    assert both.left_over() == []
    return both


def whole(out: Path, num_updates: int, *options: str) -> Path:
    assert run.main([*LANES, *options, *steps(num_updates), "--out", str(out)]) == 0
    return out


def assert_equal(one: Path, other: Path) -> None:
    for name in ("metrics.csv", "evaluation.csv"):
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    assert tree_equal(*(to_host(read_checkpoint(each).state) for each in (one, other)))


def num_rows(directory: Path) -> int:
    path = directory / "metrics.csv"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def until(condition: Callable[[], object], both: Started) -> None:
    """Waits for what processes do; fails if they end, or do not do it."""
    deadline = time.monotonic() + LIMIT_SECONDS
    while not condition():
        assert all(process.poll() is None for process in both.processes), both.said(0)
        assert time.monotonic() < deadline, both.said(0)
        time.sleep(0.05)


def wait_for_rows(both: Started, directory: Path, number: int) -> None:
    """Waits until a run has so many lines in metrics.csv."""
    until(lambda: num_rows(directory) >= number, both)


def test_two_processes_leave_what_one_does_and_one_goes_on(tmp_path):
    parts = tmp_path / "parts"
    both = train(tmp_path / "two", *LANES, *steps(2), "--out", str(parts))
    assert "results" in both.said(0) and "results" not in both.said(1)
    with shared_programs():
        assert run.main(["--resume", str(parts), *steps(4)]) == 0
        assert_equal(whole(tmp_path / "whole", 4), parts)
    config = json.loads((parts / "config.json").read_text())
    assert config["processes"] == 2 and config["mesh"] == {"lanes": 2, "envs": 1}
    assert [each["processes"] for each in config["resumed"]] == [1]
    assert "distributed" not in config["run"]


def test_nobody_to_join_is_a_usage_error():
    env = {k: v for k, v in os.environ.items() if not k.startswith(("SLURM", "JAX_COORD"))}
    options = [*LANES, *steps(1), "--distributed"]
    done = subprocess.run(
        [sys.executable, "experiments/run.py", *options],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    said = " ".join(done.stderr.replace("│", " ").split())
    assert done.returncode == 2
    assert "distributed: expected one of several processes that SLURM" in said
    assert "start them so, or leave out --distributed" in said


@pytest.mark.thorough
def test_nobody_waits_for_ever(tmp_path):
    patient = "import tests.experiments.test_processes as us; us.wait_one_second()"
    with started(tmp_path / "two", ["-c", patient, *LANES, *steps(1)], ["-c", ""]) as both:
        assert both.wait() == [2, 0]
    assert "waiting for the other processes, 1 s at most" in both.said(0)
    assert "expected all processes within 1 s, got too few" in both.said(0)


@pytest.mark.thorough
def test_other_options_in_another_process_are_refused(tmp_path):
    options = (*LANES, *steps(1), "--out", str(tmp_path / "none"))
    with started(tmp_path / "two", command(*options), command(*options, "--seed", "1")) as both:
        assert both.wait() == [2, 2]
    assert "distributed: expected the same in all processes" in both.said(1)
    assert "Process 1 has ended by an error, which it tells. Process 0 ends" in both.said(0)
    assert not (tmp_path / "none").exists()


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--seeds", "1"), "expected work for all 2 processes, got some for 1 (lanes: 1"),
        (("--devices", "1"), "expected work for all 2 processes, got some for 1 (lanes: 3"),
        (("--devices", "3"), "from 1 to the 2 devices that are here (cpu: JAX_NUM_CPU_DEVICES"),
        (("--env-devices", "3"), "expected a divisor of the 4 environments"),
    ],
    ids=["one lane", "one device", "three devices", "environments that do not divide"],
)
def test_what_does_not_fit_the_processes_is_refused(tmp_path, options, expected):
    seeds = () if "--seeds" in options else ("--seeds", "3")
    with two(tmp_path / "two", *TINY, *seeds, *options, *steps(1)) as both:
        assert both.wait() == [2, 2]
    assert expected in both.said(0) + both.said(1)


@pytest.mark.slow
def test_two_processes_go_on_where_one_was(tmp_path):
    parts = whole(tmp_path / "parts", 2)
    train(tmp_path / "two", "--resume", str(parts), *steps(4))
    assert_equal(whole(tmp_path / "whole", 4), parts)
    assert json.loads((parts / "config.json").read_text())["resumed"][0]["processes"] == 2


@pytest.mark.slow
def test_each_process_may_have_several_devices(tmp_path):
    apart = tmp_path / "apart"
    train(tmp_path / "two", *LANES, *steps(2), "--out", str(apart), JAX_NUM_CPU_DEVICES="2")
    assert_equal(whole(tmp_path / "whole", 2), apart)
    assert json.loads((apart / "config.json").read_text())["mesh"] == {"lanes": 4, "envs": 1}


@pytest.mark.slow
def test_a_slice_of_a_sweep_is_started_and_finished_by_one_line(tmp_path):
    out = tmp_path / "slice"
    line = [*TINY, "--seeds", "2", "--algorithm", "happo", "--search", "actor_lr=1e-3,1e-2"]
    line += ["--log", "csv", *steps(2), "--slice", "1/2", "--out", str(out), "--resume-or-start"]
    train(tmp_path / "first", *line)
    config, summary = ((out / name).read_bytes() for name in ("config.json", "summary.json"))
    assert len(json.loads(config)["points"]) == 1 and json.loads(summary)["completed"]
    again = train(tmp_path / "again", *line)
    assert "Nothing is left to do" in again.said(0)
    assert (out / "config.json").read_bytes() == config


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        ("--algorithm", "oatrpo", "--seeds", "3"),
        ("--algorithm", "seps", "--seeds", "2"),
        ("--algorithm", "oappo", "--seeds", "2", "--memory-size", "8"),
    ],
    ids=" ".join,
)
def test_every_lane_is_the_same_to_the_bit_in_two_processes(tmp_path, options):
    given = (*TINY, *options, *EVALUATED, *steps(2))
    apart, one = tmp_path / "apart", tmp_path / "one"
    alone = ["-m", __name__, *given, "--out", str(one)]
    each = command(*given, "--out", str(apart))
    for name, commands in (("alone", (alone,)), ("two", (each, each))):
        with started(tmp_path / name, *commands, quickly=False) as processes:
            assert not any(processes.wait()), processes.said(0)
    assert_equal(one, apart)


@pytest.mark.slow
def test_environments_of_a_lane_lie_in_two_processes(tmp_path):
    given = (*TINY, "--algorithm", "happo", "--seeds", "1", "--env-devices", "2", *EVALUATED)
    runs = []
    for name in "ab":
        train(tmp_path / f"{name}-two", *given, *steps(2), "--out", str(tmp_path / name))
        runs.append(tmp_path / name)
    assert_equal(*runs)
    assert json.loads((runs[0] / "config.json").read_text())["mesh"] == {"lanes": 1, "envs": 2}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("asked", "number"),
    [((0,), signal.SIGINT), ((1,), signal.SIGINT), ((0, 1), signal.SIGTERM)],
)
def test_a_signal_to_any_process_stops_all(tmp_path, asked: Sequence[int], number: int):
    out = tmp_path / "run"
    with two(tmp_path / "two", *LANES, *steps(10_000), "--out", str(out)) as both:
        wait_for_rows(both, out, 9)
        for each in asked:
            both.processes[each].send_signal(number)
        assert both.wait() == [128 + number] * 2
    assert f"Stopped by {signal.Signals(number).name}" in both.said(0) and both.left_over() == []
    done = json.loads((out / "training.json").read_text())["num_updates"]
    assert num_rows(out) == 1 + 4 * done and done == read_checkpoint(out).num_updates


@pytest.mark.slow
@pytest.mark.parametrize("stopped", [0, 1])
def test_a_process_that_says_nothing_any_more_is_given_up(tmp_path, stopped):
    out, other = tmp_path / "run", 1 - stopped
    with two(tmp_path / "two", *LANES, *steps(10_000), "--out", str(out)) as both:
        wait_for_rows(both, out, 5)
        both.processes[stopped].send_signal(signal.SIGSTOP)
        assert both.processes[other].wait(60) == 1
    assert f"Process {stopped} has fallen silent{LINE.format(other)}" in both.said(other)


@pytest.mark.slow
def test_ten_kills_lose_and_double_no_row(tmp_path):
    """Either process dies at any time; the other ends by itself, and both are started again."""
    out, num_updates, draw = tmp_path / "run", 600, random.Random(0)
    first = (*LANES, *steps(num_updates), "--checkpoint-every", "5", "--out", str(out))
    for number in range(10):
        has_begun, killed = (out / "config.json").exists(), draw.randrange(2)
        other, before = 1 - killed, num_rows(out)
        options = ("--resume", str(out)) if has_begun else first
        with two(tmp_path / f"two-{number}", *options) as both:
            if number % 2:
                until(lambda both=both: "tracing" in both.said(0), both)
                time.sleep(draw.uniform(0, 5))
            else:
                wait_for_rows(both, out, before + 4 * draw.randrange(1, 40))
            both.processes[killed].kill()
            assert both.wait()[other] == 1, both.said(other)
        assert f"Process {killed} has ended early{LINE.format(other)}" in both.said(other)
    train(tmp_path / "last", "--resume", str(out))
    assert_equal(whole(tmp_path / "whole", num_updates, "--checkpoint-every", "5"), out)


def wait_one_second() -> None:
    """Trains, impatiently."""
    processes.WAIT_SECONDS, processes.SOON_SECONDS = 1, 0.1
    run.main([*sys.argv[1:], "--distributed"])


if __name__ == "__main__":
    signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # A shell in the background ignores it.
    finish.draw = lambda *_: None  # Pictures say nothing of processes.
    sys.exit((sweep if "--search" in sys.argv else run).main(sys.argv[1:]))
