"""Who reused whose experience, as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from experiments.analysis.curves import (
    Curve,
    draw_curve,
    interval,
    make_title,
    point_labels,
    short_number,
)
from experiments.analysis.legends import draw_legend, with_legend
from experiments.training.settings.experiment import Experiment

NUM_SNAPSHOTS = 4
LABELLED_SIZE = 6
"""Matrices up to this size show their numbers."""

MIN_DIVERGENCE = 1e-4
"""Where the colours of divergences, which are logarithmic, begin."""


def save_reuse(experiment: Experiment, history: Mapping[str, np.ndarray], path: Path) -> None:
    """Saves the reuse matrix M and the divergences D at moments of training, and what is admitted.

    Matrices are means over seeds at the first grid point.
    """
    labels = point_labels(experiment)
    width, height = with_legend(13, 3.1, labels)
    figure = Figure(figsize=(width, 6.4 + height), layout="constrained")
    subfigures: Any = figure.subfigures(2, 1, height_ratios=(6.4, height))
    _draw_snapshots(subfigures[0], experiment, history)
    axes = _draw_admitted(subfigures[1], experiment, history)
    draw_legend(subfigures[1], axes, labels, width)
    remarks = [
        *([f"matrices: {experiment.label(0)}"] if experiment.swept else []),
        *(["mean over seeds"] if len(experiment.seeds) > 1 else []),
    ]
    figure.suptitle(make_title(experiment, ", ".join(remarks)))
    figure.savefig(path, dpi=110)


def _draw_snapshots(figure: Any, experiment: Experiment, history: Mapping[str, np.ndarray]) -> None:
    """Draws both matrices, one below the other, at evenly spaced updates."""
    weight = history["reuse/weight"][:, 0].mean(axis=1)
    divergence = history["reuse/divergence"][:, 0].mean(axis=1)
    top = max(MIN_DIVERGENCE * 10, float(divergence.max()))
    weight_style = {"cmap": "Blues", "vmin": 0, "vmax": 1}
    divergence_style = {"cmap": "viridis_r", "norm": LogNorm(MIN_DIVERGENCE, top)}
    moments = np.unique(np.linspace(0, len(weight) - 1, NUM_SNAPSHOTS).round().astype(int))
    panels = figure.subplots(2, len(moments), squeeze=False)
    rows = (
        ("reuse weight M", weight, weight_style),
        ("divergence D (nats)", divergence, divergence_style),
    )
    learners, agents = _axis_labels(experiment)
    for row, (name, matrices, style) in zip(panels, rows, strict=True):
        for axes, moment in zip(row, moments, strict=True):
            image = draw_matrix(axes, matrices[moment], learners, agents, style)
            steps = (moment + 1) * experiment.config.steps_per_update
            axes.set_title(f"after {short_number(steps)} steps")
            axes.set_xlabel("source")
        row[0].set_ylabel(f"{name}\nlearner", fontsize=11)
        figure.colorbar(image, ax=row, shrink=0.8)


def _axis_labels(experiment: Experiment) -> tuple[list[str], list[str]]:
    """Returns names of the learners and of the sources."""
    agents = [f"{kind} {index}" for index, kind in enumerate(experiment.trainer.env.agent_types)]
    num_learners = len(experiment.trainer.learner.own)
    if num_learners == len(agents) and not experiment.algorithm.finds_clusters:
        return agents, agents
    return [f"policy {index}" for index in range(num_learners)], agents


def draw_matrix(
    axes: Axes,
    matrix: np.ndarray,
    rows: Sequence[str],
    columns: Sequence[str],
    style: Mapping[str, Any],
) -> Any:
    """Draws learners (rows) against sources (columns), with numbers if there is room."""
    shown = np.maximum(matrix, MIN_DIVERGENCE) if "norm" in style else matrix
    image = axes.imshow(shown, aspect="auto", **style)
    step = max(1, len(columns) // 10)
    axes.set_xticks(range(0, len(columns), step), columns[::step], rotation=45, ha="right")
    axes.set_yticks(range(0, len(rows), step), rows[::step])
    if len(columns) <= LABELLED_SIZE:
        for (row, column), value in np.ndenumerate(matrix):
            shade: Any = image.norm(shown[row, column])
            dark = shade > 0.55
            colour = "white" if dark else "black"
            axes.text(column, row, _number(value), ha="center", va="center", color=colour)
    return image


def _draw_admitted(figure: Any, experiment: Experiment, history: Mapping[str, np.ndarray]) -> Axes:
    """Draws how many others are admitted, and the effective sample size of others' experience.

    Returns the first panel, which has a curve per grid point.
    """
    panels = figure.subplots(1, 2)
    own = _own(experiment, history)
    sample_size = history["reuse/effective_sample_size"]
    steps = np.arange(1, len(sample_size) + 1) * experiment.config.steps_per_update
    for point in range(len(experiment.points)):
        admitted = history["reuse/num_admitted"][:, point]
        draw_curve(panels[0], Curve(steps, *interval(admitted)), point)
        if not own.all():
            others = _mean_over_others(sample_size[:, point], own)
            draw_curve(panels[1], Curve(steps, *interval(others)), point)
    titles = ("others admitted per learner", "effective sample size of others' experience (share)")
    for axes, title in zip(panels, titles, strict=True):
        axes.set_title(title)
        axes.set_xlabel("environment steps per seed")
        axes.xaxis.set_major_formatter(lambda x, _: short_number(x))
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_ylim(bottom=0)
    panels[0].set_ylim(top=max(1.0, panels[0].get_ylim()[1]))
    panels[1].set_ylim(0, 1.03)
    if own.all():
        remark = "no others: all agents act with one policy"
        panels[1].text(0.5, 0.5, remark, transform=panels[1].transAxes, ha="center", color="grey")
    return panels[0]


def _own(experiment: Experiment, history: Mapping[str, np.ndarray]) -> np.ndarray:
    """Returns where agent n acts with policy g, ``[G, N]``, or ``[K, G, N]`` if seeds differ."""
    if experiment.algorithm.finds_clusters:
        return history["reuse/weight"][0, 0] > 0  # Whoever is grouped uses own experience alone.
    return experiment.trainer.learner.own


def _mean_over_others(values: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Returns the mean of ``[U, K, G, N]`` over sources that are not own, of policies in use."""
    others = ~own & own.any(axis=-1, keepdims=True)
    count = np.maximum(others.sum(axis=(-2, -1)), 1)
    return np.where(others, values, 0.0).sum(axis=(-2, -1)) / count


def _number(value: float) -> str:
    """Returns an entry of a matrix, short enough for its cell.

    >>> _number(0), _number(1e-5), _number(0.01234), _number(0.7), _number(12.3)
    ('0', '<1e-3', '0.012', '0.70', '12.3')
    """
    if value == 0:
        return "0"
    if value < 1e-3:
        return "<1e-3"
    return f"{value:.3f}" if value < 0.1 else f"{value:.3g}" if value >= 1 else f"{value:.2f}"
