"""Pictures and animations of the maze, drawn with matplotlib; no window is needed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import jax
import matplotlib.pyplot as plt
import numpy as np
from jumanji.viewer import MatplotlibViewer
from matplotlib.animation import FuncAnimation
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle, Patch, Rectangle
from PIL import Image

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
START_COLOUR = "#d9efd3"
AGENT_COLOURS = {"red": "#d62728", "black": "#000000", "blue": "#1f5fbf"}


class MazeViewer(MatplotlibViewer[State]):  # pyright: ignore[reportInvalidTypeArguments]
    """Draws states of one layout with agents of the given colours."""

    def __init__(
        self, layout: Layout, agent_types: Sequence[str], render_mode: str = "rgb_array"
    ) -> None:
        """Makes a viewer; `render_mode` "human" shows a window, "rgb_array" only returns pixels."""
        # Figures are found by name: the id keeps viewers of different mazes apart.
        super().__init__(f"Maze {id(self)}", render_mode, figure_size=(6.0, 5.0))
        self._layout = layout
        self._agent_types = tuple(agent_types)
        self._is_shown = render_mode == "human"
        self._offsets = _circle_offsets(len(self._agent_types))
        self._circles: dict[str, list[Circle]] = {}

    def render(self, state: State, save_path: str | None = None) -> np.ndarray | None:
        """Returns the picture of `state`, ``[height, width, 4]`` uint8 (None in mode "human")."""
        fig, circles = self._get_canvas("")
        self._place(fig, circles, state)
        if save_path is not None:
            fig.savefig(save_path)
        pixels = self._display(fig)
        return None if pixels is None else pixels.copy()  # the canvas is painted over later

    def animate(
        self, states: Sequence[State], interval: int = 200, save_path: str | None = None
    ) -> FuncAnimation:
        """Returns an animation with `interval` milliseconds per state; saves a GIF if asked to."""
        states = jax.device_get(list(states))
        fig, circles = self._get_canvas("_animation")

        def draw(state: State) -> list[Artist]:
            return self._place(fig, circles, state)

        # The viewer keeps the animation: matplotlib stops one that is garbage collected.
        self._animation = FuncAnimation(fig, draw, frames=states, interval=interval, blit=True)
        fig.canvas.draw()  # starts it, and marks what moves, so that this paints only the map
        if save_path is not None:
            # The animation's own save would paint the whole map three times per frame.
            canvas: Any = fig.canvas
            background = canvas.copy_from_bbox(fig.bbox)
            first, *others = [_paint(canvas, background, draw(state)) for state in states]
            first.save(save_path, save_all=True, append_images=others, duration=interval, loop=0)
        return self._animation

    def close(self) -> None:
        """Closes the figures."""
        for suffix in self._circles:
            plt.close(self._name + suffix)
        self._circles.clear()

    def _get_canvas(self, suffix: str) -> tuple[Figure, list[Circle]]:
        """Returns a figure with the map already drawn, and the agents, which alone move."""
        fig, ax = self._get_fig_ax(suffix, show=self._is_shown)
        if suffix not in self._circles:
            _draw_map(ax, self._layout)
            ax.set_title(" ")
            handles = _legend(self._layout, self._agent_types)
            ax.legend(handles=handles, loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
            self._circles[suffix] = [
                Circle((0, 0), 0.17, fc=AGENT_COLOURS[colour], ec="white")
                for colour in self._agent_types
            ]
            for circle in self._circles[suffix]:
                ax.add_patch(circle)
            fig.canvas.draw()
            fig.set_layout_engine("none")  # laying out anew would slow each frame
        return fig, self._circles[suffix]

    def _place(self, fig: Figure, circles: list[Circle], state: State) -> list[Artist]:
        """Moves the agents to where they are in `state` and returns what has changed."""
        rows, columns = np.divmod(np.asarray(state.location), self._layout.cells.shape[1])
        centres = np.stack([columns, rows], axis=-1) + self._offsets
        for circle, centre in zip(circles, centres, strict=True):
            circle.center = tuple(centre)
        title = fig.axes[0].title
        arrived = int(np.sum(state.arrived))
        title.set_text(f"step {int(state.step_count)}   arrived {arrived}/{len(circles)}")
        return [*circles, title]


def _paint(canvas: Any, background: Any, artists: Sequence[Artist]) -> Image.Image:
    """Returns the picture of `artists` on a background kept from earlier."""
    canvas.restore_region(background)
    for artist in artists:
        artist.draw(canvas.get_renderer())
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")


def _circle_offsets(num_agents: int) -> np.ndarray:
    """Returns ``[N, 2]`` places around a cell's centre, so that agents in one cell all show."""
    angles = np.pi * (0.25 + 2 * np.arange(num_agents) / num_agents)
    radius = 0.25 if num_agents > 1 else 0.0
    return radius * np.stack([np.cos(angles), np.sin(angles)], axis=-1)


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
        Patch(
            facecolor=CELL_COLOURS[kind],
            edgecolor="grey",
            label=kind.name.lower().replace("_", " "),
        )
        for kind in kinds
    ]
    start = Patch(facecolor=START_COLOUR, edgecolor="grey", label="start")
    agents = [
        Line2D([], [], ls="", marker="o", color=AGENT_COLOURS[colour], label=f"{count} {colour}")
        for colour, count in Counter(agent_types).items()
    ]
    return [*cells, start, *agents]
