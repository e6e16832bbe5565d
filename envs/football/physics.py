"""How players run and the ball flies, in steps of 0.1 s."""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array

from envs.football.calibration import Calibration
from envs.football.scenarios import GOAL_LINE, SIDE_LINE

STEP = 0.1
BALL_RADIUS = 0.11
ROLLING_HEIGHT = 0.135
NUM_SUBSTEPS = 5
PITCH_MARGIN = 2.0
"""How far players may run beyond the lines, in metres."""


def length(vector: Array) -> Array:
    """Returns the length along the last axis; its gradient is finite at zero."""
    return jnp.sqrt(jnp.sum(vector * vector, axis=-1) + 1e-12)


def unit(vector: Array, fallback: Array) -> Array:
    """Returns the vectors scaled to length 1 along the last axis, `fallback` where they vanish."""
    size = length(vector)[..., None]
    return jnp.where(size > 1e-3, vector / jnp.maximum(size, 1e-3), fallback)


def rotate(vector: Array, angle: Array) -> Array:
    """Returns the ``[..., 2]`` vectors turned from x towards y."""
    x, y, cos, sin = vector[..., 0], vector[..., 1], jnp.cos(angle), jnp.sin(angle)
    return jnp.stack([x * cos - y * sin, x * sin + y * cos], axis=-1)


def run(velocity: Array, wish: Array, news: Array, carries: Array, cal: Calibration) -> Array:
    """Returns ``[P, 2]`` velocities 0.1 s later.

    The velocity along the wish grows as from rest; what lies across or against it is braked away.
    With the ball a player turns: quickly at a walk, in a wide curve at a sprint.

    Args:
        velocity: ``[P, 2]``.
        wish: ``[P, 2]`` velocity wanted a step ago, when a player began to obey.
        news: ``[P, 2]`` velocity wanted now: only his braking follows it at once, and half.
        carries: ``[P]`` bool, True for the ball's owner.
        cal: constants.
    """
    target = length(wish)
    speed = length(velocity)
    heading = unit(velocity, jnp.zeros_like(velocity))
    free_direction = unit(wish, heading)
    is_turning = carries & (speed > 1.0) & (target > 0.1)
    turned = _turn(heading, free_direction, speed, target, cal)
    direction = jnp.where(is_turning[:, None], turned, free_direction)
    ahead = jnp.sum(velocity * direction, axis=1)
    across = velocity - ahead[:, None] * direction
    # The carrier slows down for the part of the turn that is still to come.
    facing = jnp.clip(jnp.sum(direction * free_direction, axis=1), 0.0, 1.0)
    slowest = jnp.where(speed < cal.walk_speed + 1.0, 0.5, 0.9)
    target = jnp.where(is_turning, target * (slowest + (1 - slowest) * facing), target)
    sideways = length(across)
    brake = jnp.where(carries, cal.carry_braking, cal.braking - cal.braking_slope * speed)
    kept = jnp.maximum(sideways - brake, 0.0) / jnp.maximum(sideways, 1e-6)
    kept = jnp.where(is_turning, 0.0, kept)
    forward = _accelerate(ahead, target, sideways > 1.0, brake, cal)
    later = forward[:, None] * direction + across * kept[:, None]
    # A change of mind is half felt in the step in which it comes.
    new_direction = unit(news, heading)
    new_ahead = jnp.clip(jnp.sum(later * new_direction, axis=1), 0.0, length(news))
    excess = later - new_ahead[:, None] * new_direction
    early = jnp.maximum(cal.early_braking - cal.early_braking_slope * speed, 0.0)
    early = jnp.where(carries, 0.4 * cal.carry_braking, early)
    size = length(excess)
    is_news = (length(news - wish) > 0.5) & ~is_turning & (speed > 2.0)
    early = jnp.where(is_news, jnp.minimum(early, size), 0.0) / jnp.maximum(size, 1e-6)
    starts = is_news & ~carries & (new_ahead < 0.5) & (length(news) > 3.0)
    stride = jnp.where(starts, 0.45 * cal.first_stride, 0.0)
    return later - excess * early[:, None] + new_direction * stride[:, None]


