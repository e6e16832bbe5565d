"""Environments of anybody's: a class or function of a file, or of a module that can be imported."""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from envs.loading import (
    digest,
    digest_of,
    file_of,
    in_words,
    load_file,
    load_module,
    load_module_of,
)
from oatrpo_jax.hints import did_you_mean, near

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
    module = load_file(_path(name)) if is_file(name) else load_module(where)
    if module is None:
        return None
    known = [each for each, value in vars(module).items() if _is_of(module, value)]
    made: Any = getattr(module, attribute, None) if attribute else None
    if not callable(made) or (isinstance(made, type) and not _is_environment(made)):
        got = "none of that name" if made is None else f"{type(made).__name__} {attribute}"
        raise ValueError(
            f"env: expected {where}:NAME, a class with reset and step or a function that returns "
            f"an environment, got {got}.{did_you_mean(near(attribute, known))} {module.__file__} "
            f"has {', '.join(known) or 'none'}"
        )
    return Maker(name, file_of(module), digest(module), made)


@dataclass(frozen=True)
class Maker:
    """A class or function that makes environments; it stands where the module of a family does.

    Attributes:
        name: as it was asked for.
        file: where it comes from.
        sha256: of what was in the file when it was executed.
        call: takes the options, and returns the environment.
    """

    name: str
    file: Path
    sha256: str
    call: Callable[..., Any]

    def option_parameters(self, scenario: str) -> dict[str, inspect.Parameter]:
        """Returns the options, as the parameters they become; there is one scenario, ``name``."""
        try:
            return dict(inspect.signature(self.call).parameters)
        except (TypeError, ValueError) as error:
            raise ValueError(f"env: {self.name} cannot be called with options: {error}") from error

    def make(self, scenario: str, **options: Any) -> Any:
        """Returns the environment, which `oatrpo_jax.check_env` has accepted."""
        from oatrpo_jax.env_check import check_env

        needed = [
            each.name
            for each in self.option_parameters(scenario).values()
            if each.default is each.empty
            and each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)
            and each.name not in options
        ]
        if needed:
            raise ValueError(
                f"env_option: {self.name} needs {', '.join(needed)}; give --env-option "
                f"{' '.join(f'{each}=VALUE' for each in needed)}"
            )
        with in_words(f"env: {self.name} fails", str(self.file)):
            env = self.call(**options)
        try:
            check_env(env)
        except ValueError as error:
            raise ValueError(f"env: what {self.name} makes cannot be trained. {error}") from error
        return env

    def source(self) -> dict[str, str]:
        """Returns where it comes from, for the record of a run, and what was in that file."""
        return {"file": str(self.file), "sha256": self.sha256}


def find_again(name: str, source: dict[str, str]) -> str:
    """Returns what is to be known before an environment is made again: nothing, or that it changed.

    A module is imported from where it lay then, whatever others of its name Python would find.

    Args:
        name: as in the run's record.
        source: what `Maker.source` returned then.

    Raises:
        ValueError: if the file is missing, fails, or another module has taken its name.
    """
    file = Path(source["file"])
    if not file.is_file():
        raise ValueError(
            f"env: the run's environment {name} was made by {file}, which is missing; put it back"
        )
    if not is_file(name):
        _import_again(name, file)
    if digest_of(file.read_bytes()) == source["sha256"]:
        return ""
    return f"{file}, which makes the run's environment, has changed since the run began"


def check_is_here(name: str, source: dict[str, str]) -> None:
    """Raises a ValueError if a module was made by another file than the one in this directory.

    That is so where a run's own module has the same name as one here.

    Args:
        name: as it was typed.
        source: what `Maker.source` returned.
    """
    where, _, attribute = _parts(name)
    stem = where.replace(".", os.sep)
    for here in (Path(f"{stem}.py"), Path(stem, "__init__.py")):
        if not is_file(name) and here.is_file() and not here.samefile(source["file"]):
            raise ValueError(
                f"env: expected one module {where}, got {source['file']}, which Python takes, and "
                f"{here.absolute()}; name the file that is meant, as {here}:{attribute}"
            )


def _import_again(name: str, file: Path) -> None:
    """Imports the module of that name from its file; a ValueError if it is another one."""
    where, _, _ = _parts(name)
    depth = where.count(".") + (file.name == "__init__.py")
    module = load_module_of(where, file.parents[depth])
    found = None if module is None else file_of(module)
    if found is None or found.resolve() != file.resolve():
        raise ValueError(
            f"env: expected {file}, which made the run's environment {name}, got {found} under "
            "that name; start Python anew, or rename that one"
        )


def _path(name: str) -> Path:
    """Returns the file of an environment's name; a ValueError says that there is none."""
    where, _, attribute = _parts(name)
    path = Path(absolute(name).removesuffix(f":{attribute}"))
    if not path.is_file():
        raise ValueError(f"env: expected a file of Python, got {where}, which is none ({path})")
    return path


def _parts(name: str) -> tuple[str, str, str]:
    """Returns the file or module, the colon and the name in it; the last two may be missing."""
    return name.rpartition(":") if not name.endswith(".py") else (name, ":", "")


def _is_of(module: ModuleType, value: Any) -> bool:
    """Returns whether a value is a class or function that was written in a module."""
    return (
        (inspect.isfunction(value) or (isinstance(value, type) and _is_environment(value)))
        and value.__module__ == module.__name__
        and not value.__name__.startswith("_")
    )


def _is_environment(kind: type) -> bool:
    return hasattr(kind, "reset") and hasattr(kind, "step")
