"""Somebody's code, executed: a file, or a module that can be imported; what it raises, in words."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib
import importlib.util
import os
import re
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType


def load_file(path: Path) -> ModuleType:
    """Returns the module that a file is, executed once as long as its content is the same."""
    return _execute(path, path.read_bytes())


def load_module(name: str) -> ModuleType | None:
    """Returns the module of that name, from the current directory too; None if there is none.

    Raises:
        ValueError: if it is Python's own, no file, or fails.
    """
    if name.partition(".")[0] in sys.stdlib_module_names:
        raise ValueError(
            f"env: expected a module of yours, got {name}, which is Python's own; name its file"
        )
    look_in(Path.cwd())
    try:
        with in_words(f"env: {name} fails", f"{name.replace('.', os.sep)}.py"):
            module = importlib.import_module(name)
    except ValueError as error:
        cause = error.__cause__
        if isinstance(cause, ModuleNotFoundError) and f"{name}.".startswith(f"{cause.name}."):
            return None
        raise
    if getattr(module, "__file__", None) is None:
        raise ValueError(f"env: expected a module that is a file, got {name}")
    return module


def load_module_of(name: str, folder: Path) -> ModuleType | None:
    """Returns the same, where a module of that name in a folder counts more than all others.

    One that is imported already stays.
    """
    look_in(folder)  # For what is imported later.
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        return load_module(name)
    finally:
        sys.path.remove(str(folder))


@functools.cache
def digest(module: ModuleType) -> str:
    """Returns the SHA-256 of the file that a module was, as of when it is first asked for."""
    content = vars(module).get(_CONTENT)
    return digest_of(file_of(module).read_bytes() if content is None else content)


def digest_of(content: bytes) -> str:
    """Returns the SHA-256 of a file's content."""
    return hashlib.sha256(content).hexdigest()


def file_of(module: ModuleType) -> Path:
    """Returns the file that a module is."""
    return Path(str(module.__file__)).absolute()


_CONTENT = "__content__"
"""Attribute of a module that `_execute` has made: what it has executed."""


@functools.cache
def _execute(path: Path, content: bytes) -> ModuleType:
    name = re.sub(r"\W", "_", f"environment_{path}")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    setattr(module, _CONTENT, content)
    look_in(path.parent)
    sys.modules[name] = module  # Where dataclasses look for the types of their fields.
    with in_words(f"env: {path} fails", str(path)):
        exec(compile(content, path, "exec"), vars(module))
    return module


def look_in(folder: Path) -> None:
    """Lets modules in a folder be imported, unless there are others of their names."""
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
        importlib.invalidate_caches()


@contextlib.contextmanager
def in_words(what: str, file: str) -> Iterator[None]:
    """Lets whatever somebody's code raises be a ValueError that says what, and in which line.

    Args:
        what: begins the message.
        file: in whose lines to look, or the end of its path.
    """
    try:
        yield
    except (Exception, SystemExit) as error:
        line = getattr(error, "lineno", None) if isinstance(error, SyntaxError) else None
        for frame in traceback.extract_tb(error.__traceback__):
            line = frame.lineno if frame.filename.endswith(file) else line
        where = f" in line {line}" if line else ""
        raise ValueError(f"{what}{where}: {type(error).__name__}: {error}") from error
