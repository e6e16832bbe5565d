"""A policy by hand, for comparing this environment with the original: the same rules in both.

Carry the ball at the goal at a sprint, pass to a better placed mate when pressed, shoot when close.
It made the recordings that the validation gates are measured on.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array

from envs.football.observation import Facts
from envs.football.physics import length
from envs.football.scenarios import LENGTH_SCALE
from envs.football.types import DIRECTIONS, Action

SHOT_RANGE = 19.0
LONG_SHOT_RANGE, KEEPER_NEAR = 27.0, 9.0
"""From farther away it shoots too if the keeper is this near."""
PRESSED = 4.0
"""Metres to the nearest opponent within which the carrier looks for a mate."""
WAITING_X = 0.88
"""Where those without the ball run to, in environment units."""


def act(facts: Facts) -> Array:
    """Returns ``[A]`` int32 actions."""
    return jax.vmap(_act_one, in_axes=(None, 0, 0))(facts, facts.active, facts.sticky)


def _act_one(facts: Facts, me: Array, sticky: Array) -> Array:
    scale = jnp.asarray(LENGTH_SCALE)
    left, right = facts.left * scale, facts.right * scale
    goal = jnp.array([1.0, 0.0]) * scale
    mine = (facts.owned_team == 0) & (facts.owned_player == me)
    to_goal = direction_action(goal - left[me])
    carry = jnp.where(mine, _carry(left, right, goal, me, sticky), 0)
    chase = _run(_without_ball(facts, left, me) - left[me], sticky)
    shoots = _shoots(left[me], right, goal)
    with_ball = jnp.where(shoots, Action.SHOT, jnp.where(carry > 0, carry, _hold(to_goal, sticky)))
    return jnp.where(mine, with_ball, chase).astype(jnp.int32)


def direction_action(way: Array) -> Array:
    """Returns the direction button nearest to a way, or the release where it vanishes."""
    best = 1 + jnp.argmax(jnp.asarray(DIRECTIONS[1:]) @ way)
    return jnp.where(length(way) < 1e-5, Action.RELEASE_DIRECTION, best).astype(jnp.int32)


def _shoots(me: Array, right: Array, goal: Array) -> Array:
    distance = length(goal - me)
    keeper_near = length(right[0] - me) < KEEPER_NEAR
    return (distance < SHOT_RANGE) | ((distance < LONG_SHOT_RANGE) & keeper_near)


def _carry(left: Array, right: Array, goal: Array, me: Array, sticky: Array) -> Array:
    """Returns the action of a pressed carrier with a mate to pass to, else 0.

    He turns to the mate first, and passes once the stick points there.
    """
    index = jnp.arange(len(left))
    nearest = jnp.min(length(right[1:] - left[me]))
    gain = length(goal - left[me]) - length(goal - left)
    freedom = jnp.min(length(right[1:][None] - left[:, None]), axis=1)
    score = gain + 0.5 * (jnp.minimum(freedom, 10.0) - jnp.minimum(nearest, 10.0))
    distance = length(left - left[me])
    able = (index > 0) & (index != me) & (distance > 5) & (distance < 30) & (score > 0)
    best = jnp.argmax(jnp.where(able, score, -jnp.inf))
    turn = direction_action(left[best] - left[me])
    action = jnp.where(_held(sticky) == turn, Action.SHORT_PASS, turn)
    return jnp.where((nearest < PRESSED) & jnp.any(able), action, 0)


def _without_ball(facts: Facts, left: Array, me: Array) -> Array:
    """Returns the ``[2]`` metres where a player without the ball runs to.

    The nearest to where the ball will be in 0.3 s fetches it unless we have it; the others wait in
    front of the goal.
    """
    scale = jnp.asarray(LENGTH_SCALE)
    ball = (facts.ball[:2] + 3 * facts.ball_direction[:2]) * scale
    fetches = (facts.owned_team != 0) & (jnp.argmin(length(left - ball)) == me)
    waiting = jnp.stack([WAITING_X * scale[0], 0.7 * left[me, 1]])
    return jnp.where(fetches, ball, waiting)


def _run(way: Array, sticky: Array) -> Array:
    far = length(way) > 1.0
    return _hold(jnp.where(far, direction_action(way), Action.RELEASE_DIRECTION), sticky)


def _held(sticky: Array) -> Array:
    """Returns the held direction button, or the release if there is none."""
    some = jnp.any(sticky[:8])
    return jnp.where(some, 1 + jnp.argmax(sticky[:8]), Action.RELEASE_DIRECTION)


def _hold(direction: Array, sticky: Array) -> Array:
    """Returns the button that brings the stick to a direction, then the sprint, then nothing."""
    sprint = jnp.where(sticky[8], Action.IDLE, Action.SPRINT)
    return jnp.where(_held(sticky) == direction, sprint, direction)
