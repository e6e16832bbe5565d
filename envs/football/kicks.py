"""Passes and shots: whom they are meant for, how hard they are, how long they take."""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array
from jax.scipy.special import ndtri

from envs.football.calibration import Calibration
from envs.football.physics import length, rotate, unit
from envs.football.scenarios import GOAL_LINE
from envs.football.types import Kick

GOAL_HALF_WIDTH = 3.7
GOAL_HEIGHT = 2.5
BUFFER_STEPS = 20
"""A request for a kick lives for 2 s."""
SHOT_AIM = 3.33
"""Metres from the middle of the goal at which the stick aims at most."""

_LATENCY_EDGES = jnp.array([0.37, 0.63, 0.76, 0.86, 0.93, 0.97], jnp.float32)
"""Cumulative share of shots whose ball leaves 3, 4, ... 8 steps after the button: 881 shots."""


def latency(kick: Array, draw: Array, is_pressed: Array) -> Array:
    """Returns the ``[]`` int32 steps from a request until the ball leaves.

    Args:
        kick: ``[]`` `Kick`.
        draw: ``[]`` uniform in [0, 1).
        is_pressed: ``[]`` bool, True if the player runs with an opponent close by.
    """
    shot = 3 + jnp.sum(draw > _LATENCY_EDGES)
    other = jnp.where(draw > 0.5, 5, 4)
    steps = jnp.where(kick == Kick.SHOT, shot, other)
    return jnp.where(is_pressed, steps + 3, steps)


def pass_target(
    position: Array, kicker: Array, stick: Array, kick: Array, mates: Array
) -> tuple[Array, Array]:
    """Returns the ``[]`` int32 mate whom a pass is meant for, and its ``[2]`` place.

    The least of ``0.8 (|mate - (me + direction P)| / 70)^0.8 + angle / pi``, where P is a typical
    way of the kind of pass (12 m short, 25 m long and high): the engine's law.

    Args:
        position: ``[P, 2]``.
        kicker: ``[]`` int32.
        stick: ``[2]`` unit direction.
        kick: ``[]`` `Kick`.
        mates: ``[P]`` bool, True for those who may be meant.
    """
    me = position[kicker]
    reach = jnp.where(kick == Kick.SHORT, 12.0, 25.0)
    offset = position - me
    far = length(position - (me + stick * reach))
    cos = jnp.clip(jnp.sum(unit(offset, stick) * stick, axis=1), -1.0, 1.0)
    cost = 0.8 * (far / 70) ** 0.8 + jnp.arccos(cos) / jnp.pi
    target = jnp.argmin(jnp.where(mates, cost, jnp.inf))
    return target, position[target]


def launch_pass(
    me: Array, place: Array, target_velocity: Array, kick: Array, draws: Array, cal: Calibration
) -> Array:
    """Returns the ``[3]`` velocity of a pass to a mate, led by where he will be.

    Args:
        me: ``[2]``.
        place: ``[2]`` where the mate is.
        target_velocity: ``[2]``.
        kick: ``[]`` `Kick`; a long pass is a short one aimed a fifth farther at the goal.
        draws: ``[2]`` uniform: direction, power of a pass to a mate too far away.
        cal: constants.
    """
    flight = jnp.clip(length(place - me) / 14.0, 0.3, 2.0)
    aim = place + target_velocity * flight * 0.7
    goal = unit(jnp.array([GOAL_LINE, 0.0]) - aim, jnp.array([1.0, 0.0]))
    distance = length(aim - me)
    aim = jnp.where(kick == Kick.LONG, aim + goal * 0.2 * distance, aim)
    distance = length(aim - me)
    distance = jnp.where(distance > cal.pass_range, 12.0 + 18.0 * draws[1], distance)
    power = cal.pass_curve * (distance / cal.pass_distance) ** 1.4 + cal.pass_base
    fastest = jnp.where(kick == Kick.LONG, cal.long_max_speed, cal.pass_max_speed)
    ground = jnp.minimum(cal.pass_power * power, fastest)
    reach = jnp.clip(distance, 4.0, 35.0) - 4.0
    high = cal.high_speed + cal.high_speed_gain * reach
    is_high = kick == Kick.HIGH
    speed = jnp.where(is_high, high, ground)
    climb = jnp.where(is_high, cal.high_lift + cal.high_lift_gain * reach, cal.pass_lift * distance)
    noise = ndtri(jnp.clip(draws[0], 1e-4, 1 - 1e-4))
    direction = rotate(unit(aim - me, jnp.array([1.0, 0.0])), cal.pass_noise * noise)
    return jnp.append(speed * direction, jnp.minimum(climb, 10.0))


def launch_shot(
    me: Array, stick: Array, goal_x: Array, draws: Array, run_speed: Array, cal: Calibration
) -> Array:
    """Returns the ``[3]`` velocity of a shot at the goal on the line x = `goal_x`.

    The stick aims at ``y = sign (angle(stick, goal's middle) / 90 degrees)^0.7 * 3.33 m``.

    Args:
        me: ``[2]``.
        stick: ``[2]`` unit direction, or zero for straight at the middle.
        goal_x: ``[]``.
        draws: ``[3]`` uniform: speed, climb, direction.
        run_speed: ``[]`` a standing shot is 3 m/s slower.
        cal: constants.
    """
    middle = jnp.stack([goal_x, jnp.zeros(())])
    to_goal = unit(middle - me, jnp.array([1.0, 0.0]))
    cross = to_goal[0] * stick[1] - to_goal[1] * stick[0]
    angle = jnp.arctan2(cross, jnp.sum(to_goal * stick) + 1e-9)
    is_aimed = jnp.abs(cross) > 1e-6
    bend = (jnp.clip(jnp.abs(angle) / (jnp.pi / 2), 1e-6, 1.0)) ** 0.7 * jnp.sign(angle)
    # Facing right, a stick turned clockwise on the screen points to rising y.
    aim = middle.at[1].set(jnp.where(is_aimed, bend * SHOT_AIM * jnp.sign(goal_x), 0.0))
    normal = ndtri(jnp.clip(draws, 1e-4, 1 - 1e-4))
    slow = 3.0 * jnp.clip(1 - run_speed / 5.0, 0.0, 1.0)
    speed = cal.shot_speed - slow + cal.shot_speed_noise * normal[0]
    climb = jnp.maximum(cal.shot_lift + cal.shot_lift_noise * normal[1], 0.1)
    direction = rotate(unit(aim - me, to_goal), cal.shot_noise * normal[2])
    return jnp.append(speed * direction, climb)
