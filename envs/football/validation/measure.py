"""The figures of `reference` again, measured on the academy in JAX."""

from __future__ import annotations

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from envs.football import contest, kicks, physics
from envs.football.calibration import Calibration
from envs.football.env import Football
from envs.football.scenarios import GOAL_LINE, LENGTH_SCALE
from envs.football.types import DIRECTIONS, NUM_ACTIONS, Action, End, Kick
from envs.football.validation import scripted
from envs.football.validation.reference import Figures

PASS_STEPS = 40
DUEL_STEPS = 110
DUEL_START, DUEL_DEFENDER, DUEL_PAST = 0.2, 0.7, 0.85
"""Environment units: where the carrier starts, where the defender stands, where he is beaten."""
DUEL_OFFSETS = (0.0, 0.03, 0.06, 0.12)
PACES = (Action.SPRINT, Action.IDLE, Action.DRIBBLE)


def episodes(
    scenario: str, policy: str, num_episodes: int, cal: Calibration, seed: int = 0
) -> np.ndarray:
    """Returns ``[episodes, 4]``: length, `End`, steps in which we had the ball, players taken.

    Args:
        scenario: name.
        policy: ``"random"`` or ``"scripted"``.
        num_episodes: played together.
        cal: constants.
        seed: of all chance.
    """
    play = _player(scenario, num_episodes)
    traced = jax.tree.map(jnp.float32, cal)
    return np.asarray(play(jax.random.key(seed), traced, jnp.bool_(policy == "random")))


@cache
def _player(scenario: str, num_episodes: int):
    env = Football(scenario)

    def play(key: Array, cal: Calibration, is_random: Array) -> Array:
        reset_key, key = jax.random.split(key)
        state, _ = jax.vmap(env.reset)(jax.random.split(reset_key, num_episodes))
        shape = (num_episodes, env.num_agents)

        def step(carry, step_key):
            state, counts = carry
            chosen = jax.vmap(lambda one: scripted.act(env.facts(one)))(state)
            drawn = jax.random.randint(step_key, shape, 0, NUM_ACTIONS)
            action = jnp.where(is_random, drawn, chosen)
            later, _ = jax.vmap(lambda s, a: env.step_with(s, a, cal))(state, action)
            lives = state.end == End.NOT
            has_ball = (later.owner >= 0) & (later.owner < env.num_left) & (later.windup != 0)
            kept = jnp.any(later.active[:, :, None] == state.active[:, None], axis=2)
            switches = jnp.sum(~kept, axis=1) * (state.step_count > 0)
            counts += jnp.stack([lives, lives & has_ball, lives * switches], axis=1)
            return (later, counts), None

        carry = (state, jnp.zeros((num_episodes, 3), jnp.int32))
        (state, counts), _ = jax.lax.scan(step, carry, jax.random.split(key, env.time_limit))
        return jnp.stack([counts[:, 0], state.end, counts[:, 1], counts[:, 2]], axis=1)

    return jax.jit(play)


def speed_curves(recorded: Figures, cal: Calibration) -> Figures:
    """Returns our runs under the buttons of the recorded ones, by the same names and shapes."""
    tops = {"walk": cal.walk_speed, "sprint": cal.sprint_speed, "dribble": cal.dribble_speed}
    curves = {}
    for name, run in recorded.items():
        if not name.startswith("speed/"):
            continue
        top = tops[name.split("_")[1]] if "turn" not in name else cal.sprint_speed
        # Pressed in the second step, the pace in the third; released, or turned, where recorded.
        wish = np.zeros((len(run), 2), np.float32)
        wish[1:] = (min(cal.walk_speed, top), 0.0)
        wish[2:] = (top, 0.0)
        wish[24 if "turn" in name else 31 :] = (0.0, top) if "turn" in name else (0.0, 0.0)
        velocity = _run(jnp.asarray(wish), cal)
        curves[name] = velocity if "turn" in name else np.linalg.norm(velocity, axis=1)
    return curves


def _run(wishes: Array, cal: Calibration) -> np.ndarray:
    def step(carry, wish):
        velocity, before = carry
        free = jnp.zeros(1, bool)
        velocity = physics.run(velocity, before, wish[None], free, cal)
        return (velocity, wish[None]), velocity[0]

    start = (jnp.zeros((1, 2)), jnp.zeros((1, 2)))
    return np.asarray(jax.lax.scan(step, start, wishes)[1])


