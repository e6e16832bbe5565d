"""Sticky buttons, and which of our players each agent controls."""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array

from envs.football.calibration import Calibration
from envs.football.kicks import BUFFER_STEPS
from envs.football.minds import towards
from envs.football.physics import length
from envs.football.types import DIRECTIONS, Action, State

CLOSER = 3.0
"""An uncontrolled player this many times sooner at the ball is given to an agent."""


def press(state: State, action: Array) -> State:
    """Returns the state after the agents have pressed their buttons.

    Directions, sprint and dribble stay held.  A kick is remembered by the agent's player for 2 s,
    wherever the ball is.
    """
    is_direction = (action >= 1) & (action <= 8)
    stick = jnp.where(is_direction, action, state.stick)
    stick = jnp.where(action == Action.RELEASE_DIRECTION, 0, stick)
    sprint = (state.is_sprinting | (action == Action.SPRINT)) & (action != Action.RELEASE_SPRINT)
    dribble = state.is_dribbling | (action == Action.DRIBBLE)
    dribble &= action != Action.RELEASE_DRIBBLE
    kinds = jnp.where(
        (action >= Action.LONG_PASS) & (action <= Action.SHOT), action - Action.LONG_PASS + 1, 0
    )
    owns = state.active[:, None] == jnp.arange(len(state.kick))
    asked = jnp.max(jnp.where(owns, kinds[:, None], 0), axis=0)
    # A pass or shot under way is not called back by another button.
    is_busy = (jnp.arange(len(state.kick)) == state.owner) & (state.windup >= 0)
    takes = (asked > 0) & ~is_busy
    return state._replace(
        stick=stick,
        is_sprinting=sprint,
        is_dribbling=dribble,
        kick=jnp.where(takes, asked, state.kick),
        kick_buffer=jnp.where(takes, BUFFER_STEPS, state.kick_buffer),
    )


def give(state: State, player: Array, is_given: Array) -> State:
    """Returns the state after the head of the queue got an uncontrolled player, if `is_given`.

    The agent keeps its held buttons and moves to the queue's tail; kicks asked for do not move.

    Args:
        state: of the game.
        player: ``[]`` int32 of the left team.
        is_given: ``[]`` bool.
    """
    is_given &= ~jnp.any(state.active == player)
    head = (state.queue == 0) & is_given
    return state._replace(
        active=jnp.where(head, player, state.active),
        queue=_to_tail(state.queue, head),
    )


def select(state: State, arrival: Array, num_left: int) -> State:
    """Returns the state after the automatic choice of controlled players.

    The agent whose player has the ball goes to the queue's tail.  A player without an agent gets
    the head of the queue if he has the ball, or is much sooner at it than all who have one.

    Args:
        state: of the game.
        arrival: ``[P]`` seconds until each player can meet the ball.
        num_left: players of the left team.
    """
    has_ball = state.active == state.owner
    state = state._replace(queue=_to_tail(state.queue, has_ball))
    players = jnp.arange(num_left)
    is_controlled = jnp.any(state.active[:, None] == players, axis=0)
    times = jnp.where((players == 0) | is_controlled, jnp.inf, arrival[:num_left])
    soonest = jnp.argmin(times)
    others = jnp.min(jnp.where(is_controlled, arrival[:num_left], jnp.inf))
    is_sooner = (state.owner < 0) & (CLOSER * times[soonest] < others)
    owns = (state.owner > 0) & (state.owner < num_left)
    player = jnp.where(owns, state.owner, soonest)
    return give(state, player, owns | is_sooner)


def _to_tail(queue: Array, moved: Array) -> Array:
    """Returns ``[A]`` ranks after one agent (or none) has gone to the tail."""
    rank = jnp.sum(jnp.where(moved, queue, 0))
    is_moved = jnp.any(moved)
    shifted = queue - (is_moved & (queue > rank)).astype(jnp.int32)
    return jnp.where(moved, len(queue) - 1, shifted)


def steer(state: State, arrival: Array, meet: Array, cal: Calibration) -> Array:
    """Returns ``[A, 2]`` velocities that the agents' players are steered to.

    The stick decides, but for the one controlled player who is soonest at a free ball: he runs to
    it by himself (the engine's magnet).
    """
    held = jnp.asarray(DIRECTIONS)[state.stick]
    pace = jnp.where(state.is_sprinting, cal.sprint_speed, cal.walk_speed)
    pace = jnp.where(state.is_dribbling & ~state.is_sprinting, cal.dribble_speed, pace)
    carries = state.active == state.owner
    pace = jnp.where(carries, jnp.clip(pace, cal.carry_dribble_speed, cal.carry_sprint_speed), pace)
    wish = held * pace[:, None]
    own_arrival = arrival[state.active]
    is_drawn = (state.owner < 0) & (own_arrival <= jnp.min(own_arrival))
    seconds = jnp.maximum(own_arrival, 0.25)
    speed = jnp.minimum(
        cal.sprint_speed, length(meet - state.position)[state.active] / seconds + 0.5
    )
    drawn = towards(state.position[state.active], meet[state.active], speed, 0.1)
    return jnp.where(is_drawn[:, None], drawn, wish)


def kick_direction(state: State, player: Array) -> Array:
    """Returns the ``[2]`` unit direction of a kick: the held stick, else where the player faces."""
    mine = state.active == player
    stick = jnp.sum(jnp.where(mine, state.stick, 0))
    return jnp.where(stick > 0, jnp.asarray(DIRECTIONS)[stick], state.heading[player])
