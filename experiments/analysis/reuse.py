"""Who reused whose experience, as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec

from experiments.analysis.curves import add_legend, draw_curve, dress_over_steps, set_title
from experiments.analysis.grids import PointLooks, point_looks
from experiments.analysis.panels import make_title
from experiments.analysis.results import Result
from experiments.analysis.statistics import Curve, curve_over_seeds, even_means

NUM_SNAPSHOTS = 4
LABELLED_SIZE = 6
"""Matrices up to this size show their numbers."""

NUM_BINS = 200
"""Points of a curve at most: neighbouring updates are averaged."""

MEASURES = ("divergence", "effective_sample_size")
"""What may be known of how far policies are apart."""

MIN_DIVERGENCE = 1e-4
"""Where the colours of divergences, which are logarithmic, begin."""


def has_reuse(result: Result) -> bool:
    """Returns whether there is something to see of reuse in a run.

    Somebody reused the experience of a policy not its own, or how far policies are apart was
    measured, which says why nobody did.
    """
    if result.own().all():  # There is one policy, or every agent acts with all of them.
        return False
    measured = (result.has_matrix(f"reuse/{name}") for name in MEASURES)
    return any(measured) or bool(np.any(result.columns["reuse/num_admitted"] > 0))


def save_reuse(result: Result, point: int, path: Path) -> None:
    """Saves the reuse matrix M and the divergences D at moments of training, and what is admitted.

    Matrices are means over seeds at one grid point, until it diverged.  What was not recorded is
    left out.
    """
    updates = result.matrix_updates(point)
    moments = np.unique(np.linspace(0, len(updates) - 1, NUM_SNAPSHOTS).round().astype(int))
    matrices = _matrices(result, point, moments) if len(updates) else ()
    height = 3.2 * (len(matrices) + 1)
    figure = Figure(figsize=(13, height), layout="constrained")
    # Two columns for each moment, so that the panels below can have half of the width each.
    grid = figure.add_gridspec(len(matrices) + 1, 2 * len(moments))
    if matrices:
        _draw_snapshots(figure, grid, result, updates[moments], matrices)
    drawn = point_looks(result)
    _draw_admitted(figure, grid, result, drawn)
    remarks = [
        *([f"matrices: {result.labels[point]}"] if result.config["swept"] else []),
        *(["mean over seeds"] if result.num_seeds > 1 else []),
    ]
    title = make_title(result, ", ".join(remarks))
    set_title(figure, "\n".join(filter(None, [title, drawn.remark])))
    add_legend(figure, drawn.entries)
    figure.savefig(path, dpi=110)


class Matrices(NamedTuple):
    """A matrix at moments of training, ``[moments, G, N]``, its name and how it is drawn."""

    name: str
    values: np.ndarray
    style: Mapping[str, Any]


def _matrices(result: Result, point: int, moments: np.ndarray) -> Sequence[Matrices]:
    """Returns the reuse matrices and the divergences at moments, where they were recorded."""

    def mean_over_seeds(name: str) -> np.ndarray:
        return result.matrices(name, point)[moments].mean(axis=1, dtype=np.float64)

    weight = mean_over_seeds("reuse/weight")
    found = [Matrices("reuse weight M", weight, {"cmap": "Blues", "vmin": 0, "vmax": 1})]
    if result.has_matrix("reuse/divergence"):
        divergence = mean_over_seeds("reuse/divergence")
        top = max(MIN_DIVERGENCE * 10, np.max(divergence, initial=0, where=np.isfinite(divergence)))
        style = {"cmap": "viridis_r", "norm": LogNorm(MIN_DIVERGENCE, top, clip=True)}
        found.append(Matrices("divergence D (nats)", divergence, style))
    return found


def _draw_snapshots(
    figure: Figure,
    grid: GridSpec,
    result: Result,
    updates: np.ndarray,
    all_matrices: Sequence[Matrices],
) -> None:
    """Draws matrices after these updates, one below the other."""
    for row, (name, matrices, style) in enumerate(all_matrices):
        panels = [
            figure.add_subplot(grid[row, 2 * index : 2 * index + 2])
            for index in range(len(updates))
        ]
        for axes, matrix, update in zip(panels, matrices, updates, strict=True):
            image = draw_matrix(axes, matrix, result.learners, result.agents, style)
            axes.set_title(f"after {result.steps_after(update):,} steps")
            axes.set_xlabel("source")
        panels[0].set_ylabel(f"{name}\nlearner", fontsize=11)
        figure.colorbar(image, ax=panels, shrink=0.8)


def draw_matrix(
    axes: Axes,
    matrix: np.ndarray,
    rows: Sequence[str],
    columns: Sequence[str],
    style: Mapping[str, Any],
) -> Any:
    """Draws learners (rows) against sources (columns), with numbers if there is room."""
    image: Any = axes.imshow(matrix, aspect="auto", **style)
    step = max(1, len(columns) // 10)
    axes.set_xticks(range(0, len(columns), step), columns[::step], rotation=45, ha="right")
    axes.set_yticks(range(0, len(rows), step), rows[::step])
    if len(columns) <= LABELLED_SIZE:
        for (row, column), value in np.ndenumerate(matrix):
            is_dark = image.norm(value) > 0.55
            colour = "white" if is_dark else "black"
            axes.text(column, row, _number(value), ha="center", va="center", color=colour)
    return image


def _number(value: float) -> str:
    """Returns an entry of a matrix, short enough for its cell.

    >>> _number(0), _number(1e-5), _number(0.01234), _number(0.7), _number(12.34)
    ('0', '<1e-3', '0.012', '0.7', '12.3')
    """
    return "<1e-3" if 0 < value < 1e-3 else f"{round(value, 3):.3g}"


def _draw_admitted(figure: Figure, grid: GridSpec, result: Result, drawn: PointLooks) -> None:
    """Draws how many others are admitted, and effective sample sizes where they were recorded."""
    own = result.own()
    has_sample_size = result.has_matrix("reuse/effective_sample_size") and not own.all()
    last, half = grid.nrows - 1, grid.ncols // 2
    first = figure.add_subplot(grid[last, :half] if has_sample_size else grid[last, :])
    panels = [first]
    if has_sample_size:
        panels.append(figure.add_subplot(grid[last, half:], sharex=first))
    for point in drawn.order:
        look = drawn.looks[point]
        ends, admitted = even_means(result.sound("reuse/num_admitted", point), NUM_BINS)
        draw_curve(first, curve_over_seeds(result.steps_after(ends), admitted), look)
        for axes in panels[1:]:
            draw_curve(axes, _sample_size_of_others(result, own, point), look)
    titles = ("others admitted per learner", "effective sample size of others' experience (share)")
    for axes, title in zip(panels, titles, strict=False):
        axes.set_title(title)
        dress_over_steps(axes)
        axes.set_ylim(bottom=0)
    first.set_ylim(top=max(1.0, first.get_ylim()[1]))
    for axes in panels[1:]:
        axes.set_ylim(0, 1.03)


def _sample_size_of_others(result: Result, own: np.ndarray, point: int) -> Curve:
    """Returns the mean over sources that are not own, of policies in use."""
    measured = result.matrices("reuse/effective_sample_size", point)
    ends, values = even_means(measured, NUM_BINS)  # [bins, K, G, N]
    others = ~own & own.any(axis=-1, keepdims=True)
    count = np.maximum(others.sum(axis=(-2, -1)), 1)
    mean = np.where(others, values, 0.0).sum(axis=(-2, -1)) / count
    return curve_over_seeds(result.steps_after(result.matrix_updates(point)[ends - 1]), mean)
