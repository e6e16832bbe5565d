"""Who reused whose experience, as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec

from experiments.analysis.colours import Look
from experiments.analysis.curves import (
    add_legend,
    draw_lines,
    dress_over_steps,
    set_title,
    signed_looks,
)
from experiments.analysis.estimates import MEAN, average
from experiments.analysis.grids import PointLooks, point_looks
from experiments.analysis.panels import make_title
from experiments.analysis.results import Point, Result
from experiments.analysis.statistics import Curve, even_means

NUM_SNAPSHOTS = 4
LABELLED_SIZE = 6
"""Matrices up to this size show their numbers."""

NUM_BINS = 200
"""Points of a curve at most: neighbouring updates are averaged."""

MIN_DIVERGENCE = 1e-4
"""Where the colours of divergences, which are logarithmic, begin."""

DIVERGENCE, SAMPLE_SIZE = "reuse/divergence", "reuse/effective_sample_size"
"""What may be known of how far policies are apart."""


def has_reuse(result: Result) -> bool:
    """Returns whether there is something to see of reuse in a run.

    Somebody reused the experience of a policy not its own, or how far policies are apart was
    measured, which says why nobody did.
    """
    if result.own().all():  # There is one policy, or every agent acts with all of them.
        return False
    is_measured = result.has_matrix(DIVERGENCE) or result.has_matrix(SAMPLE_SIZE)
    return is_measured or bool(np.any(result.log.columns["reuse/num_admitted"] > 0))


def save_reuse(point: Point, path: Path) -> None:
    """Saves the reuse matrix M and the divergences D at moments of training, and what is admitted.

    Matrices are means over seeds at one grid point, until it diverged.  What was not recorded is
    left out.
    """
    result, updates = point.result, point.matrix_updates
    moments = np.unique(np.linspace(0, len(updates) - 1, NUM_SNAPSHOTS).round().astype(int))
    names = ["reuse/weight", *[DIVERGENCE] * result.has_matrix(DIVERGENCE)] * (len(updates) > 0)
    figure = Figure(figsize=(13, 3.2 * (len(names) + 1)), layout="constrained")
    # Two columns for each moment, so that the panels below can have half of the width each.
    grid = figure.add_gridspec(len(names) + 1, 2 * len(moments))
    for row, name in enumerate(names):
        matrices = point.matrices(name)[moments].mean(axis=1, dtype=np.float64)
        label, style = "reuse weight M", {"cmap": "Blues", "vmin": 0, "vmax": 1}
        if name == DIVERGENCE:
            label, style = "divergence D (nats)", _divergence_style(matrices)
        panels = [
            figure.add_subplot(grid[row, 2 * index : 2 * index + 2])
            for index in range(len(moments))
        ]
        for axes, matrix, update in zip(panels, matrices, updates[moments], strict=True):
            image = _draw_matrix(axes, matrix, result, style)
            axes.set_title(f"after {result.steps_after(update):,} steps")
        panels[0].set_ylabel(f"{label}\nlearner", fontsize=11)
        figure.colorbar(image, ax=panels, shrink=0.8)
    drawn = point_looks(result)
    signed = _draw_admitted(figure, grid, result, drawn)
    remarks = [f"matrices: {point.label}"] if result.config["swept"] else []
    remarks += ["mean over seeds"] if result.num_seeds > 1 else []
    title = make_title(result, ", ".join(remarks))
    set_title(figure, "\n".join(filter(None, [title, drawn.remark])))
    add_legend(figure, drawn.legend, signed)
    figure.savefig(path, dpi=110)


def _divergence_style(matrices: np.ndarray) -> dict[str, Any]:
    top = max(MIN_DIVERGENCE * 10, np.max(matrices, initial=0, where=np.isfinite(matrices)))
    return {"cmap": "viridis_r", "norm": LogNorm(MIN_DIVERGENCE, top, clip=True)}


def _draw_matrix(axes: Axes, matrix: np.ndarray, result: Result, style: Mapping[str, Any]) -> Any:
    """Draws learners (rows) against sources (columns), with numbers if there is room."""
    rows, columns = result.learners, result.agents
    image: Any = axes.imshow(matrix, aspect="auto", **style)
    step = max(1, len(columns) // 10)
    axes.set_xticks(range(0, len(columns), step), columns[::step], rotation=45, ha="right")
    axes.set_yticks(range(0, len(rows), step), rows[::step])
    axes.set_xlabel("source")
    if len(columns) <= LABELLED_SIZE:
        for (row, column), value in np.ndenumerate(matrix):
            colour = "white" if image.norm(value) > 0.55 else "black"
            axes.text(column, row, _number(value), ha="center", va="center", color=colour)
    return image


def _number(value: float) -> str:
    """Returns an entry of a matrix, short enough for its cell.

    >>> _number(0), _number(1e-5), _number(0.01234), _number(0.7), _number(12.34)
    ('0', '<1e-3', '0.012', '0.7', '12.3')
    """
    return "<1e-3" if 0 < value < 1e-3 else f"{round(value, 3):.3g}"


def _draw_admitted(
    figure: Figure, grid: GridSpec, result: Result, drawn: PointLooks
) -> Sequence[Look]:
    """Draws how many others are admitted, and effective sample sizes where they were recorded.

    Returns the looks that have signs.
    """
    own, looks = result.own(), drawn.looks.items()
    has_sample_size = result.has_matrix(SAMPLE_SIZE) and not own.all()
    last, half = grid.nrows - 1, grid.ncols // 2
    lines = [(_admitted(point), look) for point, look in looks]
    signed = signed_looks(lines)
    first = figure.add_subplot(grid[last, :half] if has_sample_size else grid[last, :])
    first.set_title("others admitted per learner")
    draw_lines(first, lines, signed)
    dress_over_steps(first)
    first.set_ylim(0, max(1.0, first.get_ylim()[1]))
    if has_sample_size:
        second = figure.add_subplot(grid[last, half:], sharex=first)
        second.set_title("effective sample size of others' experience (share)")
        lines = [(_sample_size_of_others(point, own), look) for point, look in looks]
        draw_lines(second, lines, signed)
        dress_over_steps(second)
        second.set_ylim(0, 1.03)
    return signed


def _admitted(point: Point) -> Curve:
    """Returns the number of others admitted, mean over learners."""
    ends, admitted = even_means(point.sound("reuse/num_admitted"), NUM_BINS)
    return Curve(point.result.steps_after(ends), *average(admitted, MEAN))


def _sample_size_of_others(point: Point, own: np.ndarray) -> Curve:
    """Returns the mean over sources that are not own, of policies in use."""
    ends, values = even_means(point.matrices(SAMPLE_SIZE), NUM_BINS)  # [bins, K, G, N]
    others = ~own & own.any(axis=-1, keepdims=True)
    count = np.maximum(others.sum(axis=(-2, -1)), 1)
    mean = np.where(others, values, 0.0).sum(axis=(-2, -1)) / count
    steps = point.result.steps_after(point.matrix_updates[ends - 1])
    return Curve(steps, *average(mean, MEAN))
