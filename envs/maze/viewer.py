"""Pictures of the maze, drawn with matplotlib; no window is needed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle, Patch, Rectangle

from envs.maze.layouts import Layout
from envs.maze.types import Cell, State

CELL_COLOURS = {
    Cell.OPEN: "#f7f5ef",
    Cell.WALL: "#8c8c8c",
    Cell.RED: "#f2a6a0",
    Cell.BLACK: "#4a4a4a",
    Cell.BLUE_TRAP: "#9cc3ec",
    Cell.TARGET: "#f4d35e",
}
CELL_NAMES = {
    Cell.OPEN: "open",
    Cell.WALL: "wall",
    Cell.RED: "red only",
    Cell.BLACK: "black only",
    Cell.BLUE_TRAP: "all but blue",
    Cell.TARGET: "target",
}
"""What the legend calls them: by whom they may be entered."""

START_COLOUR = "#d9efd3"
AGENT_COLOURS = {"red": "#d62728", "black": "#000000", "blue": "#1f5fbf"}

MAP_INCHES, LEGEND_INCHES, TITLE_INCHES = 4.0, 1.6, 0.35


class MazeViewer:
    """Draws states of one layout with agents of the given colours."""

    def __init__(self, layout: Layout, agent_types: Sequence[str]) -> None:
        num_rows, self._width = num_shown_rows(layout), layout.cells.shape[1]
        height = MAP_INCHES * num_rows / self._width + TITLE_INCHES
        figure = Figure(figsize=(MAP_INCHES + LEGEND_INCHES, height), layout="constrained")
        self._canvas = FigureCanvasAgg(figure)
        self._offsets = _circle_offsets(len(agent_types))
        ax = figure.add_subplot()
        _draw_map(ax, layout)
        ax.set_ylim(num_rows - 0.5, -0.5)
        self._title = ax.set_title(" ")
        handles = _legend(layout, agent_types)
        ax.legend(
            handles=handles,
            loc="center left",
            bbox_to_anchor=(1, 0.5),
            borderaxespad=0,
            borderpad=1,
            frameon=False,
        )
        self._circles = [
            Circle((0, 0), 0.17, fc=AGENT_COLOURS[colour], ec="white", animated=True)
            for colour in agent_types
        ]
        for circle in self._circles:
            ax.add_patch(circle)
        self._title.set_animated(True)
        # The map is painted once; what is animated is left out of it, and alone painted anew.
        self._canvas.draw()
        self._map: Any = self._canvas.copy_from_bbox(figure.bbox)

    def render(self, state: State, camera: None = None) -> np.ndarray:
        """Returns ``[H, W, 3]`` uint8: the map, the agents, and how many have arrived."""
        rows, columns = np.divmod(np.asarray(state.location), self._width)
        centres = np.stack([columns, rows], axis=-1) + self._offsets
        self._title.set_text(f"arrived {int(np.sum(state.arrived))}/{len(self._circles)}")
        self._canvas.restore_region(self._map)
        for circle, centre in zip(self._circles, centres, strict=True):
            circle.center = tuple(centre)
            circle.draw(self._canvas.get_renderer())
        self._title.draw(self._canvas.get_renderer())
        return np.array(self._canvas.buffer_rgba())[..., :3]  # The canvas is painted over later.

    def follow(self, states: Sequence[State]) -> None:
        """Returns None: all of the map is shown always."""


def _circle_offsets(num_agents: int) -> np.ndarray:
    """Returns ``[N, 2]`` places around a cell's centre, so that agents in one cell all show."""
    angles = np.pi * (0.25 + 2 * np.arange(num_agents) / num_agents)
    radius = 0.25 if num_agents > 1 else 0.0
    return radius * np.stack([np.cos(angles), np.sin(angles)], axis=-1)


def num_shown_rows(layout: Layout) -> int:
    """Returns how many rows are shown: of those of walls alone at the bottom, one.

    >>> from envs.maze.layouts import parse_layout
    >>> num_shown_rows(parse_layout("sT. ### ###".replace(" ", "\\n")))
    2
    """
    is_open = (layout.cells != Cell.WALL).any(axis=1)
    return min(int(np.flatnonzero(is_open)[-1]) + 2, len(is_open))


def _draw_map(ax: Axes, layout: Layout) -> None:
    height, width = layout.cells.shape
    ax.imshow(
        layout.cells, cmap=ListedColormap(list(CELL_COLOURS.values())), vmin=0, vmax=len(Cell) - 1
    )
    for row, column in layout.starts:
        ax.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, color=START_COLOUR))
    for row, column in np.argwhere(layout.cells == Cell.TARGET):
        ax.text(column, row, "T", ha="center", va="center", fontsize=14, weight="bold")
    ax.set_xticks(np.arange(width + 1) - 0.5, [])
    ax.set_yticks(np.arange(height + 1) - 0.5, [])
    ax.grid(color="white", linewidth=1)
    ax.tick_params(length=0)


def _legend(layout: Layout, agent_types: Sequence[str]) -> list[Artist]:
    kinds = [kind for kind in Cell if kind in layout.cells]
    cells = [
        Patch(facecolor=CELL_COLOURS[kind], edgecolor="grey", label=CELL_NAMES[kind])
        for kind in kinds
    ]
    start = Patch(facecolor=START_COLOUR, edgecolor="grey", label="start")
    agents = [
        Line2D([], [], ls="", marker="o", color=AGENT_COLOURS[colour], label=f"{count} {colour}")
        for colour, count in Counter(agent_types).items()
    ]
    return [*cells, start, *agents]
