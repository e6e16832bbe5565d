"""What the engine's own players want: hunters, cover, keepers, mates without an agent."""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array

from envs.football.calibration import Calibration
from envs.football.physics import length, unit
from envs.football.scenarios import GOAL_LINE, SIDE_LINE
from envs.football.types import State

KEEPER_LINE = 1.2
"""Metres in front of the goal where a keeper waits while the ball is neither far nor near."""
KEEPER_FAR_OUT = 10.0
"""Metres in front of the goal where a keeper stands while the ball is in the other half."""
FAR_BALL = 46.0


def towards(position: Array, target: Array, speed: Array, delay: Array | float = 0.25) -> Array:
    """Returns ``[..., 2]`` wished velocities: at `speed`, slower within `delay` of the target."""
    offset = target - position
    distance = length(offset)
    pace = jnp.minimum(speed, distance / delay)
    return offset * (pace / jnp.maximum(distance, 1e-3))[..., None]


def keeper_place(ball: Array, side: float, is_rushing: Array, cal: Calibration) -> Array:
    """Returns the ``[2]`` place that a keeper of the goal at x = 55 `side` goes to.

    On the bisector of the ball and the posts; far out while the ball is in the other half;
    towards a carrier near the goal whom nobody faces.
    """
    goal = jnp.array([side * GOAL_LINE, 0.0])
    offset = ball[:2] - goal
    distance = length(offset)
    out = jnp.where(distance > FAR_BALL, KEEPER_FAR_OUT, KEEPER_LINE)
    near = 2.0 + 2.5 * jnp.clip((cal.keeper_rush + 4.0 - distance) / 12.0, 0.0, 1.0)
    out = jnp.where(distance < cal.keeper_rush + 4.0, jnp.minimum(near, 0.6 * distance), out)
    out = jnp.where(is_rushing, 0.75 * distance, out)
    return goal + unit(offset, jnp.array([-side, 0.0])) * out


def hunt_place(carrier: Array, hunters: Array, side: float) -> Array:
    """Returns ``[H, 2]``: where on the carrier's way to the goal each hunter can be as soon as he.

    The point of the line from carrier to goal that is equally far from both; for a hunter who is
    behind, the goal itself.
    """
    goal = jnp.array([side * (GOAL_LINE - 3.0), 0.0])
    way = unit(goal - carrier, jnp.array([side, 0.0]))
    offset = hunters - carrier
    ahead = offset @ way
    reach = jnp.sum(offset * offset, axis=1) / jnp.maximum(2 * ahead, 0.05)
    return carrier + way * jnp.minimum(reach, length(goal - carrier))[:, None]


