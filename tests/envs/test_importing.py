"""Environments of anybody's: found by file or module, refused in words, found again by a run."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import envs
from envs.importing import absolute, check_is_here, find_again
from envs.options import make_with_options, make_with_source, options_taken, parse_options

MAZE = '''
from dataclasses import dataclass
import helper
from envs.maze import Maze as Theirs

@dataclass
class Size:
    """Dataclasses look up their module while it is executed."""
    number: "int"

class Maze(Theirs):
    def __init__(self, count: int = 1):
        super().__init__("black-red", num_per_colour=Size(count).number)

def make(count: int = 1, shape="small"):
    if count < 0:
        raise RuntimeError("less than nothing")
    return Maze(count)

def must(size: int):
    return Maze(size)

def anything(**options):
    return Maze(len(options))

def nothing():
    return None

class Bare:
    """No environment."""

number = 3
'''

CHANGED = "which makes the run's environment, has changed since the run began"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the file, a helper beside it and a package, from which Python was started."""
    (tmp_path / "helper.py").write_text("")
    (tmp_path / "mine.py").write_text(MAZE)
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "__init__.py").write_text("")
    (tmp_path / "pack" / "sub.py").write_text("from . import inner\n" + MAZE)
    (tmp_path / "pack" / "inner.py").write_text("")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_a_class_or_a_function_of_a_file_or_a_module_makes_the_environment(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder))
    for name in ("mine.py:make", "./mine.py:Maze", "~/mine.py:Maze", f"{folder}/mine.py:make"):
        assert envs.make(name, count=2).num_agents == 4
    assert envs.make("pack.sub:make").num_agents == envs.make("pack/../mine.py:make").num_agents
    assert envs.option_names("mine.py:make") == ("count", "shape")
    assert envs.family_of("mine.py:make") is None


def test_a_file_may_have_the_name_of_a_family_or_of_a_library(folder):
    for name in ("maze.py", "jax.py", "smax.py"):
        (folder / name).write_text(MAZE)
        assert envs.make(f"{name}:make", count=3).num_agents == 6
        assert envs.family_of(f"{name}:make") is None
    import jax

    assert hasattr(jax, "jit")


def test_options_are_the_parameters(folder):
    for name in ("mine.py:make", "mine.py:Maze"):
        with pytest.raises(ValueError, match=r"count to be a whole number, got 1\.5"):
            make_with_options(name, parse_options(["count=1.5"]))
        with pytest.raises(ValueError, match="has no weather; expected one of count"):
            make_with_options(name, {"weather": 1})
    with pytest.raises(
        ValueError, match=r"^env_option: .* needs size; give --env-option size=VALUE"
    ):
        envs.make("mine.py:must")
    assert make_with_options("mine.py:must", {"size": 2}).num_agents == 4
    assert make_with_options("mine.py:anything", {"a": 1, "b": 2}).num_agents == 4
    assert options_taken("mine.py:make", {"count": 1, "time_limit": 2}) == {"count": 1}


def test_what_makes_no_choice_says_that_it_takes_none(folder):
    with pytest.raises(ValueError, match=r"mine.py:nothing has no size; it takes none$"):
        make_with_options("mine.py:nothing", {"size": 1})


@pytest.mark.parametrize("name", ["maze:make", "jumanji:make"])
def test_a_file_called_like_a_family_is_named_where_it_may_have_been_meant(folder, name):
    with pytest.raises(ValueError, match="to be one of") as caught:
        envs.make(name)
    assert "of your own" not in str(caught.value)
    (folder / f"{name.partition(':')[0]}.py").write_text(MAZE)
    meant = name.replace(":", ".py:")
    with pytest.raises(ValueError, match=rf"to be one of .* Of a file of your own: {meant}$"):
        envs.make(name)
    assert envs.make(meant).num_agents == 2


