"""A file is old or new, never in between; one process at a time is in a directory."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from experiments.training.errors import UsageError
from experiments.training.folder.files import LOCK, locked, read_json, write_json

ROOT = Path(__file__).parents[4]
HOLDER = """
import sys
from pathlib import Path
from experiments.training.folder.files import locked
with locked(Path(sys.argv[1])):
    print("in", flush=True)
    sys.stdin.read()
"""


def hold(directory: Path) -> subprocess.Popen:
    """Starts a process that stays in a directory; returns once it is in."""
    command = [sys.executable, "-c", HOLDER, str(directory)]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True)
    assert process.stdout is not None and process.stdout.readline() == "in\n"
    return process


def test_a_content_that_cannot_be_written_leaves_the_file_before(tmp_path: Path):
    path = tmp_path / "one.json"
    write_json(path, {"a": 1})
    with pytest.raises(TypeError, match="JSON"):
        write_json(path, {"a": object()})
    assert read_json(path) == {"a": 1}
    write_json(path, {"a": float("nan")})
    assert read_json(path) == {"a": None}
    assert list(tmp_path.iterdir()) == [path]


def test_the_lock_names_the_process_while_it_is_there(tmp_path: Path):
    with locked(tmp_path):
        assert (tmp_path / LOCK).read_text() == str(os.getpid())
    assert (tmp_path / LOCK).read_text() == ""
    with locked(tmp_path):
        pass


def test_a_second_process_is_refused_and_the_first_one_goes_on(tmp_path: Path):
    with hold(tmp_path) as first:
        for _ in range(2):
            with pytest.raises(UsageError, match=f"in use by process {first.pid};"):
                locked(tmp_path).__enter__()
            assert (tmp_path / LOCK).read_text() == str(first.pid)
        first.communicate("")
    assert first.returncode == 0
    assert (tmp_path / LOCK).read_text() == ""


def test_the_place_of_a_dead_process_is_taken_over(tmp_path: Path, capfd: Any):
    with hold(tmp_path) as first:
        first.kill()
        first.communicate()
    assert first.returncode == -signal.SIGKILL
    assert (tmp_path / LOCK).read_text() == str(first.pid)
    with locked(tmp_path):
        assert (tmp_path / LOCK).read_text() == str(os.getpid())
    expected = f"process {first.pid}, which ran in {tmp_path}, ended without a word"
    assert expected in capfd.readouterr().err


def test_an_error_leaves_the_place_free(tmp_path: Path, capfd: Any):
    with pytest.raises(KeyError), locked(tmp_path):
        raise KeyError
    with locked(tmp_path):
        pass
    assert capfd.readouterr().err == ""
