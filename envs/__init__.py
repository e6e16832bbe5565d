"""Environments by name; each family is imported when one of its members is first asked for."""

from __future__ import annotations

import contextlib
import difflib
import inspect
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from envs import importing
from envs.choices import check_choice
from envs.importing import Maker
from envs.jumanji_import import import_inside_ipython
from oatrpo_jax.hints import did_you_mean
from oatrpo_jax.installation import check_packages

if TYPE_CHECKING:
    from oatrpo_jax.types import MultiAgentEnv

# Before anything imports jumanji: an environment's module, `envs.base`, or a file of somebody's.
import_inside_ipython()

_FAMILIES = {
    "maze": "envs.maze",
    "smax": "envs.smax",
    "football": "envs.football",
    "grf": "envs.grf",
    "jaxmarl": "envs.adapters.jaxmarl",
    "jumanji": "envs.adapters.jumanji",
}
"""Prefix of a name -> module with ``SCENARIO_NAMES`` and ``make(scenario, **options)``.

Importing such a module must be cheap: a heavy library is imported inside its ``make``.  It may
have ``option_parameters(scenario)``; by default the options are the parameters of the
environment's class after the first.  With ``IS_OPEN``, its ``make`` takes and refuses other names
itself.
"""

_DEFAULTS = {"maze": "maze:black-red"}
"""Short names."""


def registered_names() -> tuple[str, ...]:
    """Returns every name that is known to work; the adapters take others too.

    Examples:
        >>> "maze:black-red" in registered_names()
        True
    """
    scenarios = (
        f"{family}:{scenario}" for family in _FAMILIES for scenario in _load(family).SCENARIO_NAMES
    )
    return (*_DEFAULTS, *scenarios)


def make(name: str, **options: Any) -> MultiAgentEnv:
    """Returns the environment called `name`.

    Args:
        name: `family:scenario`, or a short name; see `registered_names`.  Of your own:
            `path/to/file.py:NAME` or `module:NAME`, a class or a function that returns one.
        **options: handed to the family, class or function, such as `time_limit`.
    """
    module, scenario = find(name)
    return make_of(module, scenario, **options)


def make_of(module: ModuleType | Maker, scenario: str, **options: Any) -> MultiAgentEnv:
    """Returns the environment that `find` has found."""
    if isinstance(module, Maker) or scenario in module.SCENARIO_NAMES:
        return module.make(scenario, **options)
    with _own_file_named(module.__name__.rpartition(".")[2], scenario):
        return module.make(scenario, **options)


def option_names(name: str) -> tuple[str, ...]:
    """Returns the names of the options that `make` takes for an environment.

    Examples:
        >>> "time_limit" in option_names("maze")
        True
    """
    parameters = option_parameters(name)
    return tuple(name for name, each in parameters.items() if each.kind is not each.VAR_KEYWORD)


def option_parameters(name: str) -> dict[str, inspect.Parameter]:
    """Returns the options that `make` takes for an environment, as the parameters they become."""
    return option_parameters_of(*find(name))


def option_parameters_of(module: ModuleType | Maker, scenario: str) -> dict[str, inspect.Parameter]:
    """Returns the same of the environment that `find` has found."""
    if isinstance(module, Maker) or hasattr(module, "option_parameters"):
        return module.option_parameters(scenario)
    parameters = dict(inspect.signature(type(module.make(scenario))).parameters)
    del parameters[next(iter(parameters))]  # The scenario, which the name already says.
    return parameters


def find(name: str) -> tuple[ModuleType | Maker, str]:
    """Returns the family's module and the scenario, or what makes an environment of anybody's.

    Raises:
        ValueError: if there is none of that name, with the nearest there are.
    """
    family, _, scenario = _DEFAULTS.get(name, name).partition(":")
    if is_of_somebody(name):
        if (maker := importing.find(name)) is None:
            raise _unknown(name, f", and there is no module {family}")
        return maker, name
    if family not in _FAMILIES:
        raise _unknown(name)
    module = _load(family)
    if not (scenario and hasattr(module, "IS_OPEN")):
        with _own_file_named(family, scenario):
            check_choice(f"SCENARIO in {family}:SCENARIO", scenario, module.SCENARIO_NAMES)
    return module, scenario


def is_of_somebody(name: str) -> bool:
    """Returns whether a name is that of a file or a module: making it runs the code there.

    Examples:
        >>> [is_of_somebody(name) for name in ("maze.py:make", "package:make", "maze:make")]
        [True, True, False]
    """
    return importing.is_file(name) or (family_of(name) is None and importing.is_module(name))


def family_of(name: str) -> str | None:
    """Returns the family that a name says; None for those of files and modules.

    Examples:
        >>> family_of("maze"), family_of("smax:3m"), family_of("maze.py:make")
        ('maze', 'smax', None)
    """
    family = name.partition(":")[0]
    return family if family in _FAMILIES and not importing.is_file(name) else None


def _load(family: str) -> ModuleType:
    check_packages(("jumanji",), "train", "environments")  # Time steps of all of them are its.
    return import_module(_FAMILIES[family])


@contextlib.contextmanager
def _own_file_named(family: str, scenario: str) -> Iterator[None]:
    """Lets a ValueError about a scenario name the file here that is called like the family."""
    try:
        yield
    except ValueError as error:
        if not (scenario.isidentifier() and Path(f"{family}.py").is_file()):
            raise
        raise ValueError(f"{error} Of a file of your own: {family}.py:{scenario}") from error


def _unknown(name: str, also: str = "") -> ValueError:
    """Returns the error that says which names are near, in whatever part of them."""
    full_names: dict[str, list[str]] = {family: [f"{family}:SCENARIO"] for family in _FAMILIES}
    full_names |= {short: [short] for short in _DEFAULTS}
    for full in registered_names():
        for part in {full, full.partition(":")[2]} - {""}:
            full_names.setdefault(part.lower(), []).append(full)
    close = [name.lower()] if name.lower() in full_names else []
    close = close or difflib.get_close_matches(name.lower(), full_names, n=2, cutoff=0.6)
    near = list(dict.fromkeys(full for part in close for full in full_names[part]))[:3]
    return ValueError(
        f"Expected the name of an environment, got {name!r}{also}.{did_you_mean(near)} Expected is "
        f"{', '.join(_DEFAULTS)}, {':SCENARIO, '.join(_FAMILIES)}:SCENARIO, or an environment of "
        "your own as path/to/file.py:NAME or module:NAME."
    )


__all__ = [
    "family_of",
    "find",
    "is_of_somebody",
    "make",
    "make_of",
    "option_names",
    "option_parameters",
    "option_parameters_of",
    "registered_names",
]
