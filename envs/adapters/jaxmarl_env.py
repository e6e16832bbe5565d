"""A JaxMARL environment under our protocol: no hidden reset, one team, one reward."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jumanji.types import StepType, TimeStep

from envs.adapters.common import Adapter, strongly_typed, with_clock_at_zero
from envs.jaxmarl_import import quiet_stdout
from oatrpo_jax.types import Observation, PyTree

OPPOSING = ("adversary", "leadadversary", "eve", "enemy")
"""Types of agents that JaxMARL's environments set against the others; their side: adversary."""

SUCCESS: dict[str, Callable[[Any, PyTree, Array], Array]] = {
    "SwitchRiddle": lambda game, state, rewards: rewards[0] == game.reward_all_live,
    "HanabiEnv": lambda game, state, rewards: state.score == game.num_colors * game.num_ranks,
}
"""By JaxMARL's class: (environment, its state, ``[N]`` rewards) -> is the goal reached?"""


class State(NamedTuple):
    """What an episode needs to go on.

    Attributes:
        key: key of the coming steps.
        game: JaxMARL's state.
        active: ``[N]`` bool, False for an agent that JaxMARL calls done before the others are.
        is_over: ``[]`` bool, True once the episode has ended.
    """

    key: Array
    game: PyTree
    active: Array
    is_over: Array


class JaxmarlEnv(Adapter):
    """A team of a JaxMARL environment.

    An episode ends when JaxMARL says so for all agents.  It is truncated if it would not have
    ended with the clock at zero, and terminated otherwise.  The global state is JaxMARL's
    ``world_state`` where there is one, else the team's views in a row.

    Args:
        game: JaxMARL's environment.
        team: ``"agent"`` or ``"adversary"``: the side that learns, where there are two; the other
            one takes uniformly random actions.  None where all agents are on one side.
        reward: ``"mean"`` or ``"sum"`` of the agents' rewards.  With the mean, rewards that
            JaxMARL gives to all agents alike stay what they are.
        agent_id: append the one-hot index of the agent to its view.
    """

    def __init__(
        self, game: Any, *, team: str | None = None, reward: str = "mean", agent_id: bool = False
    ) -> None:
        check_interface(game)
        self.game = game
        self._team = choose_team(game, team)
        self._opponents = tuple(agent for agent in game.agents if agent not in self._team)
        self._success = SUCCESS.get(type(game).__name__)
        self._num_actions = {agent: num_actions(game, agent) for agent in game.agents}
        self._legal = legal_actions(game)
        super().__init__(
            [agent_type(agent) for agent in self._team],
            [self._num_actions[agent] for agent in self._team],
            reward,
            agent_id,
        )
        self.settings |= {"team": team, "opponents": "random" if self._opponents else None}

    def __repr__(self) -> str:
        return f"JaxmarlEnv({type(self.game).__name__}, {self.num_agents} agents)"

    def reset(self, key: Array) -> tuple[State, TimeStep[Observation]]:
        """Returns a fresh state and its first time step."""
        key, reset_key = jax.random.split(key)
        with quiet_stdout():  # jaxnav prints what it traces.
            seen, game = self.game.reset(reset_key)
        state = State(key, strongly_typed(game), jnp.ones(self.num_agents, bool), jnp.array(False))
        return state, TimeStep(
            step_type=StepType.FIRST,
            reward=jnp.float32(0),
            discount=jnp.float32(1),
            observation=self._observation(seen, state),
            extras={"success": jnp.float32(0)} if self._success else {},
        )

    def step(self, state: State, action: Array) -> tuple[State, TimeStep[Observation]]:
        """Returns the state and time step that follow, without any reset.

        Args:
            state: episode so far.
            action: ``[N]`` int32, of the team.
        """
        key, step_key, opponent_key = jax.random.split(state.key, 3)
        orders = dict(zip(self._team, action, strict=True)) | self._random_orders(opponent_key)
        orders = {agent: orders[agent] for agent in self.game.agents}
        with quiet_stdout():
            seen, game, rewards, dones, _ = self.game.step_env(step_key, state.game, orders)
            ends_without_clock = self._ends_without_clock(step_key, state.game, orders)
        ends = dones["__all__"]
        is_last = ends | state.is_over
        # At the end all are done; who was active in the last step is what matters then.
        done = jnp.stack([dones[agent] for agent in self._team])
        after = State(key, strongly_typed(game), state.active & (~done | ends), is_last)
        is_termination = ends & ends_without_clock
        shares = jnp.stack([jnp.asarray(rewards[agent], jnp.float32) for agent in self._team])
        extras = {}
        if self._success:
            extras["success"] = self._success(self.game, game, shares).astype(jnp.float32)
        return after, TimeStep(
            step_type=jnp.where(is_last, StepType.LAST, StepType.MID),
            reward=self.team_reward(shares),
            discount=1.0 - is_termination.astype(jnp.float32),
            observation=self._observation(seen, after),
            extras=extras,
        )

    def _random_orders(self, key: Array) -> dict[str, Array]:
        keys = jax.random.split(key, len(self._opponents) or 1)
        return {
            agent: jax.random.randint(keys[index], (), 0, self._num_actions[agent], jnp.int32)
            for index, agent in enumerate(self._opponents)
        }

    def _ends_without_clock(self, key: Array, game: PyTree, orders: dict[str, Array]) -> Array:
        begun = with_clock_at_zero(game, "step")
        if begun is None:
            return jnp.array(True)
        return self.game.step_env(key, begun, orders)[3]["__all__"]

    def _observation(self, seen: dict[str, Array], state: State) -> Observation:
        views = [seen[agent] for agent in self._team]
        flat = [view.reshape(view.size).astype(jnp.float32) for view in views]
        world = seen["world_state"] if "world_state" in seen else jnp.concatenate(flat)
        legal = self._legal(state.game) if self._legal else None
        rows = None if legal is None else [legal[agent] for agent in self._team]
        return self.observe(flat, rows, world, state.active)


def agent_type(agent: str) -> str:
    """Returns an agent's kind: its name without its number.

    >>> agent_type("adversary_0"), agent_type("1")
    ('adversary', 'agent')
    """
    return re.sub(r"_?\d+$", "", agent) or "agent"


def check_interface(game: Any) -> None:
    """Raises a ValueError unless agents have names under which they are shown observations."""
    shown = jax.eval_shape(game.reset, jax.random.key(0))[0]
    if not isinstance(shown, dict) or not set(game.agents) <= set(shown):
        raise ValueError(
            f"Expected observations by the agents' names {list(game.agents)}, as JaxMARL's "
            f"interface says, but {type(game).__name__} does not keep to it; choose another."
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
    if team not in sides:
        raise ValueError(f"team: expected {' or '.join(sorted(sides))}, got {team!r}")
    return tuple(sides[team])


def num_actions(game: Any, agent: str) -> int:
    """Returns how many actions an agent has; a ValueError unless they are discrete."""
    space = game.action_space(agent)
    if not hasattr(space, "n"):
        raise ValueError(
            f"Expected discrete actions, but {type(game).__name__} gives {agent} a "
            f"{type(space).__name__} of shape {space.shape}. Choose an environment with discrete "
            "actions; some of JaxMARL's have an option for them, such as act_type=Discrete."
        )
    return int(space.n)


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
