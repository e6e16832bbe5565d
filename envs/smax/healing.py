"""SMAX with medivacs: air units that heal instead of shooting.

Everything else is jaxmarl's, and a battle without a healer never comes here.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from envs.smax import units
from envs.smax.battle import SMAX, BattleState, FastViewEnemySMAX, FastViewSMAX

MOVES = 4
STOP = 4
FIRST_TARGET = 5
"""Actions: 0..3 move up, right, down, left; 4 stops; ``5 + k`` aims at the unit's target ``k``."""


def heal(
    health: Array, energy: Array, max_health: Array, can_heal: Array, seconds: float
) -> tuple[Array, Array]:
    """Returns the patient's health and the healer's energy after ``seconds`` of healing.

    Never more health than the maximum, and ``HEALTH_PER_ENERGY`` health for each unit of energy.

    Args:
        health: ``[]`` patient's health.
        energy: ``[]`` healer's energy.
        max_health: ``[]`` patient's health when whole.
        can_heal: ``[]`` bool, False leaves both as they are.
        seconds: duration.
    """
    affordable = jnp.minimum(units.HEAL_PER_SECOND * seconds, units.HEALTH_PER_ENERGY * energy)
    amount = jnp.where(can_heal, jnp.clip(max_health - health, 0.0, affordable), 0.0)
    # The bounds hold already, but for the last bit of a rounded sum.
    return (
        jnp.minimum(health + amount, max_health),
        jnp.maximum(energy - amount / units.HEALTH_PER_ENERGY, 0.0),
    )


def with_medivac() -> dict[str, Array | list[str]]:
    """Returns SMAX's per-type tables, by keyword of its constructor, with the medivac appended."""
    stock = SMAX()
    return {
        table: [*getattr(stock, table), entry]
        if isinstance(entry, str)
        else jnp.append(getattr(stock, table), entry)
        for table, entry in units.MEDIVAC_STATS.items()
    }


def target_table(is_healer: np.ndarray, num_allies: int) -> np.ndarray:
    """Returns ``[U, K]`` int: the unit that unit ``i`` aims at with action ``FIRST_TARGET + k``.

    As in SMAX, an ally counts the enemies upwards and an enemy counts the allies downwards; a
    healer counts its own team likewise.  A slot without a unit names ``i`` itself.
    """
    num_units = len(is_healer)
    num_targets = max(num_allies, num_units - num_allies)
    table = np.tile(np.arange(num_units)[:, None], (1, num_targets))
    for i in range(num_units):
        is_ally = i < num_allies
        aims_at_allies = is_ally == is_healer[i]
        others = np.arange(num_allies) if aims_at_allies else np.arange(num_allies, num_units)
        table[i, : len(others)] = others if is_ally else others[::-1]
    return table


def may_target_table(unit_types: np.ndarray, num_allies: int) -> np.ndarray:
    """Returns ``[U, U]`` bool: may unit ``i`` ever shoot at, or heal, unit ``j``?"""
    is_ally = np.arange(len(unit_types)) < num_allies
    same_team = is_ally[:, None] == is_ally
    heals = same_team & units.IS_BIOLOGICAL[unit_types]
    np.fill_diagonal(heals, False)
    reaches = units.CAN_HIT_AIR[unit_types][:, None] | ~units.IS_FLYING[unit_types]
    return np.where(units.IS_HEALER[unit_types][:, None], heals, ~same_team & reaches)


