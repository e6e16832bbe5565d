"""The pictures of an animation that jumanji makes with matplotlib."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.animation import AbstractMovieWriter, Animation
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

WIDTH_PIXELS = 600
"""Of a picture."""


class FrameCollector(AbstractMovieWriter):
    """Keeps each picture of an animation, ``[H, W, 3]`` uint8 in ``frames``, and writes nothing."""

    def setup(self, fig: Figure, outfile: Any, dpi: float | None = None) -> None:
        """Begins with no picture; the signature is matplotlib's."""
        fig.set_dpi(WIDTH_PIXELS / fig.get_figwidth())
        self.fig = fig
        self.frames: list[np.ndarray] = []

    def grab_frame(self, **savefig_kwargs: Any) -> None:
        """Keeps what the figure shows now."""
        canvas = FigureCanvasAgg(self.fig)
        canvas.draw()
        self.frames.append(np.array(canvas.buffer_rgba())[..., :3])

    def finish(self) -> None:
        """Does nothing, as no file is open."""


def draw_frames(animation: Animation) -> list[np.ndarray]:
    """Returns the pictures of an animation, ``[H, W, 3]`` uint8 each."""
    collector = FrameCollector()
    animation.save("frames", writer=collector)  # The name of a file that is never opened.
    return collector.frames
