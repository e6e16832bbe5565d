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

from experiments.analysis.curves import (
    add_legend,
    draw_curve,
    dress_over_steps,
    make_title,
    point_labels,
)
from experiments.analysis.results import Result
from experiments.analysis.statistics import curve_over_seeds

NUM_SNAPSHOTS = 4
LABELLED_SIZE = 6
"""Matrices up to this size show their numbers."""

MIN_DIVERGENCE = 1e-4
"""Where the colours of divergences, which are logarithmic, begin."""


def save_reuse(result: Result, point: int, path: Path) -> None:
    """Saves the reuse matrix M and the divergences D at moments of training, and what is admitted.

    Matrices are means over seeds at one grid point, until it diverged.
    """
    last = max(result.num_sound(point), 1) - 1
    moments = np.unique(np.linspace(0, last, NUM_SNAPSHOTS).round().astype(int))
    figure = Figure(figsize=(13, 9.5), layout="constrained")
    # Two columns for each moment, so that the panels below can have half of the width each.
    grid = figure.add_gridspec(3, 2 * len(moments))
    _draw_snapshots(figure, grid, result, point, moments)
    axes = _draw_admitted(figure, grid, result)
    remarks = [
        *([f"matrices: {result.label(point)}"] if result.config["swept"] else []),
        *(["mean over seeds"] if result.num_seeds > 1 else []),
    ]
    figure.suptitle(make_title(result, ", ".join(remarks)))
    add_legend(figure, axes)
    figure.savefig(path, dpi=110)


def _draw_snapshots(
    figure: Figure, grid: GridSpec, result: Result, point: int, moments: np.ndarray
) -> None:
    """Draws both matrices of a grid point, one below the other, after some updates."""
    weight, divergence = (result.matrices(f"reuse/{n}", point) for n in ("weight", "divergence"))
    top = max(MIN_DIVERGENCE * 10, np.max(divergence, initial=0, where=np.isfinite(divergence)))
    rows: tuple[tuple[str, np.ndarray, Any], ...] = (
        ("reuse weight M", weight, {"cmap": "Blues", "vmin": 0, "vmax": 1}),
        (
            "divergence D (nats)",
            divergence,
            {"cmap": "viridis_r", "norm": LogNorm(MIN_DIVERGENCE, top, clip=True)},
        ),
    )
    for row, (name, matrices, style) in enumerate(rows):
        panels = [
            figure.add_subplot(grid[row, 2 * index : 2 * index + 2])
            for index in range(len(moments))
        ]
        for axes, moment in zip(panels, moments, strict=True):
            image = draw_matrix(axes, matrices[moment], result.learners, result.agents, style)
            axes.set_title(f"after {result.steps_after(moment + 1):,} steps")
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


def _draw_admitted(figure: Figure, grid: GridSpec, result: Result) -> Axes:
    """Draws how many others are admitted, and the effective sample size of others' experience.

    Returns the first panel, which has a curve per grid point.
    """
    half = grid.ncols // 2
    first = figure.add_subplot(grid[2, :half])
    panels = [first, figure.add_subplot(grid[2, half:], sharex=first)]
    own = result.own()
    steps = result.steps_after(np.arange(1, result.num_updates + 1))
    for point, label in enumerate(point_labels(result)):
        sound = slice(result.num_sound(point))
        admitted = result.columns["reuse/num_admitted"][sound, point]
        draw_curve(panels[0], curve_over_seeds(steps[sound], admitted), point, label)
        if not own.all():
            sample_size = result.seed_matrices("reuse/effective_sample_size", point)[sound]
            others = _mean_over_others(sample_size, own)
            draw_curve(panels[1], curve_over_seeds(steps[sound], others), point, label)
    titles = ("others admitted per learner", "effective sample size of others' experience (share)")
    for axes, title in zip(panels, titles, strict=True):
        axes.set_title(title)
        dress_over_steps(axes)
        axes.set_ylim(bottom=0)
    first.set_ylim(top=max(1.0, first.get_ylim()[1]))
    panels[1].set_ylim(0, 1.03)
    if own.all():
        remark = "no others: all agents act with one policy"
        panels[1].text(0.5, 0.5, remark, transform=panels[1].transAxes, ha="center", color="grey")
    return first


def _mean_over_others(values: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Returns the mean of ``[U, K, G, N]`` over sources that are not own, of policies in use."""
    others = ~own & own.any(axis=-1, keepdims=True)
    count = np.maximum(others.sum(axis=(-2, -1)), 1)
    return np.where(others, values, 0.0).sum(axis=(-2, -1)) / count
