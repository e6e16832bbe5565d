"""A JaxMARL environment under our protocol: no hidden reset, one team, one reward."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jumanji.types import TimeStep, restart

from envs.adapters.common import Adapter, with_clock_at_zero
from envs.adapters.jaxmarl_agents import (
    agent_type,
    check_interface,
    choose_team,
    legal_actions,
    num_actions,
)
from envs.jaxmarl_import import quiet_stdout
from envs.team import next_timestep
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

    An episode ends when JaxMARL says so for all agents.  It is truncated if it would not have
    ended with the clock at zero, and terminated otherwise.  The global state is JaxMARL's
    ``world_state`` where there is one, else the team's views in a row.

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
        self._num_actions = {agent: num_actions(game, agent) for agent in game.agents}
        self._legal = legal_actions(game)
        self._shaped_coef = shaped_coef
        super().__init__(
            [agent_type(agent) for agent in self._team],
            [self._num_actions[agent] for agent in self._team],
            reward,
            agent_id,
        )
        self.settings |= {
            "team": team,
            "opponents": "random" if self._opponents else None,
            "shaped_coef": shaped_coef,
        }

    def __repr__(self) -> str:
        return f"JaxmarlEnv({type(self.game).__name__}, {self.num_agents} agents)"

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
            action: ``[N]`` int32, of the team.
        """
        key, step_key, opponent_key = jax.random.split(state.key, 3)
        orders = dict(zip(self._team, action, strict=True)) | self._random_orders(opponent_key)
        orders = {agent: orders[agent] for agent in self.game.agents}
        with quiet_stdout():
            seen, game, rewards, dones, told = self.game.step_env(step_key, state.game, orders)
            ends_without_clock = self._ends_without_clock(step_key, state.game, orders)
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
            ends & ends_without_clock,
            self._extras(after, success),
        )

    def _shares(self, rewards: dict[str, Array]) -> Array:
        return jnp.stack([jnp.asarray(rewards[agent], jnp.float32) for agent in self._team])

    def _extras(self, state: State, success: Array) -> dict[str, Array]:
        extras = {"success": success.astype(jnp.float32)} if self._success else {}
        return extras | ({"unshaped_return": state.unshaped_return} if self._shaped_coef else {})

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
