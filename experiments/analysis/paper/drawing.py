"""Figures for print: figure.png and figure.pdf."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter

from experiments.analysis.colours import Look, look_of
from experiments.analysis.curves import Mark, draw_curve, draw_curves
from experiments.analysis.estimates import IQM, Estimate, estimate
from experiments.analysis.paper.claims import THRESHOLD, Measured, gain_of
from experiments.analysis.paper.evidence import Outcome, looks_of
from experiments.analysis.statistics import Curve

STYLE: Any = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "lines.linewidth": 1.2,
    "legend.frameon": False,
    "figure.titlesize": 9,
    "pdf.fonttype": 42,  # Text stays text.
    "savefig.dpi": 200,
}

NAMES = {
    "return": "episode return",
    "success": "success rate",
    "path_optimality": "shortest / taken path",
}
"""What the axes call the metrics that are drawn."""

PAIR = ("oappo", "happo")
"""Who is compared over sizes: who should be fast, and who slow."""

PANEL_INCHES = (3.4, 2.8)
"""As wide as a journal's column."""


def save_figure(outcome: Outcome, directory: Path) -> None:
    """Saves the figure as figure.png and figure.pdf."""
    draw = {"curves": _draw_curves, "bars": _draw_bars, "sizes": _draw_sizes}
    with mpl.rc_context(STYLE):
        canvas = draw[outcome.figure.kind](outcome)
        canvas.suptitle(outcome.figure.title)
        canvas.supxlabel(outcome.caption, fontsize=7, color="0.35")
        canvas.savefig(directory / "figure.png")
        # Without the date the same numbers make the same file.
        canvas.savefig(directory / "figure.pdf", metadata={"CreationDate": None})


def _two_panels() -> tuple[Canvas, Axes, Axes]:
    width, height = PANEL_INCHES
    canvas = Canvas(figsize=(2 * width, height), layout="constrained")
    return canvas, *canvas.subplots(1, 2)


def _draw_curves(outcome: Outcome) -> Canvas:
    """Draws the return and the share of the optimum over environment steps."""
    drawn = [*zip(outcome.series, looks_of(outcome), strict=True)]
    return draw_curves(
        {
            metric: [(one.result.curve(metric, one.point, IQM), look) for one, look in drawn]
            for metric in ("return", outcome.figure.metric)
        },
        [(series.label, look) for series, look in drawn],
        title=outcome.figure.title,
        names=NAMES,
        marks={outcome.figure.metric: Mark(THRESHOLD)},
        panel_inches=PANEL_INCHES,
    )


def _draw_bars(outcome: Outcome) -> Canvas:
    """Draws the end of each series as a bar, its seeds as dots."""
    canvas, *panels = _two_panels()
    looks = looks_of(outcome)
    for axes, metric in zip(panels, ("return", outcome.figure.metric), strict=True):
        for index, series in enumerate(outcome.series):
            seeds, colour = series.ends(metric), looks[index].colour
            centre = estimate(seeds)
            axes.bar(index, centre.value, 0.6, color=colour, alpha=0.55)
            axes.vlines(index, centre.low, centre.high, color="black", lw=1.2)
            spread = np.linspace(-0.15, 0.15, len(seeds)) if len(seeds) > 1 else np.zeros(1)
            axes.scatter(index + spread, seeds, s=8, color=colour, zorder=3)
        axes.set_xticks(range(len(outcome.series)), [series.label for series in outcome.series])
        axes.set_ylabel(f"{NAMES[metric]}, at the end")
    panels[1].axhline(THRESHOLD, color="0.5", ls=":", lw=0.8)
    panels[1].set_ylim(0, 1.03)
    return canvas


def _draw_sizes(outcome: Outcome) -> Canvas:
    """Draws steps to the threshold, and their ratio, over the number of agents."""
    canvas, steps_axes, gain_axes = _two_panels()
    found = outcome.measured
    sizes = [size for size, _ in outcome.figure.pairs]
    for index, name in enumerate(PAIR):
        teams = {size: pair[index] for size, pair in outcome.figure.pairs if pair[index] in found}
        found_by_size = {size: found[team] for size, team in teams.items()}
        _draw_steps(steps_axes, found_by_size, look_of(name))
    gains = {
        size: gain_of(found[fast], found[slow])
        for size, (fast, slow) in outcome.figure.pairs
        if fast in found and slow in found
    }
    _draw_estimates(gain_axes, gains, Look("0.3"))
    gain_axes.axhline(1, color="0.5", ls=":", lw=0.8)
    gain_axes.set_ylabel("steps, HAPPO / OAPPO\n(ratio of means)")
    steps_axes.set_ylabel(f"steps to {THRESHOLD:g} of the optimum (IQM)")
    steps_axes.yaxis.set_major_formatter(EngFormatter(sep=""))
    steps_axes.set_ylim(bottom=0)
    labels = [*PAIR]
    handles = [Line2D([], [], color=look_of(name).colour) for name in PAIR]
    if any(one.num_censored for one in found.values()):
        handles.append(Line2D([], [], ls="", marker="^", markersize=6, color="0.4"))
        labels.append("a seed did not reach it")
    steps_axes.legend(handles, labels)
    for axes in (steps_axes, gain_axes):
        axes.set_xscale("log", base=2)
        axes.set_xticks(sizes, [str(size) for size in sizes])
        axes.set_xlabel("agents")
    return canvas


def _draw_steps(axes: Axes, measured: Mapping[int, Measured], look: Look) -> None:
    """Draws steps over sizes; a triangle where a seed never got there: the truth is higher."""
    centres = {size: estimate(one.steps) for size, one in measured.items()}
    _draw_estimates(axes, centres, look)
    for size, one in measured.items():
        if one.num_censored:
            axes.plot(size, centres[size].value, "^", markersize=6, color=look.colour)


def _draw_estimates(axes: Axes, centres: Mapping[int, Estimate], look: Look) -> None:
    values, low, high = (np.array([one[part] for one in centres.values()]) for part in range(3))
    draw_curve(axes, Curve(np.array([*centres]), values, low, high), look)
    axes.plot([*centres], values, "o", markersize=3, color=look.colour)
