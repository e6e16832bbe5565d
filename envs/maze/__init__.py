"""A maze whose passages depend on an agent's colour, which the agent does not see."""

from typing import Any

from envs.maze.env import Maze
from envs.maze.layouts import GAMES, Game, Layout, parse_layout
from envs.maze.paths import shortest_path_lengths
from envs.maze.types import Action, Cell, State

SCENARIO_NAMES = tuple(GAMES)
"""The games by name, for `envs.make`."""


def make(scenario: str, **options: Any) -> Maze:
    """Returns the maze of the game `scenario`; `options` are those of `Maze`."""
    return Maze(scenario, **options)


__all__ = [
    "GAMES",
    "SCENARIO_NAMES",
    "Action",
    "Cell",
    "Game",
    "Layout",
    "Maze",
    "State",
    "make",
    "parse_layout",
    "shortest_path_lengths",
]
