"""SMAX's battle: what is used of jaxmarl comes through here, and its views several times faster.

The dynamics are left alone.  jaxmarl builds a view feature by feature, one pair of units at a time,
for all units of both teams twice per step.  Here the same numbers come from whole arrays, one team
at a time, so that the compiler drops the team nobody asks for.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from envs.base import rising_order
from envs.jaxmarl_import import quiet_stdout, require_jaxmarl

require_jaxmarl("the SMAX environments")
with quiet_stdout():
    from jaxmarl.environments.smax.heuristic_enemy import create_heuristic_policy
    from jaxmarl.environments.smax.heuristic_enemy_smax_env import HeuristicEnemySMAX
    from jaxmarl.environments.smax.heuristic_enemy_smax_env import State as GameState
    from jaxmarl.environments.smax.smax_env import MAP_NAME_TO_SCENARIO, SMAX, Scenario
    from jaxmarl.environments.smax.smax_env import State as BattleState

__all__ = [
    "MAP_NAME_TO_SCENARIO",
    "SMAX",
    "BattleState",
    "FastViewEnemySMAX",
    "FastViewSMAX",
    "HeuristicEnemySMAX",
    "Scenario",
    "State",
    "nearest_first",
]


class State(NamedTuple):
    """What an episode needs to go on.

    Attributes:
        key: key of the coming steps.
        game: jaxmarl's state, with that of the heuristic enemy.
        step_count: ``[]`` int32 steps taken in this episode.
    """

    key: Array
    game: GameState
    step_count: Array


class FastViewSMAX(SMAX):
    """SMAX with the stock ``unit_list`` observation, number for number."""

    def get_obs_unit_list(self, state: BattleState) -> dict[str, Array]:
        """Returns each unit's view ``[O]`` by name, as jaxmarl's own code asks for it."""
        views = [*self.ally_views(state), *self.enemy_views(state)]
        return dict(zip(self.agents, views, strict=True))

    def ally_views(self, state: BattleState) -> Array:
        """Returns ``[N, O]``: the other units by rising index, unseen ones zero, then itself."""
        return self._team_views(state, np.arange(self.num_agents), self.num_allies)

    def enemy_views(self, state: BattleState) -> Array:
        """Returns ``[enemies, O]``: the other units by falling index, then itself."""
        return self._team_views(state, np.arange(self.num_agents)[::-1], self.num_enemies)[::-1]

    def _unit_features(self, state: BattleState) -> tuple[Array, Array]:
        """Returns what is seen of each unit, ``[U, 1]`` before its position and ``[U, F]`` after.

        That is health, and last move, last target, cooldown and type.
        """
        kind = state.unit_types
        is_ally = np.arange(self.num_agents) < self.num_allies
        last_action = np.where(is_ally, self.num_ally_actions - 1, self.num_enemy_actions - 1)
        health = state.unit_health / self.unit_type_health[kind]
        target = state.prev_attack_actions.astype(jnp.float32) / last_action.astype(np.float32)
        cooldown = jnp.clip(
            state.unit_weapon_cooldowns / self.unit_type_weapon_cooldowns[kind], 0, 1
        )
        bits = jax.nn.one_hot(kind, self.unit_type_bits)
        after = [state.prev_movement_actions, target[:, None], cooldown[:, None], bits]
        return health[:, None], jnp.concatenate(after, axis=1)

    def _team_views(self, state: BattleState, order: np.ndarray, size: int) -> Array:
        """Returns ``[size, O]`` views of the first ``size`` units in ``order``, listed that way."""
        position = state.unit_positions[order]
        alive = state.unit_alive[order]
        sight = self.unit_type_sight_ranges[state.unit_types[order]][:size]
        before, after = (part[order] for part in self._unit_features(state))

        offset = position[None] - position[:size, None]
        seen = jnp.linalg.norm(offset, axis=-1) < sight[:, None]
        seen = seen & alive[:size, None] & alive[None]
        shape = (size, self.num_agents)
        rows = jnp.concatenate(
            [
                jnp.broadcast_to(before, (*shape, before.shape[-1])),
                offset / sight[:, None, None],
                jnp.broadcast_to(after, (*shape, after.shape[-1])),
            ],
            axis=-1,
        )
        rows = jnp.where(seen[..., None], rows, 0.0)
        # Leave out the unit itself: the units before it keep their place, the later ones move up.
        is_before = np.arange(self.num_agents - 1) < np.arange(size)[:, None]
        rows = jnp.where(is_before[..., None], rows[:, :-1], rows[:, 1:])

        place = position[:size] / jnp.array([self.map_width, self.map_height], jnp.float32)
        own = jnp.concatenate([before[:size], place, after[:size, 3:]], axis=1)
        own = jnp.where(alive[:size, None], own, 0.0)
        return jnp.concatenate([rows.reshape(size, -1), own], axis=1)


class FastViewEnemySMAX(HeuristicEnemySMAX):
    """The stock heuristic enemy in a battle of the class ``battle``."""

    battle: type[FastViewSMAX] = FastViewSMAX

    def __init__(self, **options) -> None:
        super().__init__(**options)
        self._env = self.battle(**options)
        self.heuristic_policy = create_heuristic_policy(self._env, 1)
        self.action_spaces = {agent: self._env.action_spaces[agent] for agent in self.agents}
        self.observation_spaces = {
            agent: self._env.observation_spaces[agent] for agent in self.agents
        }

    @partial(jax.jit, static_argnums=(0, 4))
    def step_env(self, key, state: Any, actions, get_state_sequence=False):
        """Does what the parent's does, with the enemies' views in one array.

        The parent takes all views apart by unit and stacks them again, which XLA turns into
        computing them over for each unit: half the time of a step with 8 against 9 units.
        """
        key, enemy_key = jax.random.split(key)
        views = self._env.enemy_views(state.state)
        enemy_actions, policy_state = self.get_enemy_actions(
            enemy_key, state.enemy_policy_state, views
        )
        # One team after the other, as the parent does: their product with a rotation matrix rounds
        # differently in one go.
        decoded = [
            self._env._decode_discrete_actions(jnp.array([orders[agent] for agent in team]))
            for orders, team in ((actions, self.agents), (enemy_actions, self.enemy_agents))
        ]
        decoded = jax.tree.map(lambda *parts: jnp.concatenate(parts), *decoded)
        after = self._env.step_env_no_decode(key, state.state, decoded, get_state_sequence)
        if get_state_sequence:
            return after
        observation, battle, rewards, dones, infos = after
        observation = {name: observation[name] for name in (*self.agents, "world_state")}
        rewards = {agent: rewards[agent] for agent in self.agents}
        dones = {name: dones[name] for name in (*self.agents, "__all__")}
        state = state.replace(state=battle, enemy_policy_state=policy_state)
        return observation, state, rewards, dones, infos


def nearest_first(rows: Array) -> Array:
    """Returns the rows sorted by distance, unseen ones (all zero) last.

    Args:
        rows: ``[M, F]`` features of other units: health, x, y, ...
    """
    distance = jnp.where(rows[:, 0] > 0, jnp.sum(rows[:, 1:3] ** 2, axis=1), jnp.inf)
    return rows[rising_order(distance)]
