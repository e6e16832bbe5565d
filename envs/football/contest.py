"""Who gets the ball: first touches, duels with the carrier, and the keeper's saves."""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array

from envs.football.calibration import Calibration
from envs.football.kicks import GOAL_HALF_WIDTH, GOAL_HEIGHT
from envs.football.physics import BALL_RADIUS, length, rotate, unit
from envs.football.scenarios import GOAL_LINE
from envs.football.types import Shot, State

KEEPER_HEIGHT = 2.4
KEEPER_BODY = 0.95
"""Metres from a shot's line within which the keeper's offset makes no difference."""
KEEPER_SMOTHERS = 0.045
"""Seconds from foot to keeper below which he smothers the ball."""
KICKER_PAUSE = 6.0
"""Steps before a kicker can touch the ball again."""
SLOW_BALL, FAST_BALL = 3.0, 10.0


def first_touch(
    state: State, before: Array, is_keeper: Array, draws: Array, cal: Calibration
) -> State:
    """Returns the state after the first player on the ball's way has trapped it, or missed.

    A player reaches `touch_reach` around where he is about to be, less for a fast ball that was
    not meant for him; a keeper uses his hands.  A kick asked for before the ball came leaves at
    once: often as a volley, with a wind-up of 0, before the ball counts as anybody's.

    Args:
        state: of the game, ball and players moved.
        before: ``[3]`` where the ball was.
        is_keeper: ``[P]`` bool.
        draws: ``[3]`` uniform: the trap, the way of a ball that bounces off, a volley.
        cal: constants.
    """
    place = state.position + 0.05 * state.velocity + 0.1 * state.heading
    way = state.ball - before
    span = jnp.maximum(jnp.sum(way[:2] ** 2), 1e-6)
    share = jnp.clip(((place - before[:2]) @ way[:2]) / span, 0.0, 1.0)
    nearest = before + share[:, None] * way
    distance = length(nearest[:, :2] - place)
    speed = length(state.ball_velocity)
    index = jnp.arange(len(is_keeper))
    is_meant = (index == state.receiver) | (state.receiver < 0)
    reach = cal.touch_reach * jnp.where(is_meant, 1.0, jnp.clip(8.0 / (speed + 1e-6), 0.4, 1.0))
    # A ball that lies beside or behind a man he has to turn to first.
    facing = jnp.sum(unit(state.ball[:2] - state.position, state.heading) * state.heading, axis=1)
    reach = reach * jnp.where(speed < SLOW_BALL, 0.5 + 0.5 * facing, 1.0)
    reach = jnp.where(is_keeper, cal.keeper_reach, reach)
    height = jnp.where(is_keeper, KEEPER_HEIGHT, cal.touch_height)
    # A shot on target has been judged already: the keeper neither misses nor adds to that.
    is_judged = is_keeper & (state.shot != Shot.NONE)
    able = (distance < reach) & (nearest[:, 2] < height) & (state.cooldown <= 0) & ~is_judged
    late = jnp.where(able, share * span**0.5 + distance, jnp.inf)
    player = jnp.argmin(late)
    happens = jnp.any(able) & (state.owner < 0)
    # The engine always traps a ground pass that reaches the man it was meant for.
    is_safe = (speed < FAST_BALL) | is_keeper[player]
    failure = jnp.where(player == state.receiver, cal.trap_failure, cal.intercept_failure)
    gets = happens & (is_safe | (draws[0] >= failure))
    bounces = happens & ~gets
    off = 0.45 * jnp.append(rotate(state.ball_velocity[:2], (draws[1] - 0.5) * 3.0), 2.0)
    mine = index == player
    soon = jnp.where(draws[2] < cal.volley_share, 0, 1)
    return state._replace(
        owner=jnp.where(gets, player, state.owner),
        last_touch=jnp.where(happens, player, state.last_touch),
        receiver=jnp.where(happens, -1, state.receiver),
        shot=jnp.where(happens, Shot.NONE, state.shot),
        ball_velocity=jnp.where(bounces, off, state.ball_velocity),
        cooldown=jnp.where(mine & bounces, KICKER_PAUSE, state.cooldown),
        # He first has to get the ball under control.
        stumble=jnp.where(mine & gets, cal.trap_steps, state.stumble),
        windup=jnp.where(gets, jnp.where(state.kick[player] > 0, soon, -1), state.windup),
    )


def judge_shot(
    ball: Array, velocity: Array, keeper: Array, side: Array, draws: Array, cal: Calibration
) -> Array:
    """Returns the ``[]`` int32 `Shot`: what the keeper will do about a ball just struck.

    Measured law, by the time until the ball is on the keeper's line: struck right at his feet it
    is smothered, at 0.15 to 0.35 s it passes him more often than not, and the more surely the
    farther from him; later than 0.4 s it hardly ever does, however far.

    Args:
        ball: ``[3]`` where the ball is struck.
        velocity: ``[3]``.
        keeper: ``[2]``.
        side: ``[]`` +1 for a shot at the goal at x = 55, -1 at the other.
        draws: ``[2]`` uniform.
        cal: constants.
    """
    forward = jnp.maximum(velocity[0] * side, 1e-3)
    seconds = (GOAL_LINE - ball[0] * side) / forward
    # Drag takes about a tenth of the speed on the way.
    seconds = seconds * (1 + 0.5 * cal.air_drag * length(velocity) * seconds)
    y = ball[1] + velocity[1] * seconds * 0.97
    z = ball[2] + velocity[2] * seconds - 0.5 * cal.gravity * seconds**2
    is_on_target = (jnp.abs(y) < GOAL_HALF_WIDTH) & (z < GOAL_HEIGHT) & (velocity[0] * side > 8)
    to_keeper = (keeper[0] - ball[0]) * side / forward
    line = unit(velocity[:2], jnp.array([1.0, 0.0]))
    offset = jnp.abs(line[0] * (keeper[1] - ball[1]) - line[1] * (keeper[0] - ball[0]))
    near = cal.keeper_near_gain * (to_keeper - KEEPER_SMOTHERS)
    near = jnp.clip(near, cal.keeper_late, cal.keeper_near)
    quick = near + cal.keeper_slope * jnp.maximum(offset - KEEPER_BODY, 0.0)
    late = cal.keeper_near - cal.keeper_late_gain * (to_keeper - cal.keeper_time)
    late = jnp.maximum(late, cal.keeper_late)
    chance = jnp.where(to_keeper < cal.keeper_time, quick, late)
    # A shot from goalward of the keeper meets nobody.
    chance = jnp.where(to_keeper <= 0, 1.0, chance)
    saved = jnp.where(draws[1] < cal.keeper_holds, Shot.HELD, Shot.PARRIED)
    outcome = jnp.where(draws[0] < chance, Shot.PASSES, saved)
    return jnp.where(is_on_target, outcome, Shot.NONE)


