"""Every ending, before the first update and after the last one, leaves a run that can go on."""

import json
import shlex
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import pytest

from experiments import run
from experiments.analysis import finish as finish_module
from experiments.analysis.finish import draw
from experiments.training import loop, process, program
from experiments.training.chunks import Device
from experiments.training.evaluation import Evaluator
from experiments.training.folder.checkpoints import find_checkpoints
from experiments.training.folder.metrics import Log
from experiments.training.signals import StopRequest, stop_on_signals
from tests.experiments.faults import lost_numbers
from tests.experiments.trained_run import STEPS, TINY, contents, shared_programs

ARGV = [*TINY, "--seeds", "2", "--total-steps", str(3 * STEPS), "--checkpoint-every", "2"]


@pytest.fixture(scope="module", autouse=True)
def share_program() -> Iterator[None]:
    with shared_programs():
        yield


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, share_program: None) -> Path:
    """The directory of a run that nothing interrupted."""
    directory = tmp_path_factory.mktemp("whole") / "run"
    assert run.main([*ARGV, "--out", str(directory)]) == 0
    return directory


@pytest.fixture
def send_at(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Sends a signal when something is done for the first time, and waits until it is heard."""
    requests: list[StopRequest] = []

    @contextmanager
    def watched() -> Iterator[StopRequest]:
        with stop_on_signals() as stop:
            requests.append(stop)
            yield stop

    def send_at(owner: Any, name: str, number: signal.Signals) -> None:
        action = getattr(owner, name)

        def act(*arguments: Any, **more: Any) -> Any:
            monkeypatch.setattr(owner, name, action)
            signal.raise_signal(number)
            deadline = time.monotonic() + 10
            while not requests[-1]:
                assert time.monotonic() < deadline
                time.sleep(0.001)  # Another thread hears it.
            return action(*arguments, **more)

        monkeypatch.setattr(owner, name, act)

    monkeypatch.setattr(process, "stop_on_signals", watched)
    return send_at


NOTHING, SOMETHING = "no update was done in", "what was done so far is in"
MOMENTS = {
    "compiling": (program, "compile_program", signal.SIGTERM, NOTHING),
    "the first state": (loop.Training, "_first_position", signal.SIGHUP, NOTHING),
    "the first save": (loop, "save_first", signal.SIGINT, NOTHING),
    "the first update": (Device, "start", signal.SIGTERM, SOMETHING),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_run_stopped_at_its_beginning_goes_on(
    moment: str, tmp_path: Path, whole: Path, send_at, capfd
):
    owner, name, number, expected = MOMENTS[moment]
    directory = tmp_path / "my runs" / "one"
    send_at(owner, name, number)
    assert run.main([*ARGV, "--out", str(directory)]) == 128 + number
    errors = capfd.readouterr().err
    assert f"Stopped by {number.name}; {expected} {directory}, and " in errors
    hint = shlex.split(errors[errors.index("python experiments/run.py") :])[2:4]
    assert run.main(hint) == 0
    assert (directory / "metrics.csv").read_bytes() == (whole / "metrics.csv").read_bytes()


def test_an_evaluation_that_is_stopped_is_finished_and_logged_without_a_nan(
    tmp_path: Path, send_at
):
    directory, argv = tmp_path / "run", [*ARGV, "--eval-every", "1", "--eval-episodes", "4"]
    send_at(Evaluator, "play", signal.SIGTERM)
    with jax.debug_nans(True):
        assert run.main([*argv, "--out", str(directory)]) == 143
        for name in ("metrics.csv", "evaluation.csv"):
            updates = [line.split(",")[2] for line in (directory / name).read_text().split()[1:]]
            assert updates == ["1", "1"]  # Two seeds.
        assert run.main(["--resume", str(directory)]) == 0


def test_a_signal_after_the_last_update_leaves_a_run_that_is_complete(
    tmp_path: Path, send_at, capfd
):
    send_at(finish_module, "summarise", signal.SIGTERM)
    assert run.main([*ARGV, "--out", str(tmp_path / "run")]) == 0
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["completed"]
    assert "Stopped by" not in capfd.readouterr().err


def test_a_finished_run_is_as_it_was_until_it_can_be_extended(
    whole: Path, send_at, monkeypatch, capfd
):
    before = contents(whole)
    more = ["--resume", str(whole), "--total-steps", str(5 * STEPS), "--actor-lr", "0.25"]
    with monkeypatch.context() as patch:
        patch.setattr(program, "compile_program", no_memory)
        assert run.main(more) == 1
    assert "too little memory" in capfd.readouterr().err
    assert contents(whole) == before
    send_at(program, "compile_program", signal.SIGTERM)
    assert run.main(more) == 143
    assert contents(whole) == before


def no_memory(*_: Any) -> Any:
    raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory")


def test_a_first_checkpoint_that_cannot_be_loaded_ends_the_run_at_once(
    tmp_path: Path, monkeypatch, capfd
):
    def fail(path: Path, like: Any, is_part: bool) -> Any:
        raise ValueError("not what was saved")

    monkeypatch.setattr("oatrpo_jax.checkpoint.load_checkpoint", fail)
    with pytest.raises(SystemExit) as exit_:
        run.main([*ARGV, "--out", str(tmp_path / "run")])
    assert exit_.value.code == 2
    assert "no checkpoint in" in capfd.readouterr().err
    assert not (tmp_path / "run" / "metrics.csv").exists()


@pytest.mark.parametrize("name", ["lr[1]", "[/a]", "a\\b", "gs:", "a*b", "日本", "my runs"])
def test_a_run_in_an_odd_place_is_a_run(name: str, tmp_path: Path, whole: Path):
    directory = tmp_path / name / "run"
    argv = [*ARGV[: ARGV.index("--total-steps")], "--total-steps", str(STEPS)]
    assert run.main([*argv, "--out", str(directory)]) == 0
    assert run.main(["--resume", str(directory), "--total-steps", str(3 * STEPS)]) == 0
    assert list(find_checkpoints(directory)) == [1, 3]
    assert (directory / "metrics.csv").read_bytes() == (whole / "metrics.csv").read_bytes()


def test_what_is_shown_does_not_decide_over_training(tmp_path: Path, monkeypatch, capfd):
    class Broken:
        encoding = "utf-8"

        def write(self, text: str) -> int:
            raise BrokenPipeError(32, "Broken pipe")

        def flush(self) -> None: ...

        def fileno(self) -> int:
            raise OSError

        def isatty(self) -> bool:
            return False

    monkeypatch.setattr("sys.stdout", Broken())
    assert run.main([*ARGV, "--out", str(tmp_path / "run")]) == 0
    assert "stdout takes no more (Broken pipe)" in capfd.readouterr().err
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["completed"]


def test_runs_that_begin_in_one_second_get_directories_of_their_own(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(time, "strftime", lambda form: "20260101-000000")
    for _ in range(3):
        assert run.main(ARGV) == 0
    names = {path.name for path in (tmp_path / "runs").iterdir()}
    first = "maze-oappo-20260101-000000"
    assert names == {first, f"{first}-2", f"{first}-3"}


def test_points_that_agree_in_six_digits_have_names_of_their_own(tmp_path: Path, capfd):
    values = ["0.9999991", "0.9999993"]
    argv = [*ARGV, "--gamma", *values, "--out", str(tmp_path / "run")]
    assert run.main(argv) == 0
    shown = capfd.readouterr().out
    assert f"0: gamma={values[0]}" in shown and f"1: gamma={values[1]}" in shown
    boards = sorted(path.name for path in (tmp_path / "run" / "tensorboard").iterdir())
    assert boards == [f"{point}, gamma={value}" for point, value in enumerate(values)]


def test_a_run_that_is_lost_in_its_first_update_ends_in_words(tmp_path: Path, monkeypatch, capfd):
    monkeypatch.setattr(finish_module, "draw", draw)
    directory = tmp_path / "run"
    with lost_numbers(update=1, point=0, seed=0):
        assert run.main([*ARGV, "--out", str(directory)]) == 1
    errors = capfd.readouterr().err
    assert "critic/loss is not finite in update 1" in errors and "is of update 0" in errors
    assert (directory / "curves.png").exists() and (directory / "reuse.png").exists()
    assert run.main(["--resume", str(directory), "--actor-lr", "0.0001"]) == 0


def test_a_disk_that_is_full_before_the_first_row_ends_in_words(
    tmp_path: Path, whole: Path, monkeypatch, capfd
):
    def fail(log: Log, *_: Any) -> None:
        log.path.write_text("point,seed")  # A part of the head.
        raise OSError(28, "No space left on device", str(log.path))

    directory = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(Log, "append", fail)
        assert run.main([*ARGV, "--out", str(directory)]) == 1
    assert "metrics.csv: No space left on device" in capfd.readouterr().err
    assert run.main(["--resume", str(directory)]) == 0
    assert (directory / "metrics.csv").read_bytes() == (whole / "metrics.csv").read_bytes()


def test_a_program_that_needs_too_much_memory_leaves_what_can_be_resumed(
    tmp_path: Path, whole: Path, monkeypatch
):
    directory = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(program, "compile_program", no_memory)
        assert run.main([*ARGV, "--out", str(directory)]) == 1
    assert run.main(["--resume", str(directory)]) == 0
    assert (directory / "metrics.csv").read_bytes() == (whole / "metrics.csv").read_bytes()
