"""One step of 0.1 s of the game: wishes, running, kicks, flight, contests.  No rules."""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array

from envs.football import contest, control, kicks, minds, physics
from envs.football.calibration import Calibration
from envs.football.scenarios import GOAL_LINE
from envs.football.types import Formation, Kick, Shot, State

STUMBLE_SPEED = 3.2
KEEPER_HOLD_STEPS = 9
"""A right keeper throws the ball out after this many steps."""
RIGHT_SHOT_RANGE = 18.0
PRESSED = 2.5
"""Metres to an opponent that delay the kick of a man who runs."""
NUM_DRAWS = 16
"""Uniform numbers that a step uses."""


def advance(
    state: State, action: Array, draws: Array, formation: Formation, cal: Calibration
) -> State:
    """Returns the game 0.1 s later.

    Args:
        state: of the game.
        action: ``[A]`` int32.
        draws: ``[16]`` uniform in [0, 1).
        formation: of both teams.
        cal: constants.
    """
    num_left = len(formation.offset)
    index = jnp.arange(len(state.position))
    is_left = index < num_left
    is_keeper = (index == 0) | (index == num_left)
    state = control.press(state, action)
    arrival, meet = physics.time_to_ball(state.position, state.ball, state.ball_velocity)
    arrival = arrival + 0.1 * jnp.maximum(state.stumble, state.cooldown)
    state = control.select(state, arrival, num_left)
    wish = _wishes(state, arrival, meet, formation, cal)
    state = _move(state, wish, cal)
    state = _right_kicks(state, num_left)
    before = state.ball
    state = _kick(state, draws[:8], num_left, cal)
    state = _roll(state, cal)
    state = contest.save(state, (0, num_left), draws[8])
    state = contest.first_touch(state, before, is_keeper, draws[9:12], cal)
    state = contest.duel(state, is_left, draws[12:16], cal)
    return _count_down(state, num_left)


def _wishes(
    state: State, arrival: Array, meet: Array, formation: Formation, cal: Calibration
) -> Array:
    """Returns ``[P, 2]`` velocities that all players want."""
    offset, home = formation
    num_left = len(offset)
    steered = control.steer(state, arrival, meet, cal)
    controls = state.active[:, None] == jnp.arange(num_left)
    left = minds.support(state, offset, cal)
    ours = arrival[:num_left]
    fetches = (state.owner < 0) & (ours <= jnp.min(ours))
    fetch = minds.towards(state.position[:num_left], meet[:num_left], jnp.float32(7.6))
    left = jnp.where(fetches[:, None], fetch, left)
    is_controlled = jnp.any(controls, axis=0)
    left = jnp.where(is_controlled[:, None], controls.T.astype(jnp.float32) @ steered, left)
    their_ball = state.owner >= num_left
    right = minds.defend(state, home, jnp.min(ours), arrival, meet, cal)
    right = jnp.where(their_ball, minds.attack(state, home, cal), right)
    return jnp.concatenate([left, right])


def _move(state: State, wish: Array, cal: Calibration) -> State:
    """Returns the state after all have run for 0.1 s; a wish takes effect one step late."""
    carries = jnp.arange(len(wish)) == state.owner
    # He gets up bit by bit.
    pace = jnp.maximum(STUMBLE_SPEED - cal.stumble_slope * state.stumble, 0.5)
    slow = jnp.minimum(1.0, pace / jnp.maximum(physics.length(state.wish), 1e-3))
    slow = jnp.where(state.stumble > 0, slow, 1.0)[:, None]
    wanted, wish = state.wish * slow, wish * slow
    velocity = physics.run(state.velocity, wanted, wish, carries, cal)
    speed = physics.length(velocity)
    facing = jnp.where((speed > 0.3)[:, None], velocity, wanted)
    return state._replace(
        position=physics.keep_on_pitch(state.position + velocity * physics.STEP),
        velocity=velocity,
        heading=physics.unit(facing, state.heading),
        wish=wish,
    )


