"""Options of an environment: from ``NAME=VALUE`` to keyword arguments of the right type."""

from __future__ import annotations

import ast
import contextlib
import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import envs
from envs.importing import Maker
from oatrpo_jax.types import MultiAgentEnv

KINDS = {
    "bool": (bool, "true or false"),
    "int": (int, "a whole number"),
    "float": ((int, float), "a number"),
    "str": (str, "text"),
}
"""Types that are checked here: what passes for one, and its name for people."""


def parse_options(assignments: Sequence[str], option: str = "env_option") -> dict[str, Any]:
    """Returns ``NAME=VALUE`` pairs as keyword arguments; what is no Python literal is text.

    True and false are understood in any case.

    Args:
        assignments: the pairs.
        option: under which they were typed, for the errors.

    Raises:
        ValueError: if one is no pair, or a name stands twice.

    >>> parse_options(["num_per_colour=4", "ally_order=index", "agent_id=true"])
    {'num_per_colour': 4, 'ally_order': 'index', 'agent_id': True}
    """
    options = {}
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not (equals and name.isidentifier()):
            raise ValueError(f"{option}: expected NAME=VALUE, got {assignment!r}")
        if name in options:
            raise ValueError(f"{option}: expected each name once, got {name} again")
        is_truth = text.lower() in ("true", "false")
        try:
            options[name] = ast.literal_eval(text.capitalize() if is_truth else text)
        except (ValueError, SyntaxError):
            options[name] = text
    return options


def make_with_options(name: str, options: Mapping[str, Any]) -> MultiAgentEnv:
    """Returns the environment of that name, with those options.

    Raises:
        ValueError: no such environment or option, a value of another type or out of range, or a
            package that is missing.
    """
    env, _ = make_with_source(name, options)
    return env


def make_with_source(
    name: str, options: Mapping[str, Any]
) -> tuple[MultiAgentEnv, dict[str, str] | None]:
    """Returns the same, and the file that has made it with its digest; None for those of a family.

    A file is read once: what is returned of it has made the environment, whatever it says now.
    """
    with _missing_package_in_words(name):
        maker, scenario = envs.find(name)
        source = maker.source() if isinstance(maker, Maker) else None
        if not options:
            return envs.make_of(maker, scenario), source
        _check_options(name, options, envs.option_parameters_of(maker, scenario))
        try:
            return envs.make_of(maker, scenario, **options), source
        except (TypeError, ValueError, AttributeError) as error:
            given = ", ".join(f"{key}={value!r}" for key, value in options.items())
            raise ValueError(f"env_option: {name} does not take {given}: {error}") from error


def options_taken(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Returns those of the options, given for another environment, that this one has as well.

    >>> options_taken("maze", {"time_limit": 50, "reward_mode": "sum"})
    {'time_limit': 50}
    """
    with _missing_package_in_words(name):
        known = envs.option_names(name) if options else ()
    return {option: value for option, value in options.items() if option in known}


def _check_options(
    name: str, options: Mapping[str, Any], parameters: Mapping[str, inspect.Parameter]
) -> None:
    """Raises a ValueError that names the options there are not, or the first of another type."""
    takes_any = any(each.kind is each.VAR_KEYWORD for each in parameters.values())
    if (unknown := sorted(options.keys() - parameters.keys())) and not takes_any:
        taken = f"expected one of {', '.join(parameters)}" if parameters else "it takes none"
        raise ValueError(f"env_option: {name} has no {', '.join(unknown)}; {taken}")
    for option, value in options.items():
        kinds = option_kinds(parameters[option]) if option in parameters else ()
        if kinds and not any(_is_of(value, kind) for kind in kinds):
            expected = " or ".join(KINDS[kind][1] for kind in kinds if kind in KINDS)
            raise ValueError(
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


@contextlib.contextmanager
def _missing_package_in_words(name: str) -> Iterator[None]:
    """Lets an ImportError inside be a ValueError that names the environment."""
    try:
        yield
    except ImportError as error:
        raise ValueError(f"env: {name} needs a package that is missing: {error}") from error
