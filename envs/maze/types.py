"""The maze's vocabulary: kinds of cell, actions and the state of an episode."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import jax


class Cell(IntEnum):
    """The kind of a cell; the value is its index in a one-hot encoding."""

    OPEN = 0
    WALL = 1
    RED = 2
    BLACK = 3
    BLUE_TRAP = 4
    TARGET = 5


class Action(IntEnum):
    """What an agent can try in a step."""

    UP = 0
    DOWN = 1
    LEFT = 2
    RIGHT = 3
    NOP = 4


MOVES = {
    Action.UP: (-1, 0),
    Action.DOWN: (1, 0),
    Action.LEFT: (0, -1),
    Action.RIGHT: (0, 1),
    Action.NOP: (0, 0),
}
"""Change of (row, column) by action."""


class State(NamedTuple):
    """An episode in progress.  A location is a cell's index, ``row * width + column``.

    Attributes:
        key: PRNG key left over from the reset; the dynamics are deterministic.
        location: ``[N]`` int32 cell of each agent.
        arrived: ``[N]`` bool, True for an agent on the target.
        steps_taken: ``[N]`` int32 steps up to and including the agent's arrival.
        shortest_length: ``[N]`` int32 length of the shortest way from the agent's start.
        step_count: ``[]`` int32 steps since the reset.
    """

    key: jax.Array
    location: jax.Array
    arrived: jax.Array
    steps_taken: jax.Array
    shortest_length: jax.Array
    step_count: jax.Array
