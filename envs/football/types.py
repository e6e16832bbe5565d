"""The academy's vocabulary: actions, kicks, ends of an episode and its state."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import jax
import numpy as np

NUM_ACTIONS = 19

DIRECTIONS = np.array(
    [[0, 0], [-1, 0], [-1, -1], [0, -1], [1, -1], [1, 0], [1, 1], [0, 1], [-1, 1]], np.float32
)
DIRECTIONS[1:] /= np.linalg.norm(DIRECTIONS[1:], axis=1, keepdims=True)
"""``[9, 2]`` unit vector of the stick by held direction: 0 none, 1 left, then clockwise."""


class Action(IntEnum):
    """The buttons that are no direction (1 to 8 press a direction, which stays held)."""

    IDLE = 0
    LONG_PASS = 9
    HIGH_PASS = 10
    SHORT_PASS = 11
    SHOT = 12
    SPRINT = 13
    RELEASE_DIRECTION = 14
    RELEASE_SPRINT = 15
    SLIDING = 16
    DRIBBLE = 17
    RELEASE_DRIBBLE = 18


class Kick(IntEnum):
    """What a player is about to do with the ball."""

    NONE = 0
    LONG = 1
    HIGH = 2
    SHORT = 3
    SHOT = 4


class Shot(IntEnum):
    """What becomes of a shot on target, judged as it is struck."""

    NONE = 0
    PASSES = 1
    HELD = 2
    PARRIED = 3


class End(IntEnum):
    """Why an episode is over."""

    NOT = 0
    GOAL = 1
    CONCEDED = 2
    OUT = 3
    LOST = 4
    TIME = 5


class Formation(NamedTuple):
    """Where players who have nothing better to do stay; keepers first, in metres.

    Attributes:
        offset: ``[L, 2]`` of ours: how far ahead of the ball, and where across the pitch.
        home: ``[R, 2]`` of the opponents, for a ball in the middle.
    """

    offset: jax.Array
    home: jax.Array


class State(NamedTuple):
    """An episode in progress, in metres and seconds from the centre spot, y growing downward.

    ``P`` players: the left team, its keeper first, then the right team, its keeper first.

    Attributes:
        key: PRNG key of the coming steps.
        step_count: ``[]`` int32 steps of 0.1 s taken.
        ball: ``[3]`` float32.
        ball_velocity: ``[3]`` float32.
        position: ``[P, 2]`` float32.
        velocity: ``[P, 2]`` float32.
        heading: ``[P, 2]`` float32 unit vectors.
        wish: ``[P, 2]`` float32 velocity that each player wanted one step ago.
        stumble: ``[P]`` float32 steps for which a player hardly runs.
        cooldown: ``[P]`` float32 steps for which a player cannot touch a free ball.
        owner: ``[]`` int32 player with the ball, -1 nobody.
        possession: ``[]`` int32 team that owned it last: -1 nobody, 0 left, 1 right.
        last_touch: ``[]`` int32 player who touched it last.
        receiver: ``[]`` int32 player whom the last pass was meant for, -1 nobody.
        kick: ``[P]`` int32 `Kick` that a player will make.
        kick_buffer: ``[P]`` int32 steps for which that request lives.
        windup: ``[]`` int32 steps until the owner's kick leaves, -1 while none is under way; at
            0 he volleys a ball that does not yet count as his.
        shot: ``[]`` int32 `Shot` of the ball in flight.
        hold: ``[]`` int32 steps for which the right team has owned the ball.
        active: ``[A]`` int32 player that each agent controls.
        queue: ``[A]`` int32 rank of each agent among those to be given another player.
        stick: ``[A]`` int32 held direction, 0 none.
        is_sprinting: ``[A]`` bool held button.
        is_dribbling: ``[A]`` bool held button.
        checkpoints: ``[A]`` int32 checkpoints collected.
        end: ``[]`` int32 `End`.
    """

    key: jax.Array
    step_count: jax.Array
    ball: jax.Array
    ball_velocity: jax.Array
    position: jax.Array
    velocity: jax.Array
    heading: jax.Array
    wish: jax.Array
    stumble: jax.Array
    cooldown: jax.Array
    owner: jax.Array
    possession: jax.Array
    last_touch: jax.Array
    receiver: jax.Array
    kick: jax.Array
    kick_buffer: jax.Array
    windup: jax.Array
    shot: jax.Array
    hold: jax.Array
    active: jax.Array
    queue: jax.Array
    stick: jax.Array
    is_sprinting: jax.Array
    is_dribbling: jax.Array
    checkpoints: jax.Array
    end: jax.Array
