"""Any multi-agent environment of jumanji: ``envs.make("jumanji:LevelBasedForaging-v0")``."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from envs.choices import check_choice

if TYPE_CHECKING:
    from envs.adapters.jumanji_env import JumanjiEnv

SCENARIO_NAMES = (
    "LevelBasedForaging-v0",
    "RobotWarehouse-v0",
    "Connector-v3",
    "Cleaner-v0",
    "MMST-v0",
    "SearchAndRescue-v0",
)
"""What is known to work; `make` takes any registered name, those of your own among them."""

IS_OPEN = True
"""`make` takes more names than are listed, and refuses the others itself."""

OBJECTS = (
    "scenario",
    "options",
    "generator",
    "reward_fn",
    "viewer",
    "observation",
    "target_dynamics",
)
"""Parameters of `make` and of jumanji's environments that are no options."""

FOLLOWERS = {"fov": "grid_size", "max_step": "time_limit"}
"""Parameters of generators that take another option's value unless they are given themselves."""


def make(
    scenario: str, *, reward: str = "sum", agent_id: bool = False, **options: Any
) -> JumanjiEnv:
    """Returns the jumanji environment of that name; jumanji is imported here, not before.

    Args:
        scenario: a name that jumanji registers, such as ``"Connector-v3"``.
        reward: see `JumanjiEnv`.
        agent_id: see `JumanjiEnv`.
        **options: keyword arguments of jumanji's environment or of its generator.

    Raises:
        ValueError: no such name or option, or an environment that is not of this kind.
    """
    from envs.adapters.jumanji_env import JumanjiEnv

    return JumanjiEnv(make_game(scenario, **options), reward=reward, agent_id=agent_id)


def make_game(scenario: str, **options: Any) -> Any:
    """Returns jumanji's own environment, with a generator of the same kind as the default one."""
    from jumanji import registration

    registered = sorted(registration.registered_environments())
    check_choice("jumanji's environment", scenario, registered)
    plain = registration.make(scenario)
    check_several_agents(scenario, plain)
    if not options:
        return plain
    generator = generator_of(plain)
    accepted = generator_parameters(generator)
    arguments = {name: value for name, value in options.items() if name not in accepted}
    if len(arguments) < len(options):
        try:
            arguments["generator"] = type(generator)(**generator_arguments(generator, options))
        except AssertionError as error:
            raise ValueError(str(error)) from error
    return registration.make(scenario, **arguments)


def check_several_agents(scenario: str, game: Any) -> None:
    """Raises a ValueError unless the environment says how many agents it has."""
    if not hasattr(game, "num_agents"):
        raise ValueError(
            f"Expected an environment of several agents, but jumanji's {scenario} names none ("
            f"it has no num_agents). Those with several: {', '.join(SCENARIO_NAMES)}."
        )


def generator_of(game: Any) -> Any:
    """Returns what makes the environment's instances, or None."""
    return getattr(game, "_generator", getattr(game, "generator", None))


def generator_parameters(generator: Any) -> Mapping[str, inspect.Parameter]:
    """Returns a generator's parameters by name."""
    return inspect.signature(type(generator)).parameters if generator is not None else {}


def generator_arguments(generator: Any, options: dict[str, Any]) -> dict[str, Any]:
    """Returns what to make another generator with: the options, else what this one has."""
    arguments = {}
    for name in generator_parameters(generator):
        leader = FOLLOWERS.get(name)
        if name in options:
            arguments[name] = options[name]
        elif leader in options:
            arguments[name] = options[leader]
        else:
            arguments[name] = getattr(generator, name, getattr(generator, f"_{name}", None))
    return arguments


def option_parameters(scenario: str) -> dict[str, inspect.Parameter]:
    """Returns the options that `make` takes for an environment, as the parameters they become."""
    game = make_game(scenario)
    sources = (
        inspect.signature(make).parameters,
        inspect.signature(type(game)).parameters,
        generator_parameters(generator_of(game)),
    )
    found: dict[str, inspect.Parameter] = {}
    for parameters in sources:
        found |= {name: each for name, each in parameters.items() if name not in found}
    return {name: each for name, each in found.items() if name not in OBJECTS}
