"""What is shown never decides over what is done: readers that go away, full disks, odd names."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from experiments.training.streams import sturdy_output

ROOT = Path(__file__).parents[3]

PROGRAM = """
import os, sys
from experiments.training.console import make_console
from experiments.training.errors import exit_code_of

def work():
    console = make_console()
    for index in range(2000):
        console.print(f"line {index} \\u65e5\\u672c \\udcff")
        print(index, file=sys.stderr) if len(sys.argv) > 2 else None
    with open(sys.argv[1], "w") as file:
        file.write("done")
        os.write(1, b"noise of a library")

sys.exit(exit_code_of(work, "program"))
"""


def run(
    tmp_path: Path, *arguments: str, before: tuple[str, ...] = (), **how: Any
) -> subprocess.CompletedProcess[str]:
    """Returns how a program ended that prints much, and then leaves a file."""
    command = [*before, sys.executable, "-c", PROGRAM, str(tmp_path / "file"), *arguments]
    ended = subprocess.run(command, cwd=ROOT, text=True, timeout=60, **how)
    assert (tmp_path / "file").read_text() == "done"
    return ended


@pytest.fixture
def closed_pipe() -> Any:
    """A pipe that nobody reads any more."""
    reader, writer = os.pipe()
    os.close(reader)
    yield writer
    os.close(writer)


def test_a_reader_that_went_away_is_said_once(tmp_path: Path, closed_pipe: int):
    ended = run(tmp_path, stdout=closed_pipe, stderr=subprocess.PIPE)
    assert ended.returncode == 0
    (line,) = ended.stderr.splitlines()
    assert line.startswith("Note: stdout takes no more (Broken pipe)")


def test_a_full_disk_behind_stdout_is_said_once(tmp_path: Path):
    with open("/dev/full", "w") as full:
        ended = run(tmp_path, stdout=full, stderr=subprocess.PIPE)
    assert ended.returncode == 0
    (line,) = ended.stderr.splitlines()
    assert line.startswith("Note: stdout takes no more (No space left on device)")


def test_nobody_need_read_anything(tmp_path: Path, closed_pipe: int):
    assert run(tmp_path, "errors too", stdout=closed_pipe, stderr=closed_pipe).returncode == 0


def test_closed_streams_are_no_files_of_the_program(tmp_path: Path):
    closed = ("sh", "-c", 'exec "$0" "$@" >&- 2>&-')
    assert run(tmp_path, "errors too", before=closed).returncode == 0


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_what_an_encoding_lacks_is_shown_as_its_code(tmp_path: Path, encoding: str):
    environment = os.environ | {"PYTHONIOENCODING": encoding}
    ended = run(tmp_path, env=environment, capture_output=True)
    assert ended.returncode == 0 and ended.stderr == ""
    name = "日本" if encoding == "utf-8" else r"\u65e5\u672c"
    assert ended.stdout.splitlines()[7] == rf"line 7 {name} \udcff"


def test_the_streams_are_as_before_afterwards():
    before = sys.stdout, sys.stderr
    with contextlib.suppress(KeyError), sturdy_output():
        assert sys.stdout is not before[0]
        raise KeyError
    assert (sys.stdout, sys.stderr) == before