def defend(
    state: State, home: Array, keeper_time: Array, arrival: Array, meet: Array, cal: Calibration
) -> Array:
    """Returns ``[R, 2]`` wished velocities of the right team while it does not have the ball.

    Args:
        state: of the game.
        home: ``[R, 2]`` places of the right team, its keeper first, for a ball in the middle.
        keeper_time: ``[]`` seconds until the left team can meet the ball.
        arrival: ``[P]`` seconds until each player can meet a free ball.
        meet: ``[P, 2]`` where.
        cal: constants.
    """
    first = len(state.position) - len(home)
    team = state.position[first:]
    index = jnp.arange(len(team))
    is_free = state.owner < 0
    # While a pass is under way they face the man whom it is meant for.
    is_passed = is_free & (state.receiver >= 0) & (state.receiver < first)
    man = jnp.where(is_passed, state.receiver, jnp.maximum(state.owner, 0))
    carrier = jnp.where(is_free & ~is_passed, state.ball[:2], state.position[man])
    gap = length(team - carrier)
    is_keeper = index == 0
    # A defender who has lost a duel must turn: he counts as farther away than he is.
    rank_gap = jnp.where(is_keeper, jnp.inf, gap + 0.5 * state.stumble[first:])
    rank = jnp.sum(rank_gap[None] < rank_gap[:, None], axis=1)
    hunted = hunt_place(carrier, team, 1.0)
    near_ball = length(team - state.ball[:2]) < 2.0
    hunted = jnp.where(near_ball[:, None], state.ball[:2], hunted)
    way = unit(jnp.array([GOAL_LINE, 0.0]) - carrier, jnp.array([1.0, 0.0]))
    cover = carrier + way * cal.cover_distance
    is_goalward = team[:, 0] > carrier[0] - 3.0
    is_cover = (rank == 1) & is_goalward
    is_hunter = (rank == 0) & (is_goalward | (gap < cal.hunt_range))
    is_hunter |= (rank < 2) & (gap < cal.hunt_range * 0.5)
    place = jnp.where(is_cover[:, None], cover, _retreat(state, home, cal))
    place = jnp.where(is_hunter[:, None], hunted, place)
    chases = is_free & ~is_passed & (rank < 2) & ~is_keeper
    place = jnp.where(chases[:, None], meet[first:], place)
    pace = jnp.where(is_cover & ~is_hunter, cal.walk_speed, cal.sprint_speed)
    # Nobody between: the keeper comes out.  He takes a free ball that he meets first.
    to_goal = length(jnp.array([GOAL_LINE, 0.0]) - carrier)
    faced = jnp.any(~is_keeper & (length(team - jnp.array([GOAL_LINE, 0.0])) < to_goal))
    is_rushing = ~faced & (to_goal < cal.keeper_rush)
    keeper = keeper_place(state.ball, 1.0, is_rushing, cal)
    catches = is_free & (arrival[first] < keeper_time) & (meet[first, 0] > GOAL_LINE - 16.0)
    keeper = jnp.where(catches & (state.shot == 0), meet[first], keeper)
    place = jnp.where(is_keeper[:, None], keeper, place)
    # In front of the carrier they let him come; from the side they must hurry.
    is_in_front = (team - carrier) @ way > 0.85 * gap
    waits = is_hunter & ~chases & (gap > 2.0) & is_in_front
    return towards(team, place, pace, jnp.where(waits, cal.hunt_delay, 0.25))


def attack(state: State, home: Array, cal: Calibration) -> Array:
    """Returns ``[R, 2]`` wished velocities of the right team with the ball: the carrier runs on."""
    first = len(state.position) - len(home)
    team = state.position[first:]
    index = jnp.arange(len(team))
    carries = first + index == state.owner
    goal = jnp.array([-GOAL_LINE + 3.0, 0.0])
    place = jnp.where(carries[:, None], goal, _retreat(state, home, cal))
    pace = jnp.where(carries & (index == 0), 0.0, cal.sprint_speed)
    return towards(team, place, pace)


def _retreat(state: State, home: Array, cal: Calibration) -> Array:
    """Returns ``[R, 2]``: each one's place in the formation, which follows the ball in part."""
    place = home + state.ball[:2] * jnp.stack([cal.follow_along, cal.follow_across])
    limit = jnp.array([GOAL_LINE - 8.0, SIDE_LINE])
    return jnp.clip(place, -limit, limit)


def support(state: State, offset: Array, cal: Calibration) -> Array:
    """Returns ``[L, 2]`` wished velocities of left players whom no agent controls.

    Each keeps his distance along the pitch from the ball; the keeper guards his goal.

    Args:
        state: of the game.
        offset: ``[L, 2]`` how far ahead of the ball, and where across, each one plays.
        cal: constants.
    """
    team = state.position[: len(offset)]
    x = jnp.clip(state.ball[0] + offset[:, 0], -GOAL_LINE + 12.0, GOAL_LINE - 7.0)
    y = jnp.clip(0.6 * offset[:, 1] + 0.4 * state.ball[1], -SIDE_LINE, SIDE_LINE)
    place = jnp.stack([x, y], axis=1)
    keeper = keeper_place(state.ball, -1.0, jnp.zeros((), bool), cal)
    place = jnp.where((jnp.arange(len(offset)) == 0)[:, None], keeper, place)
    return towards(team, place, jnp.float32(7.6))
