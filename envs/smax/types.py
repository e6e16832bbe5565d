"""The state of a battle."""

from __future__ import annotations

from typing import NamedTuple

from jax import Array

from envs.smax.library import GameState


class State(NamedTuple):
    """What an episode needs to go on.

    Attributes:
        key: key of the coming steps.
        game: jaxmarl's state, with that of the heuristic enemy.
        step_count: ``[]`` int32 steps taken in this episode.
    """

    key: Array
    game: GameState
    step_count: Array