def _right_kicks(state: State, num_left: int) -> State:
    """Returns the state after the right team's owner has made up his mind to kick."""
    owner = jnp.maximum(state.owner, 0)
    is_theirs = state.owner >= num_left
    goal = jnp.array([-GOAL_LINE, 0.0])
    shoots = is_theirs & (physics.length(state.position[owner] - goal) < RIGHT_SHOT_RANGE)
    throws = (state.owner == num_left) & (state.hold >= KEEPER_HOLD_STEPS)
    kick = jnp.where(throws, Kick.HIGH, Kick.SHOT)
    asks = (shoots | throws) & (state.windup < 0)
    mine = (jnp.arange(len(state.kick)) == state.owner) & asks
    return state._replace(
        kick=jnp.where(mine, kick, state.kick),
        kick_buffer=jnp.where(mine, kicks.BUFFER_STEPS, state.kick_buffer),
    )


def _kick(state: State, draws: Array, num_left: int, cal: Calibration) -> State:
    """Returns the state after the owner has wound up, and kicked when his time has come."""
    index = jnp.arange(len(state.kick))
    owner = jnp.maximum(state.owner, 0)
    kick = state.kick[owner]
    wants = (state.owner >= 0) & (kick > 0)
    is_left = owner < num_left
    rivals = (index < num_left) != is_left
    me, speed = state.position[owner], physics.length(state.velocity[owner])
    is_close = jnp.any(rivals & (physics.length(state.position - me) < PRESSED))
    start = kicks.latency(kick, draws[0], is_close & (speed > 3.0))
    windup = jnp.where(state.windup < 0, start, state.windup) - 1
    kicks_now = wants & (windup <= 0)
    stick = control.kick_direction(state, owner)
    mates = ((index < num_left) == is_left) & (index != owner)
    target, place = kicks.pass_target(state.position, owner, stick, kick, mates)
    passed = kicks.launch_pass(me, place, state.velocity[target], kick, draws[1:3], cal)
    side = jnp.where(is_left, 1.0, -1.0)
    shot = kicks.launch_shot(me, stick, side * GOAL_LINE, draws[3:6], speed, cal)
    is_shot = kick == Kick.SHOT
    velocity = jnp.where(is_shot, shot, passed)
    keeper = state.position[jnp.where(is_left, num_left, 0)]
    judged = contest.judge_shot(state.ball, velocity, keeper, side, draws[6:8], cal)
    target = jnp.where(is_shot, -1, target)
    mine = (index == owner) & kicks_now
    state = state._replace(
        owner=jnp.where(kicks_now, -1, state.owner),
        windup=jnp.where(wants & ~kicks_now, windup, -1),
        ball_velocity=jnp.where(kicks_now, velocity, state.ball_velocity),
        shot=jnp.where(kicks_now, jnp.where(is_shot, judged, Shot.NONE), state.shot),
        receiver=jnp.where(kicks_now, target, state.receiver),
        last_touch=jnp.where(kicks_now, owner, state.last_touch),
        cooldown=jnp.where(mine, contest.KICKER_PAUSE, state.cooldown),
        kick=jnp.where(mine, 0, state.kick),
    )
    return control.give(state, target, kicks_now & is_left & ~is_shot)


def _roll(state: State, cal: Calibration) -> State:
    """Returns the state after the ball has flown, or stayed ahead of its owner's feet."""
    owner = jnp.maximum(state.owner, 0)
    flown, velocity = physics.fly(state.ball, state.ball_velocity, cal)
    speed = physics.length(state.velocity[owner])
    lead = 0.42 + 0.1 * jnp.clip(speed - 4.0, 0.0, 4.0)
    place = state.position[owner] + lead * state.heading[owner]
    is_owned = state.owner >= 0
    held = jnp.append(place, physics.BALL_RADIUS)
    return state._replace(
        ball=jnp.where(is_owned, held, flown),
        ball_velocity=jnp.where(is_owned, jnp.append(state.velocity[owner], 0.0), velocity),
    )


def _count_down(state: State, num_left: int) -> State:
    buffer = jnp.maximum(state.kick_buffer - 1, 0)
    is_busy = (jnp.arange(len(buffer)) == state.owner) & (state.windup >= 0)
    return state._replace(
        kick_buffer=buffer,
        kick=jnp.where((buffer > 0) | is_busy, state.kick, 0),
        stumble=jnp.maximum(state.stumble - 1.0, 0.0),
        cooldown=jnp.maximum(state.cooldown - 1.0, 0.0),
        hold=jnp.where(state.owner >= num_left, state.hold + 1, 0),
        step_count=state.step_count + 1,
    )
