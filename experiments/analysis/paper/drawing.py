"""Figures for print: figure.png and figure.pdf."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D

from experiments.analysis.curves import COLOURS, draw_curve, short_number
from experiments.analysis.paper.claims import THRESHOLD, gain_of
from experiments.analysis.paper.evidence import Outcome
from experiments.analysis.statistics import estimate

STYLE: Any = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "lines.linewidth": 1.2,
    "legend.frameon": False,
    "pdf.fonttype": 42,  # Text stays text.
    "savefig.dpi": 200,
}

NAMES = {
    "return": "episode return",
    "success": "success rate",
    "path_optimality": "shortest / taken path",
}
"""What the axes call the metrics that are drawn."""

COLUMN_INCHES = 3.4
"""Width of a journal's column."""


def save_figure(outcome: Outcome, directory: Path) -> None:
    """Saves the figure as figure.png and figure.pdf."""
    draw = {"curves": _draw_curves, "bars": _draw_bars, "sizes": _draw_sizes}
    with mpl.rc_context(STYLE):
        canvas = draw[outcome.figure.kind](outcome)
        canvas.suptitle(outcome.figure.title, fontsize=9)
        canvas.supxlabel(outcome.caption, fontsize=7, color="0.35")
        canvas.savefig(directory / "figure.png")
        # Without the date the same numbers make the same file.
        canvas.savefig(directory / "figure.pdf", metadata={"CreationDate": None})


def _canvas(num_panels: int, height: float) -> tuple[Canvas, Any]:
    size = (COLUMN_INCHES * num_panels, height)
    canvas = Canvas(figsize=size, layout="constrained")
    return canvas, canvas.subplots(1, num_panels, squeeze=False)[0]


def _draw_curves(outcome: Outcome) -> Canvas:
    """Draws the return and the share of the optimum over environment steps."""
    metrics = ("return", outcome.figure.metric)
    canvas, panels = _canvas(len(metrics), 2.8)
    for axes, metric in zip(panels, metrics, strict=True):
        for index, series in enumerate(outcome.series):
            draw_curve(axes, series.curve(metric), index)
        axes.set_xlabel("environment steps per seed")
        axes.set_ylabel(NAMES[metric])
        axes.xaxis.set_major_formatter(lambda x, _: short_number(x))
        axes.locator_params(axis="x", nbins=5)
    panels[1].axhline(THRESHOLD, color="0.5", ls=":", lw=0.8)
    panels[1].set_ylim(-0.02, 1.03)
    handles, _ = panels[0].get_legend_handles_labels()
    labels = [series.label for series in outcome.series]
    canvas.legend(handles, labels, loc="outside right center")
    return canvas


def _draw_bars(outcome: Outcome) -> Canvas:
    """Draws the end of each series as a bar, its seeds as dots."""
    metrics = ("return", outcome.figure.metric)
    canvas, panels = _canvas(len(metrics), 2.6)
    for axes, metric in zip(panels, metrics, strict=True):
        for index, series in enumerate(outcome.series):
            seeds = series.ends(metric)
            centre = estimate(seeds)
            axes.bar(index, centre.value, 0.6, color=COLOURS[index], alpha=0.55)
            axes.vlines(index, centre.low, centre.high, color="black", lw=1.2)
            spread = np.linspace(-0.15, 0.15, len(seeds)) if len(seeds) > 1 else [0]
            axes.scatter(index + np.array(spread), seeds, s=8, color=COLOURS[index], zorder=3)
        axes.set_xticks(range(len(outcome.series)), [s.label for s in outcome.series])
        axes.set_ylabel(f"{NAMES[metric]}, at the end")
    panels[1].axhline(THRESHOLD, color="0.5", ls=":", lw=0.8)
    panels[1].set_ylim(0, 1.03)
    return canvas


def _draw_sizes(outcome: Outcome) -> Canvas:
    """Draws steps to the threshold, and their ratio, over the number of agents."""
    canvas, (steps_axes, gain_axes) = _canvas(2, 2.8)
    found, has_censored = outcome.by_label(), False
    for index, name in enumerate(("oappo", "happo")):
        points = [
            (size, found[pair[index]].measured)
            for size, pair in outcome.figure.pairs
            if pair[index] in found
        ]
        centres = [estimate(measured.steps) for _, measured in points]
        _draw_points(steps_axes, [size for size, _ in points], centres, index, name)
        _mark_censored(steps_axes, points, COLOURS[index])
        has_censored |= not all(measured.reached.all() for _, measured in points)
    gains = [
        (size, gain_of(found[fast].measured, found[slow].measured))
        for size, (fast, slow) in outcome.figure.pairs
        if fast in found and slow in found
    ]
    _draw_points(gain_axes, [size for size, _ in gains], [gain for _, gain in gains], 2, "")
    gain_axes.axhline(1, color="0.5", ls=":", lw=0.8)
    gain_axes.set_ylabel("steps, HAPPO / OAPPO (ratio of means)")
    steps_axes.set_ylabel(f"steps to {THRESHOLD:g} of the optimum (IQM)")
    steps_axes.yaxis.set_major_formatter(lambda y, _: short_number(y))
    steps_axes.set_ylim(bottom=0)
    handles, labels = steps_axes.get_legend_handles_labels()
    if has_censored:
        handles.append(Line2D([], [], ls="", marker="^", markersize=6, color="0.4"))
        labels.append("a seed did not reach it")
    steps_axes.legend(handles, labels)
    for axes in (steps_axes, gain_axes):
        sizes = [size for size, _ in outcome.figure.pairs]
        axes.set_xscale("log", base=2)
        axes.set_xticks(sizes, [str(size) for size in sizes])
        axes.set_xlabel("agents")
    return canvas


def _draw_points(axes: Any, sizes: list[int], centres: list, index: int, label: str) -> None:
    values = [centre.value for centre in centres]
    low = [centre.low for centre in centres]
    high = [centre.high for centre in centres]
    colour = COLOURS[index]
    axes.plot(sizes, values, marker="o", markersize=3, color=colour, label=label)
    axes.fill_between(sizes, low, high, color=colour, alpha=0.2, lw=0)


def _mark_censored(axes: Any, points: list, colour: str) -> None:
    """Puts a triangle where some seed never reached the threshold: the truth is higher."""
    for size, measured in points:
        if not measured.reached.all():
            height = estimate(measured.steps).value
            axes.plot(size, height, marker="^", markersize=6, color=colour)