def save(state: State, keepers: tuple[int, int], draw: Array) -> State:
    """Returns the state after a keeper has met a shot that he was judged to save.

    He dives to where it passes him; then he holds it, or it flies on past a post.

    Args:
        state: of the game, ball moved.
        keepers: indices of the left and the right keeper.
        draw: ``[]`` uniform, for the way of a parried ball.
    """
    is_right = state.ball_velocity[0] > 0
    side = jnp.where(is_right, 1.0, -1.0)
    keeper = jnp.where(is_right, keepers[1], keepers[0])
    place = state.position[keeper]
    line = jnp.minimum(place[0] * side, GOAL_LINE - 0.3)
    meets = (state.shot >= Shot.HELD) & (state.ball[0] * side > line) & (state.owner < 0)
    holds = meets & (state.shot == Shot.HELD)
    parries = meets & (state.shot == Shot.PARRIED)
    dive = jnp.stack([line * side, state.ball[1]])
    at_keeper = (jnp.arange(len(state.position)) == keeper) & meets
    outward = jnp.where(state.ball[1] >= 0, 1.0, -1.0)
    # Most parried balls go out beside the goal; a few come back to the players.
    out = jnp.stack([side * 6.0, outward * 9.0, jnp.zeros(())])
    back = jnp.stack([-side * 6.0, outward * 4.0, jnp.zeros(())])
    rebound = jnp.where(draw < 0.75, out, back)
    beside = jnp.stack([line * side, outward * (GOAL_HALF_WIDTH + 0.5), jnp.float32(BALL_RADIUS)])
    beside = jnp.where(draw < 0.75, beside, state.ball.at[0].set(line * side))
    ball = jnp.where(holds, jnp.append(dive, BALL_RADIUS), state.ball)
    return state._replace(
        position=jnp.where(at_keeper[:, None], dive, state.position),
        owner=jnp.where(holds, keeper, state.owner),
        last_touch=jnp.where(meets, keeper, state.last_touch),
        ball=jnp.where(parries, beside, ball),
        ball_velocity=jnp.where(parries, rebound, state.ball_velocity),
        shot=jnp.where(meets, Shot.NONE, state.shot),
        receiver=jnp.where(meets, -1, state.receiver),
        cooldown=jnp.where(at_keeper & parries, KICKER_PAUSE, state.cooldown),
    )


def duel(state: State, is_left: Array, draws: Array, cal: Calibration) -> State:
    """Returns the state after the opponents near the carrier have tried to win the ball.

    A contact is a clean steal, or leaves the ball loose while both men stumble: it rolls on past
    the defender, or comes off him to a side.

    Args:
        state: of the game, ball with its owner.
        is_left: ``[P]`` bool.
        draws: ``[4]`` uniform.
        cal: constants.
    """
    owner = jnp.maximum(state.owner, 0)
    rivals = (is_left != is_left[owner]) & (state.owner >= 0) & (state.stumble <= 0)
    gap = length(state.position - state.ball[:2])
    gap = jnp.minimum(gap, length(state.position - state.position[owner]))
    gap = jnp.where(rivals, gap, jnp.inf)
    rival = jnp.argmin(gap)
    contact = (gap[rival] < cal.duel_reach) & (draws[0] < cal.duel_rate)
    # Head-on the carrier may get through; from the side the ball is won more surely.
    forward = state.heading[owner]
    aim = unit(state.position[rival] - state.position[owner], forward)
    across = jnp.abs(forward[0] * aim[1] - forward[1] * aim[0])
    steals = contact & (draws[1] < cal.duel_steal + cal.duel_side * across)
    loose = contact & ~steals
    through = draws[2] < cal.duel_through
    spread = (draws[3] - 0.5) * jnp.where(through, 0.5, 4.0)
    velocity = rotate(forward, spread) * (cal.loose_speed + jnp.where(through, 1.5, 0.0))
    index = jnp.arange(len(is_left))
    stumbles = loose & ((index == owner) | (index == rival))
    # He whom the ball has passed must turn.
    pause = jnp.where((index == rival) & through, 1.5, 0.7) * cal.duel_stumble
    new_owner = jnp.where(loose, -1, state.owner)
    return state._replace(
        owner=jnp.where(steals, rival, new_owner),
        last_touch=jnp.where(contact, rival, state.last_touch),
        receiver=jnp.where(contact, -1, state.receiver),
        windup=jnp.where(contact, -1, state.windup),
        ball_velocity=jnp.where(loose, jnp.append(velocity, 0.0), state.ball_velocity),
        stumble=jnp.where(stumbles, pause, state.stumble),
        cooldown=jnp.where(stumbles, 0.6 * pause, state.cooldown),
    )
