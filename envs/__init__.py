"""Environments by name; each family is imported when one of its members is first asked for."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from oatrpo_jax.types import MultiAgentEnv

_FAMILIES = {"maze": "envs.maze", "smax": "envs.smax"}
"""Prefix of a name -> module with ``SCENARIO_NAMES`` and ``make(scenario, **options)``.

Importing such a module must be cheap: a heavy library is imported inside its ``make``.
"""

_DEFAULTS = {"maze": "maze:black-red"}
"""Short names."""


def registered_names() -> tuple[str, ...]:
    """Returns every name that `make` accepts.

    >>> "maze:black-red" in registered_names()
    True
    """
    scenarios = (
        f"{family}:{scenario}"
        for family, module in _FAMILIES.items()
        for scenario in import_module(module).SCENARIO_NAMES
    )
    return (*_DEFAULTS, *scenarios)


def make(name: str, **options: Any) -> MultiAgentEnv:
    """Returns the environment called `name`.

    Args:
        name: `family:scenario`, or a short name; see `registered_names`.
        **options: handed to the family, such as `time_limit`.
    """
    family, _, scenario = _DEFAULTS.get(name, name).partition(":")
    if family not in _FAMILIES or scenario not in import_module(_FAMILIES[family]).SCENARIO_NAMES:
        valid = ", ".join(registered_names())
        raise ValueError(
            f"Expected the name of an environment, got {name!r}. Choose from: {valid}."
        )
    return import_module(_FAMILIES[family]).make(scenario, **options)


__all__ = ["make", "registered_names"]
