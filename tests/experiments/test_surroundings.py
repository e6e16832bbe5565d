"""Strange surroundings: each program works in them, or says in words what is wrong."""

import os
import pwd
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import jax
import pytest

from envs.football.validation import __main__ as validation
from experiments import bench, compare, evaluate, export, reproduce, run, sweep
from experiments.training import program
from experiments.training.console import make_console
from experiments.training.errors import UsageError
from experiments.training.surroundings import check_file
from tests.experiments.made_up_runs import SIZES, write_run

ROOT = Path(__file__).parents[2]

MAIN: dict[str, Callable[..., int]] = {
    each.__name__.rpartition(".")[2]: each.main
    for each in (run, sweep, evaluate, export, compare, reproduce, bench)
}

COMPUTING = {
    "run": ["--env", "maze"],
    "sweep": ["--env", "maze", "--search", "gamma=0.9,0.99"],
    "evaluate": ["."],
    "export": ["."],
    "reproduce": ["figure-3b"],
    "bench": ["seeds", "--quick"],
}
"""What to give each program that computes, so that it would."""


def refused(capfd, name: str, *argv: str) -> str:
    with pytest.raises(SystemExit) as exit_:
        MAIN[name](list(argv))
    errors = in_one_line(capfd.readouterr().err)
    assert exit_.value.code == 2, errors
    return errors


def in_one_line(text: str) -> str:
    return " ".join(text.replace("│", " ").split())


def in_process(*command: str, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize("name", MAIN)
def test_no_program_needs_the_backend_of_a_notebook(name, monkeypatch, capfd):
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    with pytest.raises(SystemExit, match="0"):
        MAIN[name](["--help"])
    assert os.environ["MPLBACKEND"] == "agg"


def test_nothing_is_imported_that_reads_the_backend_before(tmp_path):
    write_run(["--env", "maze", *SIZES], tmp_path / "run", lambda *_: 5)
    command = ["experiments/compare.py", str(tmp_path / "run"), "--out", str(tmp_path / "a.png")]
    done = in_process(*command, MPLBACKEND="module://none.such")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "a.png").exists()


def test_the_football_s_validation_does_not_either_and_says_what_it_cannot_begin_with(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("MPLBACKEND", "module://none.such")
    (tmp_path / "file").touch()
    for options, expected in (
        ({"out": tmp_path / "file" / "out"}, "Not a directory"),
        ({"out": tmp_path, "traces": tmp_path}, "Expected a recording"),
    ):
        with pytest.raises(SystemExit, match="2"):
            validation.main(**options)
        assert expected in capsys.readouterr().err
    assert os.environ["MPLBACKEND"] == "agg"


@pytest.mark.parametrize(("name", "argv"), COMPUTING.items())
def test_without_compilation_no_program_begins(name, argv, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    with jax.disable_jit():
        assert "JAX_DISABLE_JIT: expected not to be set" in refused(capfd, name, *argv)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("platform", "command"),
    [("bogus", ["reproduce.py", "figure-3b"]), ("cuda", ["run.py", "--env", "maze"])],
)
def test_a_device_that_is_not_there_is_a_usage_error(platform, command, tmp_path):
    script, *argv = command
    out = tmp_path / "out"
    environment = {"JAX_PLATFORMS": platform, "CUDA_VISIBLE_DEVICES": ""}
    done = in_process(f"experiments/{script}", *argv, "--out", str(out), **environment)
    errors = in_one_line(done.stderr)
    assert done.returncode == 2 and "Traceback" not in errors, errors
    assert f"JAX_PLATFORMS={platform}" in errors and "There is: cpu" in errors
    assert not out.exists()


def test_python_without_docstrings_is_a_usage_error():
    done = in_process("-OO", "experiments/compare.py", "--help")
    assert done.returncode == 2 and "PYTHONOPTIMIZE" in done.stderr


USE_DISTRIBUTIONS = """
import jax.numpy as jnp
from experiments.training.surroundings import prepare
from oatrpo_jax.config import Config
from oatrpo_jax.policies.policy import Policy
prepare()
Policy.of(Config(), 3).distribution(jnp.zeros(3)).mode()
"""


def test_warnings_may_be_errors():
    done = in_process("-W", "error", "-c", USE_DISTRIBUTIONS)
    assert done.returncode == 0, done.stderr


def no_such_user(_):
    raise KeyError


def test_whoever_has_no_home_has_no_cache(monkeypatch):
    settings = {}
    monkeypatch.setattr(program.jax.config, "update", settings.__setitem__)
    for name in ("JAX_COMPILATION_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", no_such_user)
    monkeypatch.delenv("HOME")
    program.use_compilation_cache()
    assert not settings
    monkeypatch.setenv("HOME", "/somewhere")
    program.use_compilation_cache()
    assert settings["jax_compilation_cache_dir"] == "/somewhere/.cache/oatrpo_jax/programs"


@pytest.mark.parametrize(("kind", "is_live"), [("dumb", False), ("xterm", True)])
def test_a_terminal_that_cannot_move_its_cursor_gets_lines(kind, is_live, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")  # As if it were a terminal.
    monkeypatch.setenv("TERM", kind)
    assert make_console().is_terminal == is_live


def test_where_a_file_can_go_is_known_beforehand_and_nothing_is_left(tmp_path):
    (tmp_path / "file").touch()
    check_file("out", tmp_path / "new.json")
    check_file("out", tmp_path / "file")
    for path, problem in {
        tmp_path: "expected a file, got the directory",
        tmp_path / "none" / "a.json": "No such file or directory",
        tmp_path / "file" / "a.json": "Not a directory",
        Path("/proc/a.json"): r"/proc/a.json \(",
    }.items():
        with pytest.raises(UsageError, match=problem):
            check_file("out", path)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("name", "argv"),
    {
        "evaluate": [".", "--out", "file/a.json"],
        "export": [".", "--out", "file/a.zip"],
        "compare": [".", "--out", "file/a.png"],
        "reproduce": ["figure-3b", "--out", "file"],
        "bench": ["seeds", "--quick", "--out", "file"],
    }.items(),
)
def test_a_file_in_the_place_of_a_directory_is_a_usage_error(
    name, argv, tmp_path, monkeypatch, capfd
):
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    assert refused(capfd, name, *argv).startswith(("╭─ Usage error", "+- Usage error"))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
