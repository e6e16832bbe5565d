"""MMM and MMM2: every rule of the medivac on a battle made by hand, and its invariants."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import envs.smax
from envs.smax import units

STOP = 4
M, MARAUDER, MARINE, STALKER = units.MEDIVAC, 1, 0, 2
# Allies 0..3: medivac, marauder, marine, stalker.  Enemies 4..6: medivac, marauder, marine.
TYPES = [M, MARAUDER, MARINE, STALKER, M, MARAUDER, MARINE]
FULL = np.array([150.0, 125.0, 45.0, 160.0, 150.0, 125.0, 45.0])
HEAL, AIM = 0, 5  # index of the allied medivac; first target action
HEALED_PER_STEP = 6.3  # 12.6 per second x 0.5 s
SPENT_PER_STEP = 2.1  # 6.3 / 3
GAINED_PER_STEP = 0.39375  # 0.7875 x 0.5 s


@pytest.fixture(scope="module")
def env():
    from envs.smax.battle import Scenario
    from envs.smax.env import Smax

    return Smax(Scenario(jnp.array(TYPES, jnp.uint8), 4, 3, False, False), max_steps=20)


@pytest.fixture(scope="module")
def step(env):
    return jax.jit(env.step)


@pytest.fixture(scope="module")
def fresh(env):
    return jax.jit(env.reset)(jax.random.key(0))[0]


@pytest.fixture
def battle_at(fresh):
    """Returns a maker of states: teams far apart, everybody whole, unless told otherwise."""

    def make(places=(), health=(), energy=()):
        place = np.array([[4, 4], [6, 4], [4, 6], [6, 6], [28, 28], [26, 28], [28, 26]], float)
        now = FULL.copy()
        charge = np.where(np.array(TYPES) == M, units.START_ENERGY, 0.0)
        for target, changes in ((place, places), (now, health), (charge, energy)):
            for unit, value in dict(changes).items():
                target[unit] = value
        battle = fresh.game.state.replace(
            unit_positions=jnp.asarray(place, jnp.float32),
            unit_health=jnp.asarray(now, jnp.float32),
            unit_alive=jnp.asarray(now > 0),
            unit_weapon_cooldowns=jnp.asarray(charge, jnp.float32),
        )
        return fresh._replace(game=fresh.game.replace(state=battle))

    return make


def act(**orders):
    """Returns an action of all allies; unnamed ones stop."""
    names = ("medivac", "marauder", "marine", "stalker")
    return jnp.array([orders.get(name, STOP) for name in names])


def health(state, unit):
    return float(state.game.state.unit_health[unit])


def energy(state, unit=HEAL):
    return float(state.game.state.unit_weapon_cooldowns[unit])


def test_a_wounded_mate_in_range_gains_health_for_energy(step, battle_at):
    state, timestep = step(battle_at(health={1: 100.0}), act(medivac=AIM + 1))
    assert health(state, 1) == pytest.approx(100 + HEALED_PER_STEP, rel=1e-5)
    assert energy(state) == pytest.approx(50 - SPENT_PER_STEP + GAINED_PER_STEP, rel=1e-5)
    assert timestep.reward == 0


def test_health_stops_at_the_maximum_and_no_energy_is_spent_beyond_it(step, battle_at):
    state, _ = step(battle_at(health={1: 124.0}), act(medivac=AIM + 1))
    assert health(state, 1) == 125
    assert energy(state) == pytest.approx(50 - 1 / 3 + GAINED_PER_STEP, rel=1e-5)


def test_without_energy_only_what_is_regained_heals(step, battle_at):
    state, _ = step(battle_at(health={1: 100.0}, energy={HEAL: 0.0}), act(medivac=AIM + 1))
    # The first of the 8 world steps has none; each of the others spends what the last one gained.
    assert health(state, 1) == pytest.approx(100 + 3 * GAINED_PER_STEP * 7 / 8, rel=1e-5)
    assert energy(state) == pytest.approx(GAINED_PER_STEP / 8, rel=1e-4)


def test_energy_stops_at_its_maximum(step, battle_at):
    state, _ = step(battle_at(energy={HEAL: 199.9}), act())
    assert energy(state) == 200


@pytest.mark.parametrize(
    ("target", "changes"),
    [
        (1, {"health": {1: 60.0}, "places": {1: (9, 4)}}),  # out of range: 5 > 4
        (0, {"health": {0: 60.0}}),  # itself
        (3, {"health": {3: 60.0}}),  # a stalker is a machine
        (1, {"health": {1: 0.0}}),  # dead
    ],
)
def test_what_may_not_be_healed_is_masked_and_stays_as_it_is(step, battle_at, target, changes):
    state = battle_at(**changes)
    _, timestep = step(state, act())
    assert not timestep.observation.action_mask[HEAL, AIM + target]
    after, _ = step(state, act(medivac=AIM + target))
    assert health(after, target) == health(state, target)
    assert energy(after) == pytest.approx(50 + GAINED_PER_STEP, rel=1e-5)


def test_a_medivac_may_aim_at_nothing_but_its_own_biological_units(step, battle_at):
    _, timestep = step(battle_at(), act())
    assert np.flatnonzero(timestep.observation.action_mask[HEAL]).tolist() == [0, 1, 2, 3, 4, 6, 7]


def test_a_dead_medivac_neither_heals_nor_regains_energy(step, battle_at):
    state, timestep = step(battle_at(health={HEAL: 0.0, 1: 60.0}), act(medivac=AIM + 1))
    assert health(state, 1) == 60
    assert energy(state) == 50
    assert np.flatnonzero(timestep.observation.action_mask[HEAL]).tolist() == [STOP]


def test_a_unit_killed_in_this_very_step_is_not_revived(step, battle_at):
    # The enemy marine (9 damage) shoots our marine, which has 5 health left, while it is healed.
    state = battle_at(places={6: (5, 6)}, health={2: 5.0, 1: 0.0, 3: 0.0})
    after, timestep = step(state, act(medivac=AIM + 2))
    assert health(after, 2) == 0
    assert not timestep.observation.active[2]


def test_ground_attackers_cannot_hit_a_medivac_and_others_can(step, battle_at):
    near = {4: (7, 4), 5: (28, 28)}
    state = battle_at(places=near)
    _, timestep = step(state, act())
    legal = timestep.observation.action_mask[:, AIM]
    assert legal.tolist() == [False, False, True, True]
    after, _ = step(state, act(marauder=AIM))
    assert health(after, 4) == 150
    after, timestep = step(state, act(marine=AIM))
    assert health(after, 4) <= 150 - 9
    assert timestep.reward > 0


def test_the_heuristic_enemy_shoots_what_it_can_hit_only(step, battle_at):
    # The enemy marauder stands next to our medivac; our marine is 5 away, in its range of 6.
    state = battle_at(places={0: (20, 20), 2: (20, 25), 5: (20, 21), 4: (5, 28), 6: (28, 28)})
    after, _ = step(state, act())
    assert health(after, 0) == 150
    assert health(after, 2) < 45
    # With nothing else in sight it walks on instead of aiming at the medivac.
    state = battle_at(places={0: (20, 20), 5: (20, 21), 4: (5, 28), 6: (28, 28)})
    after, _ = step(state, act())
    assert health(after, 0) == 150
    assert after.game.state.prev_attack_actions[5] == 0
    assert not jnp.array_equal(after.game.state.unit_positions[5], jnp.array([20.0, 21.0]))


def test_fliers_do_not_collide(step, battle_at):
    after, _ = step(battle_at(places={0: (4, 4), 1: (4, 4)}), act())
    assert after.game.state.unit_positions[0].tolist() == [4, 4]
    assert after.game.state.unit_positions[1].tolist() == [4, 4]


def test_the_enemy_medivac_heals_the_weakest_and_it_pays_nothing(step, battle_at):
    state = battle_at(health={5: 100.0, 6: 20.0})  # 80% and 44% left
    after, timestep = step(state, act())
    assert health(after, 6) == pytest.approx(20 + HEALED_PER_STEP, rel=1e-5)
    assert health(after, 5) == 100
    assert timestep.reward == 0  # stock SMAX would pay abs(6.3 / 45) / 3
    assert energy(after, 4) == pytest.approx(50 - SPENT_PER_STEP + GAINED_PER_STEP, rel=1e-5)


def test_the_enemy_medivac_follows_its_nearest_fighter(step, battle_at):
    state = battle_at(places={4: (28, 28), 5: (19, 28), 6: (28, 22)})
    after, _ = step(state, act())
    x, y = after.game.state.unit_positions[4]
    assert x == 28
    assert y < 28


def test_damage_pays_by_share_of_health_while_another_enemy_is_healed(step, battle_at):
    # Our stalker hits the marauder once (13 of 125; its weapon then waits 1.87 s) while the
    # enemy medivac heals the marine: 13 / 125 / 3 enemies.
    state = battle_at(places={3: (21, 28)}, health={6: 20.0})
    after, timestep = step(state, act(stalker=AIM + 1))
    assert health(after, 5) == 112
    assert health(after, 6) > 20
    assert timestep.reward == pytest.approx(13 / 125 / 3, rel=1e-5)


@pytest.mark.parametrize(("dead", "is_win"), [((1, 2, 3), 0), ((5, 6), 1), ((1, 2, 3, 5, 6), 0)])
def test_a_team_of_healers_has_lost(step, battle_at, dead, is_win):
    _, timestep = step(battle_at(health=dict.fromkeys(dead, 0.0)), act())
    assert timestep.last()
    assert timestep.discount == 0
    assert timestep.extras["success"] == is_win
    assert timestep.reward == is_win


def test_energy_is_observed_where_others_show_their_cooldown(env, step, battle_at):
    _, timestep = step(battle_at(energy={HEAL: 120.0}), act())
    share = (120 + GAINED_PER_STEP) / 200
    num_own = len(env.game.own_features)
    assert timestep.observation.agents_view[HEAL, -num_own + 3] == pytest.approx(share)
    assert timestep.observation.global_state[3] == pytest.approx(share)


# XLA flushes subnormal numbers to zero, so they are left out.
@settings(deadline=None, max_examples=100)
@given(
    share=st.floats(0, 1, width=32, allow_subnormal=False),
    maximum=st.sampled_from([35.0, 45.0, 125.0]),
    reserve=st.floats(0, 200, width=32, allow_subnormal=False),
    can_heal=st.booleans(),
)
def test_healing_is_three_times_the_energy_spent(share, maximum, reserve, can_heal):
    from envs.smax.healing import heal  # Which imports jaxmarl.

    before = np.float32(share * maximum)
    after, left = map(float, heal(before, np.float32(reserve), maximum, can_heal, 1 / 16))
    assert before <= after <= maximum
    assert 0 <= left <= reserve
    assert after - float(before) == pytest.approx(
        3 * (reserve - left), abs=2e-4
    )  # float32 of up to 600


def test_over_a_whole_battle_healing_is_three_times_the_energy_spent(env, battle_at):
    battle = env.game._env
    crowd = dict(enumerate([[14, 15], [15, 15], [15, 16], [15, 17], [18, 15], [17, 15], [17, 16]]))
    start = battle_at(places=crowd, health={1: 60.0, 5: 60.0}).game.state
    stand = jnp.zeros((len(TYPES), 2))

    def world_step(state, key):
        """One step in which everybody aims at somebody in range, and the same without energy."""
        valid = jnp.take_along_axis(battle.target_is_valid(state), battle.targets, axis=1)
        aim = jax.random.categorical(key, jnp.where(valid, 0.0, -jnp.inf))
        orders = (stand, jnp.where(valid.any(axis=1), AIM + aim, 0))
        after = battle._world_step(key, state, orders)
        reserve = state.unit_weapon_cooldowns
        empty = state.replace(unit_weapon_cooldowns=jnp.where(battle.is_healer, 0.0, reserve))
        healed = after.unit_health - battle._world_step(key, empty, orders).unit_health
        regained = jnp.where(state.unit_alive & battle.is_healer, GAINED_PER_STEP / 8, 0.0)
        spent = reserve + regained - after.unit_weapon_cooldowns
        after = battle._update_dead_agents(after)
        return after, (healed.sum(), jnp.where(battle.is_healer, spent, 0.0).sum())

    end, (healed, spent) = jax.lax.scan(world_step, start, jax.random.split(jax.random.key(0), 160))
    assert not end.unit_alive.all()  # Ten seconds, in which somebody died.
    assert healed.sum() > 60
    assert float(healed.sum()) == pytest.approx(3 * float(spent.sum()), rel=1e-4)


@pytest.mark.parametrize(("name", "max_steps"), [("MMM2", 129), ("MMM", 108)])
def test_both_maps_have_the_same_allies_and_their_own_limits(name, max_steps):
    env = envs.smax.make(name)
    assert env.agent_types == ("medivac",) + ("marauder",) * 2 + ("marine",) * 7
    assert env.max_steps == max_steps


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("MMM2", marks=pytest.mark.thorough),
        pytest.param("MMM", marks=pytest.mark.slow),
    ],
)
def test_invariants_hold_over_random_battles(name):
    env = envs.smax.make(name)
    is_healer = np.array(env.game._env.is_healer)
    maximum = np.asarray(env.game.unit_type_health)[np.asarray(env.game._env.scenario)]

    def body(carry, key):
        state, timestep = carry
        logits = jnp.where(timestep.observation.action_mask, 0.0, -jnp.inf)
        # Healers heal whenever they may, so that there is much of it.
        logits = logits.at[:, 0, AIM:].add(10.0)
        state, timestep = jax.vmap(env.step)(state, jax.random.categorical(key, logits))
        return (state, timestep), (state.game.state, timestep)

    @jax.jit
    def play():
        first = jax.vmap(env.reset)(jax.random.split(jax.random.key(0), 4))
        return jax.lax.scan(body, first, jax.random.split(jax.random.key(1), 40))[1]

    battle, timestep = play()
    assert (battle.unit_health >= 0).all()
    assert (battle.unit_health <= maximum).all()
    reserve = battle.unit_weapon_cooldowns[..., is_healer]
    assert (reserve >= 0).all()
    assert (reserve <= 200).all()
    assert (reserve < 49).any()
    assert (timestep.reward >= 0).all()
    assert jnp.isfinite(timestep.observation.agents_view).all()
    died = ~battle.unit_alive[:-1]
    assert not (died & battle.unit_alive[1:]).any()  # nobody rises from the dead
    shots = battle.prev_attack_actions[..., len(env.agent_types) + 1 :]
    assert (shots >= 0).all()