class HealingSMAX(FastViewSMAX):
    """SMAX in which medivacs fly, heal their own team, and cannot hold a battlefield alone."""

    def __init__(self, **options) -> None:
        super().__init__(**with_medivac(), **options)
        if self.smacv2_unit_type_generation:
            raise ValueError("healers need fixed unit types: set smacv2_unit_type_generation False")
        types = np.asarray(self.scenario)
        self.is_healer = units.IS_HEALER[types]
        self.is_flying = units.IS_FLYING[types]
        self.healers = tuple(int(i) for i in np.flatnonzero(self.is_healer))
        self.targets = target_table(self.is_healer, self.num_allies)
        self.may_target = may_target_table(types, self.num_allies)
        self.num_ally_actions = self.num_enemy_actions = FIRST_TARGET + self.targets.shape[1]
        self.action_spaces = {
            agent: self._get_individual_action_space(i) for i, agent in enumerate(self.agents)
        }

    @partial(jax.jit, static_argnums=(0,))
    def reset(self, key):
        _, state = super().reset(key)
        energy = jnp.where(self.is_healer, units.START_ENERGY, state.unit_weapon_cooldowns)
        state = state.replace(unit_weapon_cooldowns=energy)
        observation = self.get_obs(state)
        observation["world_state"] = self.get_world_state(state)
        return observation, state

    def target_is_valid(self, state: BattleState) -> Array:
        """Returns ``[U, U]`` bool: may unit ``i`` shoot at, or heal, unit ``j`` right now?"""
        positions = state.unit_positions
        distance = jnp.linalg.norm(positions[:, None] - positions[None], axis=-1)
        in_range = distance < self.unit_type_attack_ranges[state.unit_types][:, None]
        alive = state.unit_alive
        return self.may_target & in_range & alive[:, None] & alive[None]

    @partial(jax.jit, static_argnums=(0,))
    def get_avail_actions(self, state):
        valid = jnp.take_along_axis(self.target_is_valid(state), self.targets, axis=1)
        may_move = jnp.tile(state.unit_alive[:, None], (1, MOVES))
        may_stop = jnp.ones((self.num_agents, 1), bool)
        mask = jnp.concatenate([may_move, may_stop, valid], axis=1).astype(jnp.uint8)
        return {agent: mask[i] for i, agent in enumerate(self.agents)}

    @partial(jax.jit, static_argnums=(0,))
    def _world_step(self, key, state, actions):
        """Lets the parent move and shoot, without the shots nobody may fire, and then heals.

        A patient that the shots of this very step killed stays dead.
        """
        movement, attack = actions
        unit = np.arange(self.num_agents)
        target = jnp.asarray(self.targets)[unit, jnp.maximum(attack - FIRST_TARGET, 0)]
        is_aiming = attack >= FIRST_TARGET
        is_shot = is_aiming & jnp.asarray(self.may_target)[unit, target] & ~self.is_healer
        after: Any = super()._world_step(key, state, (movement, jnp.where(is_shot, attack, 0)))

        health = after.unit_health
        energy = state.unit_weapon_cooldowns
        max_health = self.unit_type_health[state.unit_types]
        valid = self.target_is_valid(state)
        for healer in self.healers:
            patient = target[healer]
            can_heal = is_aiming[healer] & valid[healer, patient] & (health[patient] > 0)
            patient_health, healer_energy = heal(
                health[patient], energy[healer], max_health[patient], can_heal, self.time_per_step
            )
            health = jnp.where(unit == patient, patient_health, health)
            energy = jnp.where(unit == healer, healer_energy, energy)
        recovery = jnp.where(state.unit_alive, units.ENERGY_PER_SECOND * self.time_per_step, 0.0)
        energy = jnp.minimum(energy + recovery, units.MAX_ENERGY)
        cooldowns = jnp.where(self.is_healer, energy, after.unit_weapon_cooldowns)
        return after.replace(unit_health=health, unit_weapon_cooldowns=cooldowns)

    def _push_units_away(self, state: Any, firmness: float = 1.0):
        """Lets collisions happen on the ground only: the parent leaves dead units out of them."""
        on_ground = state.replace(unit_alive=state.unit_alive & ~self.is_flying)
        pushed = super()._push_units_away(on_ground, firmness)
        return pushed.replace(unit_alive=state.unit_alive)

    def _fighters_only(self, state):
        return state.replace(unit_alive=state.unit_alive & ~self.is_healer)

    @partial(jax.jit, static_argnums=(0,))
    def is_terminal(self, state):
        return super().is_terminal(self._fighters_only(state))

    @partial(jax.jit, static_argnums=(0,))
    def compute_reward(self, state, health_before, health_after):
        """Pays the health each unit lost over the step, net of its own healing, and the win.

        The parent takes the absolute value of a team's summed change, which would pay the allies
        for the enemy's healing; a unit that ends the step healthier counts as zero here.
        """
        no_gain = jnp.minimum(health_after, health_before)
        return super().compute_reward(self._fighters_only(state), health_before, no_gain)


