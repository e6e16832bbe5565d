import ast
import re
from importlib import import_module

import pytest

from experiments.training import naming
from experiments.training.naming import STARTED_BY, command


def test_programs_of_a_clone_are_scripts(monkeypatch):
    monkeypatch.delenv(STARTED_BY, raising=False)
    assert command("sweep") == "python experiments/sweep.py"


def test_programs_that_the_installed_command_started_are_commands(monkeypatch):
    monkeypatch.setenv(STARTED_BY, "oatrpo")
    assert command("sweep") == "oatrpo sweep"


def test_where_there_is_no_clone_programs_are_commands_whoever_started_them(tmp_path, monkeypatch):
    monkeypatch.delenv(STARTED_BY, raising=False)
    monkeypatch.setattr(naming, "ROOT", tmp_path)
    assert command("sweep") == "oatrpo sweep"


@pytest.mark.parametrize(
    "name", ["run", "sweep", "join", "evaluate", "export", "compare", "reproduce", "bench"]
)
def test_no_text_of_a_program_names_a_script_where_the_command_was_typed(name, monkeypatch, capsys):
    monkeypatch.setenv(STARTED_BY, "oatrpo")
    main = import_module(f"experiments.{name}").main
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    text = capsys.readouterr().out
    assert f"usage: oatrpo {name}" in text
    assert not re.search(r"\w\.py\b(?!:NAME)|\{run\}", text)
    with pytest.raises(SystemExit, match="2"):
        main(["--no-such-option"])
    assert ".py" not in capsys.readouterr().err


def strings(path):
    """Yields the texts in a file that are no documentation."""
    tree = ast.parse(path.read_text())
    documentation = {id(each.value) for each in ast.walk(tree) if isinstance(each, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and id(node) not in documentation:
            yield str(node.value)


def test_no_message_spells_a_script():
    for path in (naming.ROOT / "experiments").rglob("*.py"):
        spelt = [text for text in strings(path) if re.search(r"experiments/\w*\.py", text)]
        assert not spelt, path
