"""A JaxMARL environment under our protocol: no hidden reset, one team, one reward."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jumanji.types import TimeStep, restart

from envs.adapters.actions import actions_of
from envs.adapters.common import Adapter, with_clock_at_zero
from envs.adapters.jaxmarl_agents import agent_type, check_interface, choose_team, legal_actions
from envs.base import next_timestep
from envs.jaxmarl_import import quiet_stdout
from oatrpo_jax.types import Observation, PyTree, strongly_typed

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
        unshaped_return: ``[]`` float32 sum of the team's rewards without the shaped ones.
    """

    key: Array
    game: PyTree
    active: Array
    is_over: Array
    unshaped_return: Array


class JaxmarlEnv(Adapter):
    """A team of a JaxMARL environment.

    An episode ends when JaxMARL says so for all agents.  It is truncated if JaxMARL says that, or
    if it would not have ended with the clock at zero, and terminated otherwise.  The global state
    is JaxMARL's ``world_state`` where there is one, else the team's views in a row.

    Args:
        game: JaxMARL's environment.
        team: ``"agent"`` or ``"adversary"``: the side that learns, where there are two; the other
            one takes uniformly random actions.  None where all agents are on one side.
        reward: ``"mean"`` or ``"sum"`` of the agents' rewards.  With the mean, rewards that
            JaxMARL gives to all agents alike stay what they are.
        shaped_coef: weight of the ``shaped_reward`` that some environments (Overcooked) tell of
            beside the reward; if not 0, ``extras`` has the ``unshaped_return`` so far.
        agent_id: append the one-hot index of the agent to its view.
    """

    def __init__(
        self,
        game: Any,
        *,
        team: str | None = None,
        reward: str = "mean",
        shaped_coef: float = 0.0,
        agent_id: bool = False,
    ) -> None:
        check_interface(game, has_shaped_reward=shaped_coef != 0)
        self.game = game
        self._team = choose_team(game, team)
        self._opponents = tuple(agent for agent in game.agents if agent not in self._team)
        self._success = SUCCESS.get(type(game).__name__)
        spaces = {agent: game.action_space(agent) for agent in game.agents}
        self._all_actions = actions_of(type(game).__name__, spaces)
        actions = actions_of(type(game).__name__, {agent: spaces[agent] for agent in self._team})
        self._legal = None if actions.is_continuous else legal_actions(game)
        self._shaped_coef = shaped_coef
        super().__init__([agent_type(agent) for agent in self._team], actions, reward, agent_id)
        self.settings |= {
            "team": team,
            "opponents": "random" if self._opponents else None,
            "shaped_coef": shaped_coef,
        }

    def reset(self, key: Array) -> tuple[State, TimeStep[Observation]]:
        """Returns a fresh state and its first time step."""
        key, reset_key = jax.random.split(key)
        with quiet_stdout():  # jaxnav prints what it traces.
            seen, game = self.game.reset(reset_key)
        state = State(
            key,
            strongly_typed(game),
            active=jnp.ones(self.num_agents, bool),
            is_over=jnp.array(False),
            unshaped_return=jnp.float32(0),
        )
        extras = self._extras(state, jnp.array(False))
        return state, restart(self._observation(seen, state), extras, dtype=jnp.float32)

    def step(self, state: State, action: Array) -> tuple[State, TimeStep[Observation]]:
        """Returns the state and time step that follow, without any reset.

        Args:
            state: episode so far.
            action: of the team, ``[N]`` int32, or ``[N, D]`` float32 raw actions.
        """
        key, step_key, opponent_key = jax.random.split(state.key, 3)
        orders = dict(zip(self._team, self.actions.orders(action), strict=True))
        orders |= self._random_orders(opponent_key)
        orders = {agent: orders[agent] for agent in self.game.agents}
        with quiet_stdout():
            seen, game, rewards, dones, told = self.game.step_env(step_key, state.game, orders)
            is_cut_off = self._is_cut_off(step_key, state.game, orders, told)
        ends = dones["__all__"]
        # At the end all are done; who was active in the last step is what matters then.
        done = jnp.stack([dones[agent] for agent in self._team])
        shares = self._shares(rewards)
        reward = self.team_reward(shares)
        after = State(
            key,
            strongly_typed(game),
            active=state.active & (~done | ends),
            is_over=ends | state.is_over,
            unshaped_return=state.unshaped_return + reward,
        )
        if self._shaped_coef:
            bonus = self.team_reward(self._shares(told["shaped_reward"]))
            reward = reward + self._shaped_coef * bonus
        success = self._success(self.game, game, shares) if self._success else jnp.array(False)
        return after, next_timestep(
            self._observation(seen, after),
            reward,
            after.is_over,
            ends & ~is_cut_off,
            self._extras(after, success),
        )

    def _shares(self, rewards: dict[str, Array]) -> Array:
        return jnp.stack([jnp.asarray(rewards[agent], jnp.float32) for agent in self._team])

    def _extras(self, state: State, success: Array) -> dict[str, Array]:
        extras = {"success": success.astype(jnp.float32)} if self._success else {}
        return extras | ({"unshaped_return": state.unshaped_return} if self._shaped_coef else {})

    def _random_orders(self, key: Array) -> dict[str, Array]:
        keys = jax.random.split(key, len(self._opponents) or 1)
        places = [self.game.agents.index(agent) for agent in self._opponents]
        orders = map(self._all_actions.draw, keys[: len(places)], places)
        return dict(zip(self._opponents, orders, strict=True))

    def _is_cut_off(
        self, key: Array, game: PyTree, orders: dict[str, Array], told: dict[str, Any]
    ) -> Array:
        """Returns ``[]`` bool: would an episode that ends with this step go on without a limit?"""
        if "truncation" in told:
            return told["truncation"] > 0
        begun = with_clock_at_zero(game, "step")
        if begun is None:
            return jnp.array(False)
        return ~self.game.step_env(key, begun, orders)[3]["__all__"]

    def _observation(self, seen: dict[str, Array], state: State) -> Observation:
        views = [seen[agent] for agent in self._team]
        flat = [view.reshape(view.size).astype(jnp.float32) for view in views]
        world = self._world(seen, state.game)
        world = jnp.concatenate(flat) if world is None else world
        legal = self._legal(state.game) if self._legal else None
        rows = None if legal is None else [legal[agent] for agent in self._team]
        return self.observe(flat, rows, world, state.active)

    def _world(self, seen: dict[str, Array], game: PyTree) -> Array | None:
        """Returns what the library shows of everything, of any shape; None if nothing."""
        return seen.get("world_state")