class HealingEnemySMAX(FastViewEnemySMAX):
    """The heuristic enemy with medivacs of its own, which ignores what it cannot hit."""

    battle = HealingSMAX
    _env: HealingSMAX

    def __init__(self, **options) -> None:
        super().__init__(**options)
        self._sees = self._health_filter(self._env)

    def _health_filter(self, battle: HealingSMAX) -> np.ndarray:
        """Returns ``[enemies, O]`` factors: 0 at the health of each ally the enemy cannot hit.

        The stock rule takes a unit without health for an unseen one, so it neither shoots at nor
        chases it.  Slot ``k`` of the opponents in an observation is target ``k``.
        """
        num_features = len(battle.unit_features)
        factors = np.ones((self.num_enemies, battle.obs_size), np.float32)
        for enemy in range(self.num_enemies):
            unit = self.num_allies + enemy
            for slot in range(self.num_allies):
                ally = self.num_allies - 1 - slot
                if not battle.may_target[unit, ally]:
                    factors[enemy, (self.num_enemies - 1 + slot) * num_features] = 0.0
        return factors

    def get_enemy_actions(self, key, policy_state, enemy_obs):
        actions, policy_state = super().get_enemy_actions(key, policy_state, enemy_obs * self._sees)
        for unit in self._env.healers:
            if unit >= self.num_allies:
                agent = self.enemy_agents[unit - self.num_allies]
                view = enemy_obs[unit - self.num_allies]
                actions[agent] = self.medivac_action(unit, view, actions[agent])
        return actions, policy_state

    def medivac_action(self, unit: int, view: Array, default: Array) -> Array:
        """Returns the action of the enemy medivac ``unit``.

        It heals the wounded unit in range that has the least of its health left; with none, it
        follows the nearest fighter of its team, stopping at half its range; with none in sight it
        does ``default``, the stock rule's walk across the map.

        Args:
            unit: index of the medivac among all units.
            view: ``[O]`` its observation.
            default: ``[]`` action.
        """
        battle = self._env
        # An enemy's view lists its own team first, in the order of its targets without itself.
        slots = np.flatnonzero(battle.targets[unit, : self.num_enemies] != unit)
        mates = battle.targets[unit, slots]
        features = view[: len(mates) * len(battle.unit_features)].reshape(len(mates), -1)
        health = features[:, 0]
        offset = features[:, 1:3] * battle.unit_type_sight_ranges[units.MEDIVAC]
        distance = jnp.linalg.norm(offset, axis=-1)
        heal_range = battle.unit_type_attack_ranges[units.MEDIVAC]

        may_heal = battle.may_target[unit, mates]
        is_wounded = may_heal & (health > 0) & (health < 1) & (distance < heal_range)
        weakest = jnp.argmin(jnp.where(is_wounded, health, jnp.inf))
        is_fighter = ~battle.is_healer[mates] & (health > 0)
        nearest = jnp.argmin(jnp.where(is_fighter, distance, jnp.inf))
        directions = jnp.array([[0, 1], [1, 0], [0, -1], [-1, 0]])
        approach = jnp.argmax(directions @ offset[nearest])
        follow = jnp.where(distance[nearest] < heal_range / 2, STOP, approach)
        follow = jnp.where(is_fighter.any(), follow, default)
        return jnp.where(is_wounded.any(), FIRST_TARGET + jnp.asarray(slots)[weakest], follow)