def passes(distance: float, cal: Calibration, num: int = 16) -> np.ndarray:
    """Returns ``[num, 2]``: steps of flight of a short pass to an idle mate, and first speed."""
    env = Football("academy_3_vs_1_with_keeper", calibration=cal)
    place = jnp.array([[-50.0, 0.0], [-16.0, 0.0], [-16.0 + distance, 0.0], [-30.0, 30.0]])
    far = jnp.array([[54.0, 0.0], [50.0, 30.0]])

    def one(key: Array):
        state, _ = env.reset(key)
        position = jnp.concatenate([place, far])
        ball = jnp.array([-15.6, 0.0, physics.BALL_RADIUS])
        active = jnp.array([1, 2, 3])
        state = state._replace(position=position, ball=ball, owner=jnp.int32(1), active=active)

        def step(state, index):
            press = jnp.where(index == 4, Action.SHORT_PASS, jnp.where(index == 0, 5, 14))
            idle = jnp.int32(Action.RELEASE_DIRECTION)
            state, _ = env.step(state, jnp.stack([press, idle, idle]).astype(jnp.int32))
            return state, (state.owner, physics.length(state.ball_velocity[:2]))

        return jax.lax.scan(step, state, jnp.arange(PASS_STEPS))[1]

    owner, speed = jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(0), num))
    kick = np.argmax(np.asarray(owner) < 0, axis=1)
    received = np.argmax(np.asarray(owner) == 2, axis=1)
    return np.stack([received - kick, np.asarray(speed)[np.arange(num), kick]], axis=1)


def flights(recorded: np.ndarray, cal: Calibration) -> np.ndarray:
    """Returns ``[n]`` metres between our ball and the recorded one 0.6 s after the same start."""

    def one(row):
        ball, velocity = row[:3], row[3:6]
        for _ in range(6):
            ball, velocity = physics.fly(ball, velocity, cal)
        return physics.length(ball[:2] - row[6:8])

    return np.asarray(jax.jit(jax.vmap(one))(jnp.asarray(recorded)))


def shots(recorded: np.ndarray, cal: Calibration, num: int = 8) -> dict[str, np.ndarray]:
    """Returns what becomes of the recorded shots when struck again here, `num` times each.

    ``outcome`` (a `Shot`), ``speed``, ``climb``, ``latency``, ``across`` (y at the goal line):
    each ``[num, n]``.
    """

    def one(key: Array, row: Array):
        draws = jax.random.uniform(key, (6,))
        ball, keeper = row[:3], row[3:5]
        stick = jnp.asarray(DIRECTIONS)[row[6].astype(jnp.int32)]
        velocity = kicks.launch_shot(ball[:2], stick, jnp.float32(GOAL_LINE), draws, row[5], cal)
        judged = contest.judge_shot(ball, velocity, keeper, jnp.float32(1.0), draws[3:5], cal)
        wait = kicks.latency(jnp.int32(Kick.SHOT), draws[5], jnp.zeros((), bool))
        after = physics.fly(ball, velocity, cal)[1]
        across = ball[1] + velocity[1] / velocity[0] * (GOAL_LINE - ball[0])
        return judged, physics.length(after), after[2], wait, across

    rows = jnp.asarray(recorded)
    keys = jax.random.split(jax.random.key(0), (num, len(rows)))
    every = jax.jit(jax.vmap(jax.vmap(one), in_axes=(0, None)))(keys, rows)
    names = ("outcome", "speed", "climb", "latency", "across")
    return {name: np.asarray(value) for name, value in zip(names, every, strict=True)}


def duels(cal: Calibration, num: int = 64) -> np.ndarray:
    """Returns ``[4, 3]``: share of runs at a lone defender that are lost, by offset and pace."""
    keys = jax.random.split(jax.random.key(0), num)
    return np.asarray(_duellist()(keys, jax.tree.map(jnp.float32, cal))).mean(axis=2)


@cache
def _duellist():
    env = Football("academy_pass_and_shoot_with_keeper")
    scale = jnp.asarray(LENGTH_SCALE)

    def one(key: Array, offset: Array, pace: Array, cal: Calibration) -> Array:
        state, _ = env.reset(key)
        carrier = jnp.stack([jnp.float32(DUEL_START), offset]) * scale
        place = state.position.at[1].set(jnp.array([-30.0, -30.0])).at[2].set(carrier)
        place = place.at[4].set(jnp.array([DUEL_DEFENDER, 0.0]) * scale)
        ball = jnp.append(carrier + jnp.array([0.4, 0.0]), physics.BALL_RADIUS)
        has_ball = {"owner": jnp.int32(2), "possession": jnp.int32(0)}
        state = state._replace(position=place, ball=ball, **has_ball)

        def step(carry, index):
            state, beaten = carry
            press = jnp.where(index == 0, 5, jnp.where(index == 1, pace, 0)).astype(jnp.int32)
            state, _ = env.step_with(state, jnp.stack([jnp.int32(14), press]), cal)
            past = (state.owner == 2) & (state.ball[0] > DUEL_PAST * LENGTH_SCALE[0])
            return (state, beaten | (past & (state.end == End.NOT))), None

        carry = (state, jnp.zeros((), bool))
        (_, beaten), _ = jax.lax.scan(step, carry, jnp.arange(DUEL_STEPS))
        return ~beaten

    by_pace = jax.vmap(jax.vmap(one, (0, None, None, None)), (None, None, 0, None))
    by_offset = jax.vmap(by_pace, (None, 0, None, None))
    paces, offsets = jnp.array([int(pace) for pace in PACES]), jnp.array(DUEL_OFFSETS)
    return jax.jit(lambda keys, cal: by_offset(keys, offsets, paces, cal))
