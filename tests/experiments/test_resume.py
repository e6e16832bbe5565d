"""A run that was stopped goes on to the bit; what does not fit or is damaged is said, not lost."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments import run
from experiments.training import chunks, console
from experiments.training.errors import UsageError
from experiments.training.folder.checkpoints import find_checkpoints
from experiments.training.folder.files import LOCK, locked, write_json
from experiments.training.folder.metrics import as_text
from experiments.training.settings.command_line import parse
from experiments.training.settings.config_file import describe_experiment, describe_resumption
from experiments.training.settings.experiment import build
from experiments.training.settings.stored import stored_options
from experiments.training.team import load_team
from oatrpo_jax.checkpoint import to_host
from oatrpo_jax.hyperparams import ENDS
from tests.experiments.events import read_scalars
from tests.experiments.faults import damage, full_disk, lost_numbers
from tests.experiments.trained_run import (
    STEPS,
    TINY,
    contents,
    read_checkpoint,
    shared_programs,
)

SMALL = [*TINY, "--seeds", "2", "--seed", "3"]
TOTAL = 12
"""Updates of a whole run."""
TIMINGS = {"compile_seconds", "run_seconds", "env_steps_per_second"}


@pytest.fixture(scope="module", autouse=True)
def share_program() -> Iterator[None]:
    with shared_programs():
        yield


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, share_program: None) -> Path:
    """The directory of a run that nothing interrupted."""
    directory = tmp_path_factory.mktemp("whole") / "run"
    assert begin(directory, TOTAL) == 0
    return directory


@pytest.fixture
def stopped(whole: Path, tmp_path: Path) -> Path:
    """The directory of a run that was asked for 8 updates, with checkpoints after 4 and 8."""
    directory = tmp_path / "stopped"
    assert begin(directory, 8) == 0
    assert list(find_checkpoints(directory)) == [4, 8]
    return directory


def begin(directory: Path, num_updates: int, *argv: str, every: int = 4) -> int:
    numbers = ["--total-steps", str(num_updates * STEPS), "--checkpoint-every", str(every)]
    return run.main([*SMALL, *numbers, "--out", str(directory), *argv])


def go_on(directory: Path, *argv: str, num_updates: int | None = TOTAL) -> int:
    steps = [] if num_updates is None else ["--total-steps", str(num_updates * STEPS)]
    return run.main(["--resume", str(directory), *steps, *argv])


def refused(directory: Path, *argv: str, capfd: Any) -> str:
    """Returns the usage error that a resumption ends with, having changed nothing."""
    before = contents(directory)
    capfd.readouterr()
    with pytest.raises(SystemExit) as exit_:
        run.main(["--resume", str(directory), *argv])
    assert exit_.value.code == 2
    assert contents(directory) == before
    errors = " ".join(capfd.readouterr().err.replace("│", " ").split())
    assert "Traceback" not in errors
    return errors


def state_of(directory: Path) -> dict[str, bytes]:
    restored = read_checkpoint(directory)
    assert restored.num_updates == TOTAL
    return {name: array.tobytes() for name, array in to_host(restored.state).items()}


def summary_of(directory: Path) -> dict[str, Any]:
    summary = json.loads((directory / "summary.json").read_text())
    return {name: value for name, value in summary.items() if name not in TIMINGS}


def assert_same(directory: Path, whole: Path) -> None:
    for name in ("metrics.csv", "matrices.csv"):
        assert (directory / name).read_bytes() == (whole / name).read_bytes(), name
    assert state_of(directory) == state_of(whole)
    assert summary_of(directory) == summary_of(whole)


def scalars(directory: Path) -> dict[tuple[str, int], float]:
    return read_scalars(directory / "tensorboard")


def test_a_finished_run_goes_on_as_if_it_had_been_longer(stopped: Path, whole: Path):
    assert go_on(stopped) == 0
    assert_same(stopped, whole)
    assert scalars(stopped) == scalars(whole)
    assert list(find_checkpoints(stopped)) == list(find_checkpoints(whole)) == [8, 12]


def test_rows_after_the_last_checkpoint_are_written_again(tmp_path: Path, whole: Path, monkeypatch):
    class Killed(Exception):
        pass

    def die(line: console.ProgressLine, metrics: Any, updates: Any) -> None:
        if updates[-1] == 7:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(console.ProgressLine, "show", die)
        patch.setattr(chunks, "next_length", lambda *_, **__: 3)  # Chunks of 1, 3 and 3 updates.
        with pytest.raises(Killed):
            begin(tmp_path / "run", TOTAL)
    num_lines = len((tmp_path / "run" / "metrics.csv").read_text().splitlines())
    assert num_lines == 1 + 7 * 2  # A head, and 7 updates of 2 seeds.
    assert list(find_checkpoints(tmp_path / "run")) == [0, 4]
    assert go_on(tmp_path / "run", num_updates=None) == 0
    assert_same(tmp_path / "run", whole)
    assert scalars(tmp_path / "run") == scalars(whole)


@pytest.mark.parametrize("length", [1, 5])
def test_the_length_of_chunks_changes_nothing(
    length: int, tmp_path: Path, whole: Path, monkeypatch
):
    monkeypatch.setattr(chunks, "next_length", lambda *_, **__: length)
    assert begin(tmp_path / "run", TOTAL, every=0) == 0
    assert_same(tmp_path / "run", whole)


def test_a_run_killed_before_its_first_checkpoint_begins_again(tmp_path: Path, whole: Path):
    directory = tmp_path / "run"
    directory.mkdir()
    shutil.copy(whole / "config.json", directory)
    (directory / "metrics.csv").touch()
    assert go_on(directory, num_updates=None) == 0
    assert_same(directory, whole)


def test_nothing_is_left_to_do_in_a_finished_run(whole: Path, capfd):
    before = contents(whole)
    assert go_on(whole, num_updates=None) == 0
    assert "Nothing is left to do" in capfd.readouterr().out
    assert contents(whole) == before


def test_a_run_killed_while_it_drew_is_completed(whole: Path, tmp_path: Path):
    directory = shutil.copytree(whole, tmp_path / "run")
    (directory / "summary.json").unlink()
    assert go_on(directory, num_updates=None) == 0
    assert_same(directory, whole)


DIFFERENT = {
    "environment": (["--env", "smax:3m"], "env was maze, got smax:3m"),
    "algorithm": (["--algorithm", "happo"], "algorithm was oappo, got happo"),
    "shapes": (["--hidden-sizes", "4"], "hidden_sizes was 8, got 4"),
    "two": (["--num-envs", "2", "--seeds", "1"], "seeds was 2, got 1; num_envs was 4, got 2"),
    "memory": (["--memory-size", "4"], "memory_size was 0, got 4"),
    "structure": (["--layer-norm"], "layer_norm was False, got True"),
    "grid": (["--reuse-sigma", "0.1", "1"], "reuse_sigma was 0.1, got 0.1 1.0"),
    "matrices": (["--matrix-every", "2"], "matrix_every was 0, got 2"),
    "directory": (["--out", "elsewhere"], "out was None, got elsewhere"),
    "fewer steps": (["--total-steps", "64"], "512 steps are done already, got 64"),
    "not read": (["--kl-threshold", "0.1"], "kl_threshold is not read by oappo"),
    "out of range": (["--actor-lr", "-1"], "actor_lr"),
    "keep none": (["--keep-checkpoints", "0"], "keep_checkpoints: expected at least 1"),
    "negative": (["--checkpoint-every", "-1"], "checkpoint_every: expected at least 0"),
}


def test_other_settings_are_refused_by_name(stopped: Path, capfd):
    for argv, expected in DIFFERENT.values():
        assert expected in refused(stopped, *argv, capfd=capfd)


def test_a_coefficient_may_change_for_the_updates_to_come(stopped: Path, whole: Path):
    assert go_on(stopped, "--actor-lr", "0.25") == 0
    ours, theirs = ((d / "metrics.csv").read_text().splitlines() for d in (stopped, whole))
    assert ours[:17] == theirs[:17]  # A head, and 8 updates of 2 seeds.
    assert ours[17:] != theirs[17:]
    config = json.loads((stopped / "config.json").read_text())
    (entry,) = config["resumed"]
    assert entry["after_update"] == 8
    assert entry["changed"] == {"actor_lr": {"from": [0.0005], "to": [0.25]}}
    assert stored_options(stopped).coefficients["actor_lr"] == (0.25,)


def test_options_read_back_to_the_bit(tmp_path: Path):
    argv = ["--actor-lr", "0.1234567890123456789", "--reuse-sigma", "1e-30", "3e7", "--layer-norm"]
    more = ["--total-steps", "100", "--num-minibatches", "2", "--hidden-sizes", "3", "5"]
    options = parse([*SMALL, *argv, *more, "--out", str(tmp_path / "run")])
    write_json(tmp_path / "config.json", describe_experiment(build(options)))
    assert stored_options(tmp_path).by_name() == options.by_name() | {"out": None}


def test_a_run_of_before_there_were_memories_and_schedules_goes_on_without(
    whole: Path, tmp_path: Path
):
    content = json.loads((whole / "config.json").read_text())
    assert content["config"].pop("memory_size") == 0
    assert content["config"].pop("normalise_inputs") is False
    assert content["run"].pop("schedule_steps") == 0
    assert all(content["hyperparameters"].pop(end) == [] for end in ENDS.values())
    write_json(tmp_path / "config.json", content)
    options = stored_options(tmp_path)
    assert options.by_name() == stored_options(whole).by_name()
    assert describe_resumption(content, build(options), 12, {})["resumed"][0]["changed"] == {}


def test_other_versions_are_named_and_the_run_goes_on(stopped: Path, whole: Path, capfd):
    path = stopped / "config.json"
    config = json.loads(path.read_text())
    config["versions"]["jax"] = "0.4.1"
    path.write_text(json.dumps(config))
    assert go_on(stopped) == 0
    assert "began with jax 0.4.1, now" in capfd.readouterr().err
    assert_same(stopped, whole)


def test_a_run_of_another_version_of_this_package_is_refused(stopped: Path, capfd):
    path = stopped / "config.json"
    config = json.loads(path.read_text())
    config["versions"]["oatrpo_jax"] = "0.0.1"
    path.write_text(json.dumps(config))
    with pytest.raises(SystemExit) as exit_:
        go_on(stopped)
    assert exit_.value.code == 2
    assert "began with oatrpo_jax 0.0.1, now" in capfd.readouterr().err


def test_a_damaged_checkpoint_gives_way_to_the_one_before(stopped: Path, whole: Path, capfd):
    damage(find_checkpoints(stopped)[8])
    capfd.readouterr()
    assert load_team(stopped).updates[0, 0] == 4
    assert "000000008" in capfd.readouterr().err
    assert go_on(stopped) == 0
    assert "Warning: a checkpoint cannot be loaded" in capfd.readouterr().err
    assert_same(stopped, whole)
    assert (stopped / "checkpoints" / "000000008.damaged").is_dir()


def test_without_a_sound_checkpoint_nothing_is_touched(stopped: Path, capfd):
    for path in find_checkpoints(stopped).values():
        damage(path)
    more = ["--total-steps", str(TOTAL * STEPS)]
    assert "no checkpoint in" in refused(stopped, *more, capfd=capfd)
    shutil.rmtree(stopped / "checkpoints")
    assert "no checkpoint to go on from" in refused(stopped, *more, capfd=capfd)


@pytest.mark.parametrize("name", ["metrics.csv", "matrices.csv"])
@pytest.mark.parametrize("cut", ["row", "file", "cell"])
def test_logs_that_do_not_reach_the_checkpoint_are_refused(
    stopped: Path, cut: str, name: str, capfd
):
    path = stopped / name
    text = path.read_text()
    if cut == "file":
        path.unlink()
    else:
        path.write_text(text[: text.rindex("\n", 0, -1) + 1] if cut == "row" else text[:-2])
    more = ["--total-steps", str(TOTAL * STEPS)]
    assert "does not hold the rows of 8 updates" in refused(stopped, *more, capfd=capfd)


def test_logs_with_other_columns_are_refused_before_anything_is_done(stopped: Path, capfd):
    more = ["--total-steps", str(TOTAL * STEPS)]
    for name, column in (("metrics.csv", b"critic/loss"), ("matrices.csv", b"reuse/weight/1/0")):
        whole = (stopped / name).read_bytes()
        for content, complaint in (
            (whole.replace(column, b"other"), f"expected {column.decode()}, got other"),
            (b"\xef\xbb\xbf" + whole, f"{name} does not hold the rows of 8 updates before the"),
        ):
            (stopped / name).write_bytes(content)
            assert complaint in refused(stopped, *more, capfd=capfd)
        (stopped / name).write_bytes(whole)


def test_rarer_matrices_are_those_of_a_run_that_never_stopped(
    tmp_path: Path, whole: Path, monkeypatch
):
    monkeypatch.setattr(chunks, "next_length", lambda *_, **__: 3)
    assert begin(tmp_path / "run", 8, "--matrix-every", "5") == 0
    assert go_on(tmp_path / "run") == 0
    ours, theirs = (d / "matrices.csv" for d in (tmp_path / "run", whole))
    head, *rows = theirs.read_text().splitlines()
    # A row per seed after the first, the sixth and the eleventh of twelve updates.
    kept = [row for row in rows if row.split(",")[2] in ("1", "6", "11")]
    assert len(kept) == 6
    assert ours.read_text().splitlines() == [head, *kept]
    assert (tmp_path / "run" / "metrics.csv").read_bytes() == (whole / "metrics.csv").read_bytes()


def test_no_run_is_no_run(tmp_path: Path, capfd):
    assert "holds no run" in refused(tmp_path, capfd=capfd)
    assert "holds no run" in refused(tmp_path / "nowhere", capfd=capfd)
    with pytest.raises(UsageError, match="holds no run"):
        load_team(tmp_path)


MALICIOUS = {
    "not json": "{",
    "a list": "[]",
    "empty": "{}",
    "an option for a value": {"run": {"env": "--help"}},
    "an option for a name": {"run": {"env maze --out": "/tmp/escaped"}},
    "a place to write": {"run": {"out": "/tmp/escaped"}},
    "a path for an environment": {"run": {"env": "../../../etc/passwd"}},
    "code for an option": {"run": {"env_option": ["layout=__import__('os').abort()"]}},
    "no number": {"config": {"num_envs": "many"}},
    "a nested value": {"config": {"num_envs": {"a": [1]}}},
    "huge": {"config": {"num_envs": 10**12, "hidden_sizes": [10**9]}},
    "not finite": {"hyperparameters": {"actor_lr": [float("nan")]}},
    "unknown": {"hyperparameters": {"temperature": [1.0]}},
}


@pytest.mark.parametrize("content", MALICIOUS.values(), ids=MALICIOUS.keys())
def test_a_malicious_config_is_refused(content: Any, whole: Path, tmp_path: Path, capfd):
    directory = shutil.copytree(whole, tmp_path / "run")
    if isinstance(content, dict):
        config = json.loads((whole / "config.json").read_text())
        content = json.dumps(config | {k: config[k] | v for k, v in content.items()})
    (directory / "config.json").write_text(content)
    refused(directory, "--total-steps", "6400", capfd=capfd)
    with pytest.raises(UsageError):
        load_team(directory)
    assert not Path("/tmp/escaped").exists()


def test_a_second_process_is_refused_and_a_dead_one_taken_over(stopped: Path, whole: Path, capfd):
    with locked(stopped):
        assert "in use by process" in refused(stopped, "--total-steps", "6400", capfd=capfd)
    (stopped / LOCK).write_text("12345")
    assert go_on(stopped) == 0
    assert "process 12345" in capfd.readouterr().err
    assert (stopped / LOCK).read_text() == ""
    assert_same(stopped, whole)


def test_a_full_disk_ends_the_run_clearly_and_it_goes_on_later(stopped: Path, whole: Path, capfd):
    with full_disk((stopped / "metrics.csv").stat().st_size + 10):
        assert go_on(stopped) == 1
    errors = capfd.readouterr().err
    assert "cannot write" in errors and "Traceback" not in errors
    assert load_team(stopped).updates[0, 0] == 8
    assert go_on(stopped) == 0
    assert_same(stopped, whole)


def test_a_failed_last_save_is_a_failure(stopped: Path, whole: Path, monkeypatch, capfd):
    def fail(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("experiments.training.folder.checkpoints.save_checkpoint", fail)
        assert go_on(stopped) == 1
    errors = capfd.readouterr().err
    assert "No space left on device" in errors
    assert "newest checkpoint is of update 8" in errors
    assert go_on(stopped) == 0
    assert_same(stopped, whole)


def test_a_fault_leaves_a_checkpoint_from_before(stopped: Path, capfd):
    with lost_numbers(update=10, point=0, seed=1):
        assert go_on(stopped) == 1
    errors = capfd.readouterr().err
    assert "critic/loss is not finite in update 10 at point 0 (oappo), seed 4" in errors
    assert "newest checkpoint is of update 8" in errors
    assert go_on(stopped, "--actor-lr", "0.0001") == 0
    assert summary_of(stopped)["completed"]


@given(st.lists(st.floats(width=32), min_size=1))
def test_cells_read_back_to_the_bit(numbers: list[float]):
    column = np.array(numbers, np.float32)
    text = as_text(column)
    read = np.where(text == "", "nan", text).astype(np.float32)
    is_nan = np.isnan(column)
    assert (np.isnan(read) == is_nan).all()
    assert read[~is_nan].tobytes() == column[~is_nan].tobytes()
