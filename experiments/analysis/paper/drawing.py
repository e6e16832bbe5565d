"""Figures for print: figure.png and figure.pdf."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter

from experiments.analysis.colours import ESTIMATORS, Look, look_of
from experiments.analysis.curves import Mark, add_legend, draw_curve, draw_curves
from experiments.analysis.estimates import IQM, estimate
from experiments.analysis.paper.claims import THRESHOLD, Measured
from experiments.analysis.paper.outcome import Outcome
from experiments.analysis.paper.plans import team_label
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

METHOD_NAMES = {"happo": "HAPPO"} | {name: f"OAPPO, {name}" for name in ESTIMATORS}
"""What the legend calls the methods that are compared over sizes."""

LOOKS = {"happo": look_of("happo")._replace(marker="o"), **ESTIMATORS}
"""How the methods are drawn that are compared over sizes."""

SIDESTEP = 0.06
"""How far methods stand apart at a size, in doublings of it."""

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
    drawn = [*zip(outcome.series, outcome.looks, strict=True)]
    return draw_curves(
        {
            metric: [(one.point.curve(metric, IQM), look) for one, look in drawn]
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
    looks = outcome.looks
    for axes, metric in zip(panels, ("return", outcome.figure.metric), strict=True):
        for index, series in enumerate(outcome.series):
            seeds, colour = series.point.ends(metric), looks[index].colour
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
    """Draws steps and seconds to the threshold over the number of agents, a line per method.

    Steps have an axis from 0, seconds one on which equal ratios are equally far apart.
    """
    canvas, steps_axes, seconds_axes = _two_panels()
    figure, found = outcome.figure, outcome.measured
    for axes, quantity in ((steps_axes, "steps"), (seconds_axes, "seconds")):
        for place, method in enumerate(figure.methods):
            # Side by side, so that no interval hides another.
            aside = 2 ** (SIDESTEP * (place - (len(figure.methods) - 1) / 2))
            labels = {size * aside: team_label(method, size) for size in figure.sizes}
            teams = {size: found[label] for size, label in labels.items() if label in found}
            _draw_method(axes, teams, LOOKS[method], quantity)
        axes.set_xscale("log", base=2)
        axes.set_xticks(figure.sizes, [str(size) for size in figure.sizes])
        axes.set_xlabel("agents")
        axes.set_ylabel(f"{quantity} to {THRESHOLD:g} of the optimum (IQM)")
    steps_axes.set_ylim(bottom=0)
    steps_axes.yaxis.set_major_formatter(EngFormatter(sep=""))
    seconds_axes.set_yscale("log")
    seconds_axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    seconds_axes.yaxis.set_major_formatter("{x:g}")
    seconds_axes.yaxis.set_minor_formatter(NullFormatter())
    entries = [(METHOD_NAMES[method], LOOKS[method]) for method in figure.methods]
    if any(one.num_censored for one in found.values()):
        entries.append(("a seed did not reach it", Look("0.4", "", "^")))
    add_legend(canvas, entries)
    return canvas


def _draw_method(axes: Axes, teams: Mapping[float, Measured], look: Look, quantity: str) -> None:
    """Draws what a method takes over sizes; a triangle where a seed never got there.

    The truth is then higher.
    """
    centres = {size: estimate(getattr(team, quantity)) for size, team in teams.items()}
    values, low, high = (np.array([one[part] for one in centres.values()]) for part in range(3))
    draw_curve(axes, Curve(np.array([*centres]), values, low, high), look)
    for size, team in teams.items():
        if team.num_censored:
            axes.plot(size, centres[size].value, "^", markersize=8, color=look.colour)
