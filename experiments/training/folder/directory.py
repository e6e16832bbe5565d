"""The directory of a run: how it is called, whether results may go there, and how it is made."""

from __future__ import annotations

import itertools
import os
import re
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from experiments.training.errors import UsageError, shown
from experiments.training.naming import command


def default_directory(name: str) -> Path:
    """Returns ``runs/<name>-<time>``: of a path its last part, and what a file's name may hold.

    >>> default_directory("/home/me/my maze.py:make-oappo").name.rpartition("-")[0][:-9]
    'my-maze.make-oappo'
    """
    last = name.rpartition(os.sep)[2].replace(".py:", ".")
    plain = re.sub(r"[^\w.+=-]+", "-", last)
    return Path("runs") / f"{plain}-{time.strftime('%Y%m%d-%H%M%S')}"


def check_out(out: Path | None, name: str) -> None:
    """Raises a UsageError if results cannot go to a directory, or a new one; creates nothing."""
    directory = (out or default_directory(name)).absolute()
    try:
        if out is not None:
            check_is_empty(out)
        parent = next(path for path in (directory, *directory.parents) if path.exists())
        with tempfile.TemporaryFile(dir=parent):
            pass
    except OSError as error:
        raise UsageError(
            f"out: cannot write to {directory}: {error.strerror}; choose another directory"
        ) from error


def check_is_empty(directory: Path) -> None:
    """Raises a UsageError if a directory holds files, or is one."""
    if directory.exists() and not directory.is_dir():
        raise UsageError(f"out: expected a directory, got the file {directory}; choose another")
    if directory.is_dir() and any(path.name[0] != "." for path in directory.iterdir()):
        raise UsageError(
            f"out: expected a new or empty directory, but {directory} holds files; choose another, "
            f"or go on with the run in it: {command('run')} --resume {shown(directory)}"
        )


def make_directory(out: Path | None, name: str) -> Path:
    """Creates and returns the directory of the results; if none is given, a new one of a name."""
    directory = out or default_directory(name)
    try:
        if out is None:
            return _make_new(directory)
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"out: cannot create {directory}: {error.strerror}") from error
    return out


def _make_new(first: Path) -> Path:
    """Makes a directory of that name, or of one with a number if another run was faster."""
    first.parent.mkdir(parents=True, exist_ok=True)
    numbered = (first.with_name(f"{first.name}-{number}") for number in itertools.count(2))
    for directory in itertools.chain([first], numbered):
        with suppress(FileExistsError):
            directory.mkdir()
            break
    return directory
