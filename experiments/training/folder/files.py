"""Files that are either old or new, never in between, and the one process that may write them."""

from __future__ import annotations

import fcntl
import json
import math
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from experiments.training.errors import UsageError
from oatrpo_jax.run_folder import read_json as read_json  # Here too, beside what writes it.

LOCK = ".lock"
"""Holds the process that is in the directory; empty if none is."""


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Writes a dictionary for people and programs; a process that dies leaves the file before."""
    replace_bytes(path, json_bytes(content))


def json_bytes(content: Mapping[str, Any]) -> bytes:
    """Returns a dictionary as JSON, with null for what is not finite.

    >>> json_bytes({"mean": float("nan")})
    b'{\\n  "mean": null\\n}\\n'
    """
    return (json.dumps(_finite(content), indent=2, allow_nan=False) + "\n").encode()


def _finite(value: Any) -> Any:
    """Returns the same with plain Python numbers, and None for those that JSON cannot say."""
    if isinstance(value, Mapping):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    return value


def replace_bytes(path: Path, content: bytes) -> None:
    """Writes a file beside the old one, and puts it in its place once it is on the disk."""
    unfinished = path.with_name(f".{path.name}.new")
    try:
        with unfinished.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def is_locked(directory: Path) -> bool:
    """Returns whether a process is in a directory, see `locked`; changes nothing."""
    if not (path := directory / LOCK).exists():
        return False
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Keeps other processes out of a directory; the system unlocks it when this one dies.

    Raises:
        UsageError: if another process is in it, naming it.
    """
    path = directory / LOCK
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UsageError(
                f"{directory} is in use by process {path.read_text() or '(unknown)'}; wait for "
                "it, stop it, or choose another directory"
            ) from error
        if before := path.read_text():
            ended = f"process {before}, which ran in {directory}, ended without a word"
            print(f"Note: {ended}; this one takes over.", file=sys.stderr)
        file.truncate(0)
        print(os.getpid(), end="", file=file, flush=True)
        try:
            yield
        finally:
            file.truncate(0)
