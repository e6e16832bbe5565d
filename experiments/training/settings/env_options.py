"""Options of an environment: from ``NAME=VALUE`` to keyword arguments of the right type."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import envs
from experiments.training.errors import UsageError
from oatrpo_jax.types import MultiAgentEnv

KINDS = {
    "bool": (bool, "true or false"),
    "int": (int, "a whole number"),
    "float": ((int, float), "a number"),
    "str": (str, "text"),
}
"""Types that are checked here: what passes for one, and its name for people."""


def parse_env_options(assignments: Sequence[str]) -> dict[str, Any]:
    """Returns ``NAME=VALUE`` pairs as keyword arguments; what is no Python literal is text.

    True and false are understood in any case.

    >>> parse_env_options(["num_per_colour=4", "ally_order=index", "agent_id=true"])
    {'num_per_colour': 4, 'ally_order': 'index', 'agent_id': True}
    """
    options = {}
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not (equals and name.isidentifier()):
            raise UsageError(f"env_option: expected NAME=VALUE, got {assignment!r}")
        if name in options:
            raise UsageError(f"env_option: expected each name once, got {name} again")
        is_truth = text.lower() in ("true", "false")
        try:
            options[name] = ast.literal_eval(text.capitalize() if is_truth else text)
        except (ValueError, SyntaxError):
            options[name] = text
    return options


def make_env(name: str, env_options: Mapping[str, Any]) -> MultiAgentEnv:
    """Returns the environment of that name, with those options."""
    try:
        if env_options:
            check_option_names(name, env_options)
            check_option_types(name, env_options)
        return envs.make(name, **env_options)
    except ImportError as error:
        raise UsageError(f"env: {name} needs a package that is missing: {error}") from error
    except (TypeError, ValueError, AttributeError) as error:
        if not env_options:
            raise
        given = ", ".join(f"{key}={value!r}" for key, value in env_options.items())
        raise UsageError(f"env_option: {name} does not take {given}: {error}") from error


def check_option_names(name: str, env_options: Mapping[str, Any]) -> None:
    """Raises a UsageError that lists the environment's options if one given is not of them."""
    valid = envs.option_names(name)
    if unknown := sorted(env_options.keys() - set(valid)):
        raise UsageError(
            f"env_option: {name} has no {', '.join(unknown)}; expected one of {', '.join(valid)}"
        )


def check_option_types(name: str, env_options: Mapping[str, Any]) -> None:
    """Raises a UsageError that names the first option whose value is of another type."""
    parameters = {}
    for function in _functions(name):
        for parameter in inspect.signature(function).parameters.values():
            parameters.setdefault(parameter.name, parameter)
    for option, value in env_options.items():
        kinds = option_kinds(parameters[option]) if option in parameters else ()
        if kinds and not any(_is_of(value, kind) for kind in kinds):
            expected = " or ".join(KINDS[kind][1] for kind in kinds if kind in KINDS)
            raise UsageError(
                f"env_option: Expected {option} to be {expected}, got {value}. Correct it."
            )


def option_kinds(parameter: inspect.Parameter) -> tuple[str, ...]:
    """Returns the plain types that a parameter may have; none if it has others to check itself.

    >>> def make(count: int | None = None, scale=0.5, mode: Literal["a"] = "a"): ...
    >>> [option_kinds(each) for each in inspect.signature(make).parameters.values()]
    [('int', 'None'), ('float',), ()]
    """
    annotation, default = parameter.annotation, parameter.default
    if annotation is parameter.empty:
        if default is parameter.empty or default is None:
            return ()
        kinds = (type(default).__name__,)
    elif isinstance(annotation, type):
        kinds = (annotation.__name__,)
    else:
        kinds = tuple(str(annotation).replace(" ", "").split("|"))
    return kinds if set(kinds) <= {*KINDS, "None"} else ()


def _is_of(value: Any, kind: str) -> bool:
    if kind == "None" or value is None:
        return kind == "None" and value is None
    # True is an int to Python, but nobody means 1 by it.
    return isinstance(value, KINDS[kind][0]) and (kind == "bool" or not isinstance(value, bool))


def _functions(name: str) -> Iterator[Any]:
    """Yields what an environment's options are parameters of, what counts most first."""
    module, scenario = envs.find(name)
    yield module.make
    if not hasattr(module, "make_game"):
        yield type(module.make(scenario))
        return
    game = module.make_game(scenario)  # The environment of another library.
    yield from type(game).__mro__[:-1]
    if hasattr(module, "generator_of"):
        yield type(module.generator_of(game))
