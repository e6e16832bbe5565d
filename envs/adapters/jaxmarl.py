"""Any multi-agent environment of JaxMARL: ``envs.make("jaxmarl:MPE_simple_spread_v3")``."""

from __future__ import annotations

import difflib
import inspect
import warnings
from typing import TYPE_CHECKING, Any

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
    "switch_riddle",
    "overcooked",
    "overcooked_v2",
    "hanabi",
    "jaxnav",
    "coin_game",
    "HeuristicEnemySMAX",
)
"""What is known to work, some of it with options only; `make` takes any registered name."""

IS_OPEN = True
"""`make` takes more names than are listed, and refuses the others itself."""

REQUIRED = {"jaxnav": {"act_type": "Discrete"}}
"""Options without which an environment has no discrete actions; taken where not given."""


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
    from envs.adapters.jaxmarl_env import JaxmarlEnv

    return JaxmarlEnv(game, team=team, reward=reward, shaped_coef=shaped_coef, agent_id=agent_id)


def make_game(scenario: str, **options: Any) -> Any:
    """Returns JaxMARL's own environment."""
    require_jaxmarl("the environments jaxmarl:...")
    with quiet_stdout():
        import jaxmarl
        from jaxmarl.registration import registered_envs
    if scenario not in registered_envs:
        close = difflib.get_close_matches(scenario, registered_envs, n=2, cutoff=0.5)
        hint = f" Did you mean {' or '.join(close)}?" if close else ""
        raise ValueError(
            f"Expected a name that JaxMARL registers, got {scenario!r}.{hint} Choose from: "
            f"{', '.join(registered_envs)}."
        )
    if isinstance(options.get("layout"), str) and scenario == "overcooked":
        options["layout"] = overcooked_layout(options["layout"])
    with warnings.catch_warnings(), quiet_stdout():
        warnings.simplefilter("ignore")
        try:
            return jaxmarl.make(scenario, **options)
        except AssertionError as error:
            raise ValueError(str(error)) from error


def overcooked_layout(name: str) -> Any:
    """Returns the kitchen of that name, which JaxMARL takes as a dictionary only."""
    with quiet_stdout():
        from jaxmarl.environments.overcooked import overcooked_layouts
    if name not in overcooked_layouts:
        raise ValueError(f"layout: expected one of {', '.join(overcooked_layouts)}, got {name!r}")
    return overcooked_layouts[name]


def option_names(scenario: str) -> tuple[str, ...]:
    """Returns the names of the options that `make` takes for an environment.

    An environment hands what it does not know (``**kwargs``) to the class that it extends.
    """
    ours = [
        name for name in inspect.signature(make).parameters if name not in ("scenario", "options")
    ]
    theirs: dict[str, None] = {}
    for kind in type(make_game(scenario)).__mro__[:-1]:
        parameters = inspect.signature(kind).parameters.values()
        named = [p.name for p in parameters if p.kind is not inspect.Parameter.VAR_KEYWORD]
        theirs.update(dict.fromkeys(named))
        if len(named) == len(parameters):
            break
    return (*ours, *theirs)
