"""Who may pass what, where a move leads, and shortest ways to the target."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from envs.maze.layouts import Layout
from envs.maze.types import MOVES, Action, Cell

PASSABLE = {
    "red": (Cell.OPEN, Cell.TARGET, Cell.RED, Cell.BLUE_TRAP),
    "black": (Cell.OPEN, Cell.TARGET, Cell.BLACK, Cell.BLUE_TRAP),
    "blue": (Cell.OPEN, Cell.TARGET),
}
"""The kinds of cell that an agent of each colour may enter.

Blue enters nothing that another colour may not: its ways are the ways open to all.
"""

UNREACHABLE = -1


def is_passable(layout: Layout, colour: str) -> np.ndarray:
    """Returns ``[H, W]`` bool, True where an agent of `colour` may be."""
    return np.isin(layout.cells, [int(kind) for kind in PASSABLE[colour]])


def next_locations(layout: Layout, colour: str) -> np.ndarray:
    """Returns ``[H * W, A]`` int32: the cell where an agent of `colour` is after each action.

    A forbidden move leaves the agent in place, and so does every move from the target.
    """
    height, width = layout.cells.shape
    allowed = is_passable(layout, colour)
    table = np.tile(np.arange(height * width, dtype=np.int32)[:, None], (1, len(Action)))
    for row, column in np.argwhere(layout.cells != Cell.TARGET):
        for action, (down, right) in MOVES.items():
            y, x = row + down, column + right
            if 0 <= y < height and 0 <= x < width and allowed[y, x]:
                table[row * width + column, action] = y * width + x
    return table


def shortest_path_lengths(layout: Layout, colour: str) -> np.ndarray:
    """Returns ``[H, W]`` int32 steps from each cell to the nearest target.

    Cells that `colour` may not enter, and those cut off from the target, are `UNREACHABLE`.
    """
    table = next_locations(layout, colour)
    far = len(table)  # No way is as long: it enters no cell twice.
    lengths = np.where(np.ravel(layout.cells) == Cell.TARGET, 0, far).astype(np.int32)
    for _ in range(far):
        lengths = np.minimum(lengths, lengths[table].min(axis=1) + 1)
    is_reached = is_passable(layout, colour) & (lengths < far).reshape(layout.cells.shape)
    return np.where(is_reached, lengths.reshape(layout.cells.shape), np.int32(UNREACHABLE))


def start_lengths(layout: Layout, colour: str) -> np.ndarray:
    """Returns ``[P]`` int32 shortest lengths from the start cells; raises where there is no way."""
    lengths = shortest_path_lengths(layout, colour)[tuple(layout.starts.T)]
    if np.any(lengths == UNREACHABLE):
        row, column = layout.starts[np.argmax(lengths == UNREACHABLE)]
        kinds = ", ".join(kind.name for kind in PASSABLE[colour])
        raise ValueError(
            f"Expected a way to the target from every start cell, got none for {colour} from row "
            f"{row}, column {column}. Open a way of {kinds} cells."
        )
    return lengths


def expected_longest(lengths: Iterable[np.ndarray]) -> float:
    """Returns ``E[max_n d_n]`` when each ``d_n`` is drawn evenly from the n-th array.

    Exact, from ``E[max] = sum_{k >= 0} (1 - prod_n P(d_n <= k))``.
    """
    lengths = list(lengths)
    thresholds = range(max(int(values.max()) for values in lengths))
    return float(
        sum(1.0 - np.prod([np.mean(values <= k) for values in lengths]) for k in thresholds)
    )
