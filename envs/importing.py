"""Environments of anybody's: a class or function of a file, or of a module that can be imported."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib
import importlib.util
import inspect
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from envs.choices import did_you_mean

_FILE = re.compile(r"\.py(:[^:/]*)?$")
_WORD = r"[^\W\d]\w*"
_MODULE = re.compile(rf"{_WORD}(\.{_WORD})*:{_WORD}")


def is_file(name: str) -> bool:
    """Returns whether a name is that of a file: ``path/to/file.py:NAME``.

    >>> is_file("~/maze.py:make"), is_file("maze:make")
    (True, False)
    """
    return _FILE.search(name) is not None


def is_module(name: str) -> bool:
    """Returns whether a name may be one of a module: ``module.sub:NAME``.

    >>> is_module("package.maze:make"), is_module("smax:3m")
    (True, False)
    """
    return _MODULE.fullmatch(name) is not None


def absolute(name: str) -> str:
    """Returns the name under which an environment is found from any directory.

    >>> absolute("/tmp/../a.py:make"), absolute("maze:black-red")
    ('/a.py:make', 'maze:black-red')
    """
    if not is_file(name):
        return name
    path, colon, attribute = _parts(name)
    return f"{os.path.abspath(os.path.expanduser(path))}{colon}{attribute}"


def without_folder(name: str) -> str:
    """Returns the name without where on this machine the file lies.

    >>> without_folder("/home/me/a.py:make"), without_folder("smax:3m")
    ('a.py:make', 'smax:3m')
    """
    return os.path.basename(name) if is_file(name) else name


def find(name: str) -> Maker | None:
    """Returns what makes the environment of that name; None if there is no such module.

    Raises:
        ValueError: if the file is missing or fails, or has no such class or function.
    """
    where, _, attribute = _parts(name)
    module = _load_file(name, where) if is_file(name) else _load_module(name, where)
    if module is None:
        return None
    known = [each for each, value in vars(module).items() if _is_of(module, value)]
    made: Any = getattr(module, attribute, None) if attribute else None
    if not callable(made) or (isinstance(made, type) and not _is_environment(made)):
        got = "none of that name" if made is None else f"{type(made).__name__} {attribute}"
        raise ValueError(
            f"env: expected {where}:NAME, a class with reset and step or a function that returns "
            f"an environment, got {got}.{did_you_mean(attribute, known)} {module.__file__} has "
            f"{', '.join(known) or 'none'}"
        )
    return Maker(name, Path(str(module.__file__)), made)


@dataclass(frozen=True)
class Maker:
    """A class or function that makes environments; it stands where the module of a family does.

    Attributes:
        name: as it was asked for.
        file: where it comes from.
        call: takes the options, and returns the environment.
    """

    name: str
    file: Path
    call: Callable[..., Any]

    def option_parameters(self, _: str) -> dict[str, inspect.Parameter]:
        """Returns the options, as the parameters they become."""
        try:
            return dict(inspect.signature(self.call).parameters)
        except (TypeError, ValueError) as error:
            raise ValueError(f"env: {self.name} cannot be called with options: {error}") from error

    def make(self, _: str, **options: Any) -> Any:
        """Returns the environment, which `oatrpo_jax.check_env` has accepted."""
        from oatrpo_jax.env_check import check_env

        needed = [
            each.name
            for each in self.option_parameters(_).values()
            if each.default is each.empty
            and each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)
            and each.name not in options
        ]
        if needed:
            raise ValueError(
                f"env_option: {self.name} needs {', '.join(needed)}; give --env-option "
                f"{' '.join(f'{each}=VALUE' for each in needed)}"
            )
        with _in_words(f"env: {self.name} fails", str(self.file)):
            env = self.call(**options)
        try:
            check_env(env)
        except ValueError as error:
            raise ValueError(f"env: what {self.name} makes cannot be trained. {error}") from error
        return env

    def source(self) -> dict[str, str]:
        """Returns where it comes from, for the record of a run, and what was in that file."""
        return {"file": str(self.file.absolute()), "sha256": _digest(self.file)}


def find_again(name: str, source: dict[str, str]) -> str:
    """Returns what is to be known before an environment is made again: nothing, or that it changed.

    Lets modules be found that lay elsewhere than where Python looks now.

    Args:
        name: as in the run's record.
        source: what `Maker.source` returned then.

    Raises:
        ValueError: if the file is missing.
    """
    file = Path(source["file"])
    if not file.is_file():
        raise ValueError(
            f"env: the run's environment {name} was made by {file}, which is missing; put it back"
        )
    if not is_file(name):
        depth = name.count(".") + (file.name == "__init__.py")
        _look_in(file.parents[depth])
    if _digest(file) == source["sha256"]:
        return ""
    return f"{file}, which makes the run's environment, has changed since the run began"


def _parts(name: str) -> tuple[str, str, str]:
    """Returns the file or module, the colon and the name in it; the last two may be missing."""
    return name.rpartition(":") if not name.endswith(".py") else (name, ":", "")


def _load_file(name: str, where: str) -> ModuleType:
    path = Path(absolute(name).removesuffix(f":{_parts(name)[2]}"))
    if not path.is_file():
        raise ValueError(f"env: expected a file of Python, got {where}, which is none ({path})")
    return _execute(path, path.read_bytes())


@functools.cache
def _execute(path: Path, content: bytes) -> ModuleType:
    """Returns the module that a file is, executed once as long as its content is the same."""
    name = re.sub(r"\W", "_", f"environment_{path}")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    _look_in(path.parent)
    sys.modules[name] = module  # Where dataclasses look for the types of their fields.
    with _in_words(f"env: {path} fails", str(path)):
        exec(compile(content, path, "exec"), vars(module))
    return module


def _load_module(name: str, where: str) -> ModuleType | None:
    """Returns the module, from the current directory too; None if there is none."""
    if where.partition(".")[0] in sys.stdlib_module_names:
        raise ValueError(
            f"env: expected a module of yours, got {where}, which is Python's own; name its file"
        )
    _look_in(Path.cwd())
    try:
        with _in_words(f"env: {where} fails", f"{where.replace('.', os.sep)}.py"):
            module = importlib.import_module(where)
    except ValueError as error:
        cause = error.__cause__
        if isinstance(cause, ModuleNotFoundError) and f"{where}.".startswith(f"{cause.name}."):
            return None
        raise
    if getattr(module, "__file__", None) is None:
        raise ValueError(f"env: expected a module that is a file, got {where} of {name}")
    return module


def _look_in(folder: Path) -> None:
    """Lets modules in a folder be imported, unless there are others of their names."""
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
        importlib.invalidate_caches()


@contextlib.contextmanager
def _in_words(what: str, file: str) -> Iterator[None]:
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


def _is_of(module: ModuleType, value: Any) -> bool:
    """Returns whether a value is a class or function that was written in a module."""
    return (
        (inspect.isfunction(value) or (isinstance(value, type) and _is_environment(value)))
        and value.__module__ == module.__name__
        and not value.__name__.startswith("_")
    )


def _is_environment(kind: type) -> bool:
    return hasattr(kind, "reset") and hasattr(kind, "step")


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