@pytest.mark.parametrize("name", ["mine.py:make", "pack.sub:make"])
def test_the_digest_is_that_of_the_code_that_made_it_whatever_the_file_says_now(folder, name):
    _, before = make_with_source(name, {})
    file = Path(before["file"])
    assert before["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    file.write_text("def make(:")
    assert find_again(absolute(name), before) == f"{file}, {CHANGED}"
    if name == "pack.sub:make":  # Python imports a module once: the code is still the same.
        assert make_with_source(name, {})[1] == before


def test_a_changed_file_is_read_again_and_else_the_classes_stay(folder):
    first, second = (type(envs.make("mine.py:make")) for _ in range(2))
    assert first is second
    (folder / "mine.py").write_text(MAZE.replace("number)", "number + 1)"))
    assert envs.make("mine.py:make").num_agents == 4


WRONG = {
    "no file": ("none.py:make", r"^env: expected a file of Python, got none.py, .*/none.py"),
    "no such name": (
        "mine.py:mak",
        r"none of that name. Did you mean make .*mine.py has Maze, make",
    ),
    "no name": ("mine.py", r"^env: expected mine.py:NAME, a class .* has Maze, make, must"),
    "an empty name": ("mine.py:", r"^env: expected mine.py:NAME"),
    "a number": ("mine.py:number", r"got int number"),
    "no environment": ("mine.py:Bare", r"a class with reset and step .*, got type Bare"),
    "nothing made": ("mine.py:nothing", r"what mine.py:nothing makes .* num_agents: .*got None"),
    "no module": ("nobody.here:make", r"there is no module nobody.*path/to/file.py:NAME"),
    "no submodule": ("pack.nobody:make", r"there is no module pack.nobody"),
    "no such name in a module": ("pack.sub:mak", r"^env: expected pack.sub:NAME.*mean make"),
    "a module of Python's": ("os:system", r"got os, which is Python's own"),
    "a package of folders": ("folders:make", r"a module that is a file, got folders"),
}


@pytest.mark.parametrize(("name", "complaint"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_found_is_refused_in_words(folder, name, complaint):
    (folder / "folders").mkdir()
    with pytest.raises(ValueError, match=complaint):
        make_with_options(name, {})


@pytest.mark.parametrize("name", ["broken.py:make", "broken:make"])
@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("\n1 / 0", "in line 2: ZeroDivisionError: division by zero"),
        ("\n\ndef make(:", "in line 3: SyntaxError"),
        ("import no_such_library", "in line 1: ModuleNotFoundError: .*no_such_library"),
        ("import sys; sys.exit(3)", "in line 1: SystemExit: 3"),
    ],
)
def test_a_file_that_fails_is_named_with_the_line_and_the_cause(folder, name, text, complaint):
    (folder / "broken.py").write_text(text)
    with pytest.raises(ValueError, match=rf"^env: .*broken.* fails {complaint}") as caught:
        make_with_options(name, {})
    assert type(caught.value.__cause__).__name__ in complaint


def test_a_function_that_fails_is_named_with_the_line(folder):
    line = MAZE[: MAZE.index("raise")].count("\n") + 1
    with pytest.raises(ValueError, match=rf"fails in line {line}: RuntimeError: less than nothing"):
        make_with_options("mine.py:make", {"count": -1})


def test_a_run_finds_it_again_from_elsewhere(folder, tmp_path_factory, monkeypatch):
    for name in ("mine.py:make", "pack.sub:make", "maze"):
        source = json.loads(json.dumps(make_with_source(name, {})[1]))
        kept = absolute(name)
        if name == "maze":
            assert source is None and kept == name
            continue
        elsewhere = tmp_path_factory.mktemp("elsewhere")
        monkeypatch.chdir(elsewhere)
        monkeypatch.setattr(sys, "path", [each for each in sys.path if each != str(folder)])
        for module in [each for each in sys.modules if re.match("pack|helper|environment_", each)]:
            del sys.modules[module]
        assert find_again(kept, source) == ""
        assert envs.make(kept).num_agents == 2
        file = Path(source["file"])
        file.write_text(file.read_text() + "\n")
        assert find_again(kept, source) == f"{file}, {CHANGED}"
        os.remove(file)
        with pytest.raises(ValueError, match=rf"{file}, which is missing; put it back"):
            find_again(kept, source)
        monkeypatch.chdir(folder)


@pytest.mark.parametrize("name", ["rows:make", "pack.sub:make", "pack:make"])
def test_a_run_finds_its_module_where_another_of_that_name_comes_first(
    folder, tmp_path_factory, monkeypatch, name
):
    for file in ("rows.py", "pack/__init__.py"):
        (folder / file).write_text(MAZE)
    _, source = make_with_source(name, {})
    other = tmp_path_factory.mktemp("other")
    shutil.copytree(folder, other, dirs_exist_ok=True)
    (other / "helper.py").write_text("raise RuntimeError('the other one')")
    monkeypatch.chdir(other)
    monkeypatch.setattr(sys, "path", [str(other), *sys.path])
    imported = re.compile(r"(rows|helper|pack)\b")
    for module in [each for each in sys.modules if imported.match(each)]:
        del sys.modules[module]
    assert find_again(name, source) == ""
    _, again = make_with_source(name, {})
    assert again == source and sys.path[0] == str(other)
    with pytest.raises(ValueError, match=rf"got {source['file']}, .*, and {other}/.*, as .*:make$"):
        check_is_here(name, again)
    monkeypatch.chdir(folder)
    check_is_here(name, again)
    elsewhere = source | {"file": str(other / Path(source["file"]).relative_to(folder))}
    with pytest.raises(ValueError, match=rf"^env: expected {other}/.*, got {folder}/.* rename"):
        find_again(name, elsewhere)


IN_IPYTHON = """
import builtins, sys
builtins.__IPYTHON__ = True  # jumanji would ask IPython, which does not run, to draw elsewhere.
import envs
from jumanji.types import restart
assert builtins.__IPYTHON__ is True and "jumanji" in sys.modules
"""


def test_jumanji_does_not_see_that_it_is_inside_a_notebook():
    done = subprocess.run([sys.executable, "-c", IN_IPYTHON], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
