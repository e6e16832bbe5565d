"""The installed command: a door that knows every program, and starts one."""

import re
import sys

import pytest

from experiments import run
from oatrpo_jax import __version__
from oatrpo_jax.__main__ import PROGRAMS, main
from oatrpo_jax.installation import ROOT, STARTED_BY


@pytest.fixture(autouse=True)
def typed(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/usr/bin/oatrpo"])
    monkeypatch.setenv(STARTED_BY, "")


def test_every_script_is_a_program():
    scripts = {path.stem for path in (ROOT / "experiments").glob("[!_]*.py")}
    assert set(PROGRAMS) == scripts


@pytest.mark.parametrize("argv", [[], ["--help"], ["-h"]])
def test_help_lists_every_program_in_a_line_and_shows_examples(argv, capsys):
    assert main(argv) == 0
    text = capsys.readouterr().out
    for name, what in PROGRAMS.items():
        assert re.search(rf"^  {name} +{re.escape(what)}$", text, re.MULTILINE)
    assert "  oatrpo run --env maze\n" in text and max(map(len, text.splitlines())) <= 100


def test_the_version_is_the_package_s(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"{__version__}\n"


@pytest.mark.parametrize(
    ("name", "expected"), [("evalute", ". Did you mean evaluate?"), ("xyz", "see oatrpo --help")]
)
def test_another_name_is_a_usage_error_with_a_guess(name, expected, capsys):
    assert main([name]) == 2
    error = capsys.readouterr().err
    assert f"expected one of {', '.join(PROGRAMS)}, got {name!r}" in error and expected in error


def test_a_program_gets_what_follows_its_name_and_its_exit_code_is_the_command_s(monkeypatch):
    monkeypatch.setattr(run, "main", lambda argv: len(argv))
    assert main(["run", "--env", "maze"]) == 2
    monkeypatch.setattr(sys, "argv", ["/usr/bin/oatrpo", "run", "--resume", "runs/a"])
    assert main() == 2


def test_a_program_knows_how_it_was_started(monkeypatch):
    from experiments.training.naming import command

    monkeypatch.setattr(run, "main", lambda argv: command("run"))
    assert main(["run"]) == "oatrpo run"
    monkeypatch.setattr(sys, "argv", [str(ROOT / "oatrpo_jax" / "__main__.py")])
    assert main(["run"]) == "python -m oatrpo_jax run"
