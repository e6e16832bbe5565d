"""What a JaxMARL environment says of its agents: types, sides, actions, masks."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import jax
from jax import Array

from envs.choices import check_choice
from envs.jaxmarl_import import quiet_stdout
from oatrpo_jax.types import PyTree

OPPOSING = ("adversary", "leadadversary", "eve", "enemy")
"""Types of agents that JaxMARL's environments set against the others; their side: adversary."""


def agent_type(agent: str) -> str:
    """Returns an agent's kind: its name without its number.

    >>> agent_type("adversary_0"), agent_type("1")
    ('adversary', 'agent')
    """
    return re.sub(r"_?\d+$", "", agent) or "agent"


def check_interface(game: Any, has_shaped_reward: bool) -> None:
    """Raises a ValueError unless agents have names under which they are shown observations.

    Args:
        game: JaxMARL's environment.
        has_shaped_reward: refuse one that tells of no shaped reward, too.
    """
    key = jax.random.key(0)
    with quiet_stdout():
        shown, state = jax.eval_shape(game.reset, key)
    if not isinstance(shown, dict) or not set(game.agents) <= set(shown):
        raise ValueError(
            f"Expected observations by the agents' names {list(game.agents)}, as JaxMARL's "
            f"interface says, but {type(game).__name__} does not keep to it; choose another."
        )
    if has_shaped_reward:
        orders = {agent: game.action_space(agent).sample(key) for agent in game.agents}
        *_, told = jax.eval_shape(game.step_env, key, state, orders)
        if "shaped_reward" not in told:
            raise ValueError(
                f"shaped_coef: {type(game).__name__} tells of no shaped reward; leave it out"
            )


def choose_team(game: Any, team: str | None) -> tuple[str, ...]:
    """Returns the names of the agents on the learning side.

    Raises:
        ValueError: there are two sides and none is chosen, or one is chosen where there are none.
    """
    sides: dict[str, list[str]] = {}
    for agent in game.agents:
        side = "adversary" if agent_type(agent) in OPPOSING else "agent"
        sides.setdefault(side, []).append(agent)
    name = type(game).__name__
    if len(sides) == 1 and team is None:
        return tuple(game.agents)
    if len(sides) == 1:
        raise ValueError(f"team: {name} has one side only; leave team out")
    if team is None:
        raise ValueError(
            f"{name} sets agents against each other ({', '.join(game.agents)}), and this trainer "
            "trains one team with one reward. Choose the team that learns with team=agent or "
            "team=adversary (--env-option team=adversary); its opponents act at random."
        )
    check_choice("team", team, sides)
    return tuple(sides[team])


def legal_actions(game: Any) -> Callable[[PyTree], dict[str, Array]] | None:
    """Returns JaxMARL's ``state -> {agent: [A] mask}``, or None if all actions are always legal."""
    for name in ("get_avail_actions", "get_legal_moves"):
        function = getattr(game, name, None)
        if function is None:
            continue
        try:
            jax.eval_shape(lambda key, f=function: f(game.reset(key)[1]), jax.random.key(0))
        except NotImplementedError:
            continue
        return function
    return None
