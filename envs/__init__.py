"""Environments by name; each family is imported when one of its members is first asked for."""

from __future__ import annotations

import inspect
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from oatrpo_jax.installation import check_packages

if TYPE_CHECKING:
    from oatrpo_jax.types import MultiAgentEnv

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
        name: `family:scenario`, or a short name; see `registered_names`.
        **options: handed to the family, such as `time_limit`.
    """
    module, scenario = find(name)
    return module.make(scenario, **options)


def option_names(name: str) -> tuple[str, ...]:
    """Returns the names of the options that `make` takes for an environment.

    >>> "time_limit" in option_names("maze")
    True
    """
    return tuple(option_parameters(name))


def option_parameters(name: str) -> dict[str, inspect.Parameter]:
    """Returns the options that `make` takes for an environment, as the parameters they become."""
    module, scenario = find(name)
    if hasattr(module, "option_parameters"):
        return module.option_parameters(scenario)
    parameters = dict(inspect.signature(type(module.make(scenario))).parameters)
    del parameters[next(iter(parameters))]  # The scenario, which the name already says.
    return parameters


def find(name: str) -> tuple[ModuleType, str]:
    """Returns the family's module and the scenario; a ValueError lists the names there are."""
    family, _, scenario = _DEFAULTS.get(name, name).partition(":")
    module = _load(family) if family in _FAMILIES else None
    if module and (scenario in module.SCENARIO_NAMES or (scenario and hasattr(module, "IS_OPEN"))):
        return module, scenario
    valid = ", ".join(registered_names())
    raise ValueError(f"Expected the name of an environment, got {name!r}. Choose from: {valid}.")


def _load(family: str) -> ModuleType:
    check_packages(("jumanji",), "train", "environments")  # Time steps of all of them are its.
    return import_module(_FAMILIES[family])


__all__ = ["find", "make", "option_names", "option_parameters", "registered_names"]
