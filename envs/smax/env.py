"""SMAX as a jumanji environment: one team reward, no hidden reset, the final observation kept."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jumanji.types import TimeStep, restart

from envs.base import DrawnEnvironment, next_timestep
from envs.choices import check_choice
from envs.smax import units
from envs.smax.battle import (
    MAP_NAME_TO_SCENARIO,
    BattleState,
    FastViewEnemySMAX,
    Scenario,
    State,
    nearest_first,
)
from envs.smax.healing import HealingEnemySMAX
from envs.smax.viewer import SmaxViewer, UnitTables
from oatrpo_jax.types import Observation, strongly_typed

AllyOrder = Literal["nearest", "index"]


class Smax(DrawnEnvironment):
    """SMAX against its heuristic enemy.

    An episode terminates when a team has no fighter left (a medivac is none) and is truncated
    after ``max_steps`` steps with both teams standing.  The allies win when they alone stand.
    The reward is SMAX's: the share of the enemies' health lost in this step, and 1 for the win.

    Args:
        scenario: jaxmarl's ``Scenario``; unit types are indices into ``units.NAMES``.
        max_steps: steps until truncation.  (Stock SMAX stops one step later than it says.)
        ally_order: order of the other allies in an agent's view.  ``"nearest"`` sorts them by
            distance, so that a view says nothing of its owner's index; ``"index"`` is stock SMAX,
            where slot ``k`` is ally ``k`` or ``k + 1`` depending on the owner.  A healer always
            sees them by index, as its actions name them so.  Enemies always come by index for
            the same reason, and that order is the same for all.
        agent_id: append the one-hot index of the agent to its view.
    """

    frame_milliseconds = 200

    def __init__(
        self,
        scenario: Scenario,
        max_steps: int = units.STOCK_MAX_STEPS,
        ally_order: AllyOrder = "nearest",
        agent_id: bool = False,
    ) -> None:
        check_scenario(scenario)
        if max_steps < 1:
            raise ValueError(f"Expected max_steps >= 1, got {max_steps}. Raise it.")
        check_choice("ally_order", ally_order, get_args(AllyOrder))
        types = np.asarray(scenario.unit_types)
        has_healer = bool(units.IS_HEALER[types].any())
        game = HealingEnemySMAX if has_healer else FastViewEnemySMAX
        self.game = game(scenario=scenario, max_steps=max_steps)
        self.max_steps = max_steps
        self.num_agents: int = scenario.num_allies
        self.num_actions: int = self.game.num_ally_actions
        self.agent_types = (
            ("random",) * self.num_agents
            if scenario.smacv2_unit_type_generation
            else tuple(units.NAMES[i] for i in types[: self.num_agents])
        )
        self._sorts_allies = ally_order == "nearest"
        self._is_healer = np.array([name == "medivac" for name in self.agent_types])
        self._agent_id = agent_id

    def __repr__(self) -> str:
        return f"Smax({self.num_agents} allies, {self.game.num_enemies} enemies)"

    def reset(self, key: Array) -> tuple[State, TimeStep[Observation]]:
        """Returns a fresh battle and its first time step."""
        key, reset_key = jax.random.split(key)
        _, game = self.game.reset(reset_key)
        state = State(key, strongly_typed(game), jnp.int32(0))
        return state, restart(self._observe(state), self._extras(state), dtype=jnp.float32)

    def step(self, state: State, action: Array) -> tuple[State, TimeStep[Observation]]:
        """Returns the battle and time step half a second later, without any reset.

        Args:
            state: battle so far.
            action: ``[N]`` int32; 0..3 move up, right, down, left; 4 stops, the only choice of
                the dead; ``5 + k`` shoots at enemy ``k``, or heals ally ``k`` for a medivac.
        """
        key, step_key = jax.random.split(state.key)
        orders = dict(zip(self.game.agents, action, strict=True))
        _, game, rewards, _, _ = self.game.step_env(step_key, state.game, orders)
        state = State(key, strongly_typed(game), state.step_count + 1)
        allies_stand, enemies_stand = self.standing(state)
        is_decided = ~(allies_stand & enemies_stand)
        is_last = is_decided | (state.step_count >= self.max_steps)
        return state, next_timestep(
            self._observe(state), rewards["ally_0"], is_last, is_decided, self._extras(state)
        )

    def _observe(self, state: State) -> Observation:
        battle = state.game.state
        legal = self.game.get_avail_actions(state.game)
        return Observation(
            agents_view=self._agents_view(battle),
            action_mask=jnp.stack([legal[agent] for agent in self.game.agents]).astype(bool),
            global_state=self._global_state(battle),
            active=battle.unit_alive[: self.num_agents],
        )

    def _extras(self, state: State) -> dict[str, Array]:
        allies_stand, enemies_stand = self.standing(state)
        alive = state.game.state.unit_alive[: self.num_agents]
        return {
            "success": (allies_stand & ~enemies_stand).astype(jnp.float32),
            "allies_left": alive.mean(dtype=jnp.float32),
        }

    def standing(self, state: State) -> tuple[Array, Array]:
        """Returns whether the allies, and the enemies, have a fighter left: two ``[]`` bools."""
        battle = state.game.state
        is_fighter = battle.unit_alive & ~jnp.asarray(units.IS_HEALER)[battle.unit_types]
        return is_fighter[: self.num_agents].any(), is_fighter[self.num_agents :].any()

    def _agents_view(self, battle: BattleState) -> Array:
        """Returns ``[N, O]``: rows of the other allies and of the enemies, then own features."""
        stock = self.game.ally_views(battle)
        view = stock
        if self._sorts_allies and self.num_agents > 1:
            num_features = len(self.game.unit_features)
            split = (self.num_agents - 1) * num_features
            rows = stock[:, :split].reshape(self.num_agents, -1, num_features)
            rows = jax.vmap(nearest_first)(rows).reshape(self.num_agents, split)
            view = jnp.concatenate([rows, stock[:, split:]], axis=1)
            view = jnp.where(self._is_healer[:, None], stock, view)
        if self._agent_id:
            view = jnp.concatenate([view, jnp.eye(self.num_agents)], axis=1)
        return view

    def _global_state(self, battle: BattleState) -> Array:
        """Returns ``[S]``: each unit's health, x, y, cooldown (or energy) and type, in [0, 1].

        Stock SMAX leaves the positions in map units and the cooldowns in seconds, below zero for
        weapons long ready, and appends teams (constant) and type numbers (here already one-hot).
        """
        num_features = len(self.game.own_features)
        world = self.game._env.get_world_state(battle)
        rows = world[: len(battle.unit_types) * num_features].reshape(-1, num_features)
        size = jnp.array([self.game.map_width, self.game.map_height], jnp.float32)
        cooldown = rows[:, 3] / self.game.unit_type_weapon_cooldowns[battle.unit_types]
        scaled = [rows[:, :1], rows[:, 1:3] / size, jnp.clip(cooldown, 0, 1)[:, None], rows[:, 4:]]
        return jnp.concatenate(scaled, axis=1).reshape(rows.size)

    @cached_property
    def viewer(self) -> SmaxViewer:
        """Returns the renderer of this scenario."""
        game = self.game
        tables = UnitTables(
            radius=np.asarray(game.unit_type_radiuses),
            health=np.asarray(game.unit_type_health),
            attack_range=np.asarray(game.unit_type_attack_ranges),
        )
        map_size = max(game.map_width, game.map_height)
        return SmaxViewer(self.num_agents, self.max_steps, map_size, tables, self.standing)


def from_name(name: str, **kwargs: Any) -> Smax:
    """Returns the environment of a scenario in ``units.SCENARIO_NAMES``."""
    if roster := units.ROSTERS.get(name):
        return Smax(build_scenario(roster), **{"max_steps": roster.max_steps, **kwargs})
    return Smax(MAP_NAME_TO_SCENARIO[name], **kwargs)


def build_scenario(roster: units.Roster) -> Scenario:
    """Returns jaxmarl's form of a roster."""
    types = [
        units.NAMES.index(name) for name, n in roster.allies + roster.enemies for _ in range(n)
    ]
    return Scenario(
        unit_types=jnp.array(types, jnp.uint8),
        num_allies=sum(n for _, n in roster.allies),
        num_enemies=sum(n for _, n in roster.enemies),
        smacv2_position_generation=False,
        smacv2_unit_type_generation=False,
    )


def check_scenario(scenario: Scenario) -> None:
    """Raises a ValueError that says what is wrong with the scenario, if anything is."""
    for team, count in (("allies", scenario.num_allies), ("enemies", scenario.num_enemies)):
        if count < 1:
            raise ValueError(f"Expected num_{team} >= 1, got {count}. Give each team a unit.")
    types = np.asarray(scenario.unit_types)
    num_units = scenario.num_allies + scenario.num_enemies
    if types.shape != (num_units,) or (types >= len(units.NAMES)).any():
        raise ValueError(
            f"Expected unit_types to be {num_units} indices (allies, then enemies) of "
            f"{', '.join(units.NAMES)}, got {types.tolist()}."
        )
