"""The maps: text, what it means, and what an agent sees of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from envs.maze.types import Cell

SYMBOLS = {
    ".": Cell.OPEN,
    "#": Cell.WALL,
    "r": Cell.RED,
    "b": Cell.BLACK,
    "x": Cell.BLUE_TRAP,
    "T": Cell.TARGET,
    "s": Cell.OPEN,
}
"""Characters of a map; ``s`` is an open cell of the start region."""

# Red goes left and up, black right and up: 6 to 8 steps.  The ways round the outside, 12 or 13
# steps, are open to both: all that a policy without colours can agree on.
BLACK_RED = """
#########
....T....
.#r###b#.
.#r###b#.
.#.sss.#.
.........
#########
#########
#########
"""

# Red goes left and up: 6 to 8 steps.  Black and blue go round the right, where blue only has to
# walk round the one black cell: 10 to 12 and 12 to 14 steps.  The way round the left, behind red,
# is a little longer still and ends for blue at the trap.
BLACK_BLUE_RED = """
#########
....T....
.#r#####.
x#r#####.
.#.sss.b.
.#.###...
...######
#########
#########
"""


class Game(NamedTuple):
    """A named game: the map as text, the colours that play, and the agents of each."""

    text: str
    colours: tuple[str, ...]
    num_per_colour: int


GAMES = {
    "black-red": Game(BLACK_RED, ("red", "black"), 2),
    "black-blue-red": Game(BLACK_BLUE_RED, ("red", "black", "blue"), 1),
}


@dataclass(frozen=True, eq=False)
class Layout:
    """A map of ``H`` rows and ``W`` columns.

    Attributes:
        cells: ``[H, W]`` int32 kinds of cell (`Cell`).
        starts: ``[P, 2]`` int32 rows and columns of the start region.
    """

    cells: np.ndarray
    starts: np.ndarray


def parse_layout(text: str) -> Layout:
    """Returns the layout drawn in `text`, one line per row; `SYMBOLS` has the characters.

    >>> parse_layout("sT.\\n.#.\\n...").starts.tolist()
    [[0, 0]]
    """
    rows = [line.strip() for line in text.split("\n") if line.strip()]
    widths = {len(row) for row in rows}
    if len(widths) != 1 or len(rows) < 3 or min(widths) < 3:
        raise ValueError(
            "Expected a rectangular map of at least 3 x 3 cells, "
            f"got {len(rows)} rows of {sorted(widths)} cells. Pad it with walls ('#')."
        )
    characters = set("".join(rows))
    if unknown := sorted(characters - set(SYMBOLS)):
        raise ValueError(f"Expected a map of {''.join(SYMBOLS)!r}, got {unknown}. Replace those.")
    if missing := sorted({"T", "s"} - characters):
        raise ValueError(
            "Expected at least one target 'T' and one start cell 's' in the map, "
            f"got none of {missing}. Add one."
        )
    cells = np.array([[SYMBOLS[symbol] for symbol in row] for row in rows], np.int32)
    is_start = np.array([[symbol == "s" for symbol in row] for row in rows])
    return Layout(cells, np.argwhere(is_start).astype(np.int32))


def local_views(layout: Layout) -> np.ndarray:
    """Returns ``[H * W, 9 * kinds]`` float32: the 3x3 cells around each cell, one-hot.

    What lies outside the map looks like a wall.
    """
    padded = np.pad(layout.cells, 1, constant_values=Cell.WALL)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3))
    one_hot = np.eye(len(Cell), dtype=np.float32)[windows]
    return one_hot.reshape(layout.cells.size, 9 * len(Cell))
