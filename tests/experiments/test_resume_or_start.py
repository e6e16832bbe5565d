"""One line starts a run, goes on with it after a kill, and does nothing once it is finished."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from experiments import run, sweep
from experiments.training import chunks, console, loop, process
from experiments.training.errors import UsageError
from experiments.training.folder.checkpoints import find_checkpoints
from experiments.training.folder.files import write_json
from experiments.training.settings.command_line import parse
from experiments.training.settings.config_file import describe_experiment
from experiments.training.settings.experiment import build
from tests.experiments.trained_run import STEPS, TINY, contents, shared_programs

LINE = [*TINY, "--seeds", "2", "--total-steps", str(4 * STEPS), "--checkpoint-every", "2"]
SEARCH = ["--search", "actor_lr=log:1e-4:1e-2", "--points", "1"]


@pytest.fixture(scope="module", autouse=True)
def share_program() -> Iterator[None]:
    with shared_programs():
        yield


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, share_program: None) -> Path:
    """The directory of a run that nothing interrupted."""
    directory = tmp_path_factory.mktemp("whole") / "run"
    assert start(directory) == 0
    return directory


class Killed(Exception):
    """What a killed process would not even see."""


def start(directory: Path, *more: str) -> int:
    return run.main([*LINE, *more, "--out", str(directory), "--resume-or-start"])


def killed(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, when: Any, begin: Any) -> None:
    """Lets a process end without a word where a function is called with what ``when`` accepts."""

    def die(*arguments: Any) -> None:
        if when(*arguments):
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, die)
        with pytest.raises(Killed):
            begin()


def refused(capfd, command: Any) -> str:
    """Returns what a command line says that exits with 2."""
    capfd.readouterr()
    with pytest.raises(SystemExit) as exit_:
        command()
    assert exit_.value.code == 2
    return " ".join(capfd.readouterr().err.replace("│", " ").split())


def assert_same(directory: Path, whole: Path) -> None:
    for name in ("metrics.csv", "matrices.csv"):
        assert (directory / name).read_bytes() == (whole / name).read_bytes(), name
    assert json.loads((directory / "summary.json").read_text())["completed"]


def test_a_job_started_again_goes_on_to_the_bit(whole: Path, tmp_path, monkeypatch):
    out = tmp_path / "run"
    out.mkdir()
    # Before config.json was written, before the first update, and after update 3 of 4.
    killed(monkeypatch, process, "write_json", lambda *_: True, lambda: start(out))
    assert not (out / "config.json").exists()
    killed(monkeypatch, loop, "save_first", lambda *_: True, lambda: start(out))
    assert (out / "config.json").exists() and not find_checkpoints(out)
    monkeypatch.setattr(chunks, "next_length", lambda *_, **__: 1)
    third = lambda *each: each[-1][-1] == 3  # noqa: E731
    killed(monkeypatch, console.ProgressLine, "show", third, lambda: start(out))
    assert max(find_checkpoints(out)) == 2
    assert start(out) == 0
    assert_same(out, whole)
    assert [one["after_update"] for one in read_config(out)["resumed"]] == [0, 2]


def read_config(directory: Path) -> dict[str, Any]:
    return json.loads((directory / "config.json").read_text())


def test_a_finished_run_has_nothing_left_to_do(whole: Path, capfd):
    before = contents(whole)
    assert start(whole) == 0
    assert "Nothing is left to do" in capfd.readouterr().out
    assert contents(whole) == before


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        (["--num-epochs", "3"], "num_epochs was"),
        (["--slice", "0/2"], "slice was None, got 0/2"),
        (["--resume", "elsewhere"], "got it beside --resume"),
    ],
)
def test_another_line_is_refused_and_changes_nothing(more, expected, whole: Path, capfd):
    before = contents(whole)
    assert expected in refused(capfd, lambda: start(whole, *more))
    assert contents(whole) == before


def test_it_has_to_be_said_where(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    errors = refused(capfd, lambda: run.main([*LINE, "--resume-or-start"]))
    assert "resume_or_start: expected beside --out DIR" in errors
    assert not list(tmp_path.iterdir())


def test_a_directory_that_holds_something_else_is_refused(tmp_path, capfd):
    (tmp_path / "notes.txt").touch()
    assert "holds files" in refused(capfd, lambda: start(tmp_path))


def stored(directory: Path, *line: str) -> list[str]:
    """Leaves config.json as a run of that line would; returns the line."""
    argv = [*line, "--out", str(directory), "--resume-or-start"]
    directory.mkdir()
    write_json(directory / "config.json", describe_experiment(build(parse(argv))))
    return argv


def test_a_preset_counts_at_the_first_start_alone(tmp_path):
    preset = tmp_path / "preset.json"
    preset.write_text('{"hyperparameters": {"actor_lr": 0.25}}')
    argv = stored(tmp_path / "run", *LINE, "--preset", str(preset))
    preset.unlink()
    options = parse(argv)
    assert options.run.resume == tmp_path / "run" and options.run.preset is None
    assert options.coefficients["actor_lr"] == (0.25,)


@pytest.mark.parametrize("again", ["--resume-or-start", "--resume"])
def test_a_file_of_an_environment_is_the_same_however_its_path_is_typed(
    again, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text("import envs\ndef small():\n    return envs.make('maze')\n")
    argv = stored(tmp_path / "run", "--env", "mine.py:small")
    if again == "--resume":
        argv = ["--env", "./mine.py:small", "--resume", "run"]
    assert parse(argv).run.env == str(tmp_path / "mine.py:small")
    Path("other.py").write_text(Path("mine.py").read_text())
    with pytest.raises(UsageError, match=r"env was .*mine.py:small, got .*other.py:small"):
        parse([each.replace("mine.py", "other.py") for each in argv])


def test_what_lenient_left_out_is_left_out_again(tmp_path, capfd):
    unread = ["--lenient", "--kl-threshold", "0.1", "0.2", "--reuse-matrix", "rr"]
    argv = stored(tmp_path / "run", *LINE, *unread)
    assert len(build(parse(argv)).points) == 1
    with pytest.raises(UsageError, match="kl_threshold was"):
        parse([each for each in argv if each != "--lenient"])


def test_a_sweep_goes_on_as_the_one_that_was_typed(tmp_path, monkeypatch, capfd):
    out = tmp_path / "sweep"
    argv = [*SEARCH, *LINE, "--out", str(out), "--resume-or-start"]
    killed(monkeypatch, loop, "save_first", lambda *_: True, lambda: sweep.main(argv))
    points = read_config(out)["points"]
    drawn_again = Mock(side_effect=AssertionError)
    monkeypatch.setattr("experiments.training.settings.search.search_points", drawn_again)
    other = [each.replace("1e-4", "1e-5") for each in argv]
    errors = refused(capfd, lambda: sweep.main(other))
    assert "search was actor_lr=log:1e-4:1e-2, got actor_lr=log:1e-5:1e-2" in errors
    assert sweep.main(argv) == 0
    assert read_config(out)["points"] == points and (out / "preset.json").exists()
    assert sweep.main(argv) == 0
    assert "Nothing is left to do" in capfd.readouterr().out


def test_a_run_is_no_sweep(whole: Path, capfd):
    argv = [*SEARCH, *LINE, "--out", str(whole), "--resume-or-start"]
    assert "expected a sweep" in refused(capfd, lambda: sweep.main(argv))