def _turn(heading: Array, wanted: Array, speed: Array, target: Array, cal: Calibration) -> Array:
    """Returns ``[P, 2]`` headings, turned towards `wanted` as far as a carrier can in 0.1 s.

    Who wants to sprint knocks the ball ahead, and can hardly turn before he has it again.
    """
    knocks = jnp.where(target > cal.walk_speed + 0.5, 1.5, 0.0)
    share = jnp.clip((speed + knocks - cal.walk_speed) / 1.5, 0.0, 1.0)
    limit = jnp.deg2rad(cal.carry_turn_walk + share * (cal.carry_turn_sprint - cal.carry_turn_walk))
    dot = jnp.sum(heading * wanted, axis=1)
    cross = heading[:, 0] * wanted[:, 1] - heading[:, 1] * wanted[:, 0]
    angle = jnp.arctan2(cross, dot)
    # Nobody curves back: a carrier who wants to turn about brakes instead.
    limit = jnp.where(jnp.abs(angle) > jnp.deg2rad(120.0), jnp.pi, limit)
    return rotate(heading, jnp.clip(angle, -limit, limit))


def _accelerate(
    speed: Array, target: Array, is_sliding: Array, brake: Array, cal: Calibration
) -> Array:
    """Returns the speed along the wanted direction 0.1 s later; negative while turning about.

    From rest the first stride counts at once; a runner who still moves across gains faster; from
    a walk to a sprint there is a step of hardly any gain.
    """
    gain = cal.stride_gain + jnp.where(is_sliding, cal.turn_gain, 0.0)
    start = jnp.where(speed < 0.5 * cal.first_stride, cal.first_stride, speed + gain)
    sprint = speed + cal.sprint_gain * (cal.sprint_speed - speed)
    sprint = jnp.where(speed < cal.walk_speed + 0.15, speed + 0.14, sprint)
    faster = jnp.where(
        speed < cal.walk_speed - 0.1, jnp.minimum(start, cal.walk_speed + 0.06), sprint
    )
    faster = jnp.where(speed < 0, jnp.minimum(speed + brake + 0.4, 0.3), faster)
    slower = jnp.maximum(speed - brake, target)
    return jnp.where(speed > target, slower, jnp.minimum(faster, target))


def keep_on_pitch(position: Array) -> Array:
    """Returns ``[P, 2]`` positions, none farther outside the lines than players may run."""
    bound = jnp.array([GOAL_LINE, SIDE_LINE]) + PITCH_MARGIN
    return jnp.clip(position, -bound, bound)


def fly(ball: Array, velocity: Array, cal: Calibration) -> tuple[Array, Array]:
    """Returns a free ball's position and velocity ``[3]`` 0.1 s later.

    Drag 0.015 v^2 in the air; on the ground 0.04 v^2 + 1.6 more; a bounce keeps 0.62 of the fall.
    """
    dt = STEP / NUM_SUBSTEPS
    for _ in range(NUM_SUBSTEPS):
        speed = length(velocity)
        is_rolling = ball[2] < ROLLING_HEIGHT
        ground = jnp.where(is_rolling, cal.ground_drag * speed**2 + cal.ground_friction, 0.0)
        loss = jnp.minimum((cal.air_drag * speed**2 + ground) * dt, speed)
        velocity = velocity * (1 - loss / jnp.maximum(speed, 1e-6))
        velocity = velocity.at[2].add(-cal.gravity * dt)
        ball = ball + velocity * dt
        is_down = ball[2] < BALL_RADIUS
        rebound = jnp.maximum(-velocity[2] * cal.bounce - 0.06, 0.0)
        velocity = velocity.at[2].set(jnp.where(is_down, rebound, velocity[2]))
        ball = ball.at[2].set(jnp.maximum(ball[2], BALL_RADIUS))
    return ball, velocity


def time_to_ball(position: Array, ball: Array, velocity: Array) -> tuple[Array, Array]:
    """Returns ``[P]`` seconds until each player can meet a free ball, and ``[P, 2]`` where.

    The earliest of eight moments at which the player can be where the ball then is.
    """
    times = jnp.array([0.1, 0.3, 0.6, 1.0, 1.5, 2.2, 3.2, 5.0])
    decay = 0.45
    places = ball[:2] + velocity[:2] * ((1 - jnp.exp(-decay * times)) / decay)[:, None]
    distance = length(places[None] - position[:, None])
    spare = times[None] * 6.5 + 0.7 - distance
    arrival = jnp.where(spare >= 0, times[None], 5.0 + distance / 6.5)
    return jnp.min(arrival, axis=1) + distance[:, 0] * 1e-3, places[jnp.argmin(arrival, axis=1)]
