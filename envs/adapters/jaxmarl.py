"""Any multi-agent environment of JaxMARL: ``envs.make("jaxmarl:MPE_simple_spread_v3")``."""

from __future__ import annotations

import inspect
import warnings
from typing import TYPE_CHECKING, Any

from envs.adapters.bodies import BODIES, body_parameters, check_brax, make_body
from envs.choices import check_choice
from envs.jaxmarl_import import quiet_stdout, require_jaxmarl

if TYPE_CHECKING:
    from envs.adapters.jaxmarl_env import JaxmarlEnv

SCENARIO_NAMES = (
    "MPE_simple_spread_v3",
    "MPE_simple_reference_v3",
    "MPE_simple_speaker_listener_v4",
    "MPE_simple_tag_v3",
    "MPE_simple_adversary_v3",
    "MPE_simple_push_v3",
    "MPE_simple_world_comm_v3",
    "MPE_simple_facmac_v1",
    "switch_riddle",
    "overcooked",
    "overcooked_v2",
    "hanabi",
    "jaxnav",
    "coin_game",
    "HeuristicEnemySMAX",
    *BODIES,
)
"""What is known to work, some of it with options only; `make` takes any registered name."""

IS_OPEN = True
"""`make` takes more names than are listed, and refuses the others itself."""

REQUIRED = {"jaxnav": {"act_type": "Discrete"}}
"""Options that are taken where they are not given: without it jaxnav's actions are continuous."""


def make(
    scenario: str,
    *,
    team: str | None = None,
    reward: str = "mean",
    shaped_coef: float = 0.0,
    agent_id: bool = False,
    **options: Any,
) -> JaxmarlEnv:
    """Returns the JaxMARL environment of that name; jaxmarl is imported here, not before.

    Args:
        scenario: a name that JaxMARL registers, such as ``"overcooked"``.
        team: see `JaxmarlEnv`.
        reward: see `JaxmarlEnv`.
        shaped_coef: see `JaxmarlEnv`.
        agent_id: see `JaxmarlEnv`.
        **options: keyword arguments of JaxMARL's environment.

    Raises:
        ValueError: no such name or option, or an environment that is not of this kind.
        ImportError: jaxmarl, or a package that the environment needs, is missing.
    """
    game = make_game(scenario, **{**REQUIRED.get(scenario, {}), **options})
    if scenario in BODIES:
        from envs.adapters.brax_env import BraxEnv as Env
    else:
        from envs.adapters.jaxmarl_env import JaxmarlEnv as Env

    return Env(game, team=team, reward=reward, shaped_coef=shaped_coef, agent_id=agent_id)


def make_game(scenario: str, **options: Any) -> Any:
    """Returns JaxMARL's own environment."""
    check_brax(scenario)  # Before jaxmarl: what installs brax installs both.
    require_jaxmarl("the environments of JaxMARL")
    with quiet_stdout():
        import jaxmarl
        from jaxmarl.registration import registered_envs
    check_choice("JaxMARL's environment", scenario, registered_envs)
    if isinstance(options.get("layout"), str) and scenario == "overcooked":
        options["layout"] = overcooked_layout(options["layout"])
    make_stock = make_body if scenario in BODIES else jaxmarl.make
    with warnings.catch_warnings(), quiet_stdout():
        warnings.simplefilter("ignore")
        try:
            return make_stock(scenario, **options)
        except (AssertionError, NotImplementedError) as error:
            raise ValueError(str(error)) from error


def overcooked_layout(name: str) -> Any:
    """Returns the kitchen of that name, which JaxMARL takes as a dictionary only."""
    with quiet_stdout():
        from jaxmarl.environments.overcooked import overcooked_layouts
    check_choice("layout", name, overcooked_layouts)
    return overcooked_layouts[name]


def option_parameters(scenario: str) -> dict[str, inspect.Parameter]:
    """Returns the options that `make` takes for an environment, as the parameters they become.

    An environment hands what it does not know (``**kwargs``) to the class that it extends.
    """
    ours = inspect.signature(make).parameters
    found = {name: each for name, each in ours.items() if each.kind is each.KEYWORD_ONLY}
    game = make_game(scenario)
    if scenario in BODIES:
        return found | body_parameters(game)
    for kind in type(game).__mro__[:-1]:
        parameters = inspect.signature(kind).parameters
        named = {
            name: each for name, each in parameters.items() if each.kind is not each.VAR_KEYWORD
        }
        found |= {name: each for name, each in named.items() if name not in found}
        if len(named) == len(parameters):
            break
    return found
