"""One process at a time in a run's directory."""

from __future__ import annotations

import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from experiments.training.errors import UsageError

NAME = ".lock"


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Keeps other processes out of a directory; the system unlocks it when this one dies.

    Raises:
        UsageError: if another process is in it, naming it.
    """
    with (directory / NAME).open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UsageError(
                f"{directory} is in use by process {_owner(file) or '(unknown)'}; wait for it, "
                "stop it, or choose another directory"
            ) from error
        if before := _owner(file):
            print(
                f"Note: process {before}, which ran in {directory}, ended without a word; this "
                "one takes over.",
                file=sys.stderr,
            )
        _write(file, str(os.getpid()))
        try:
            yield
        finally:
            _write(file, "")


def _owner(file) -> str:
    file.seek(0)
    return file.read(32).strip()


def _write(file, text: str) -> None:
    file.truncate(0)
    file.write(text)
    file.flush()
