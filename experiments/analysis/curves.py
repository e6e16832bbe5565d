"""Learning curves: the one way in which they are drawn, for a run, a comparison or a figure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter

from experiments.analysis.colours import MAX_SIGNED, REST, SIGNS, Look
from experiments.analysis.statistics import SHARES, Curve

MARKER_POINTS = 4
"""Size of the marks of single points and of evaluations."""

SIGN_POINTS = 4.5
"""Size of the signs that tell lines apart, with their white edge."""

NUM_SIGNS = 3
"""How many signs a line has over the width of its panel."""

TITLE_MARGIN = 0.15
"""Inches beside a title at least."""

Legend = Sequence[tuple[str, Look]]
"""Names, and how what they stand for is drawn."""

Line = tuple[Curve, Look]
"""A curve, and how it is drawn."""


class Mark(NamedTuple):
    """A level to compare curves with, and its name."""

    height: float
    name: str = ""


def draw_curves(
    lines: Mapping[str, Sequence[Line]],
    legend: Legend,
    *,
    title: str,
    names: Mapping[str, str] = MappingProxyType({}),
    marks: Mapping[str, Mark] = MappingProxyType({}),
    panel_inches: tuple[float, float] = (4.2, 4.0),
) -> Figure:
    """Returns a figure with a panel per episode metric, and a legend below.

    Args:
        lines: by metric; later ones lie above earlier ones.
        legend: of all panels.
        title: of the figure.
        names: what panels call the metrics, where it is not ``episode <metric>``.
        marks: levels to compare with, by metric.
        panel_inches: width and height of each panel.
    """
    width, height = panel_inches
    figure = Figure(figsize=(width * len(lines), height), layout="constrained")
    panels = figure.subplots(1, len(lines), squeeze=False)[0]
    signed = signed_looks(line for each in lines.values() for line in each)
    for axes, (metric, each) in zip(panels, lines.items(), strict=True):
        draw_lines(axes, each, signed)
        axes.set_title(names.get(metric, f"episode {metric}"))
        dress_over_steps(axes)
        if not any(len(curve.env_steps) for curve, _ in each):
            axes.text(0.5, 0.5, "too few episodes to draw", ha="center", transform=axes.transAxes)
            axes.set_xticks([])
            axes.set_yticks([])
        if metric in SHARES:
            axes.set_ylim(-0.03, 1.03)
        if metric in marks:
            _draw_mark(axes, marks[metric])
    set_title(figure, title)
    add_legend(figure, legend, signed)
    return figure


def draw_lines(axes: Axes, lines: Sequence[Line], signed: Sequence[Look]) -> None:
    """Draws curves so that each is seen where several are the same: with signs, above them all.

    Signs of a line stand at other steps than those of all others, on the line between its points
    too: curves of two points that are alike to the bit show both of their colours.

    Args:
        axes: the panel.
        lines: later ones lie above earlier ones.
        signed: the looks of the figure that have signs, see `signed_looks`.
    """
    for curve, look in lines:
        draw_curve(axes, curve, look)
    ends = [curve.env_steps[[0, -1]] for curve, _ in lines if len(curve.env_steps)]
    first, last = (np.min(ends), np.max(ends)) if ends else (0, 0)
    for curve, look in lines:
        if look not in signed or not _is_line(curve):
            continue
        shares = (np.arange(NUM_SIGNS) + (signed.index(look) + 0.5) / len(signed)) / NUM_SIGNS
        steps = first + shares * (last - first)
        steps = steps[(steps >= curve.env_steps[0]) & (steps <= curve.env_steps[-1])]
        heights = np.interp(steps, curve.env_steps, curve.mean)
        style: Any = {"marker": SIGNS[look.style], "color": look.colour, "zorder": 3}
        axes.scatter(steps, heights, SIGN_POINTS**2, **style, edgecolor="white", linewidth=0.5)


def signed_looks(lines: Iterable[Line]) -> list[Look]:
    """Returns, once each, the looks of a figure that get signs, if it has several and room.

    Grey lines, lines with marks of their own and curves of a single point get none.
    """
    looks = dict.fromkeys(look for curve, look in lines if _is_line(curve))
    found = [look for look in looks if look.colour != REST and not look.marker]
    return found if 1 < len(found) <= MAX_SIGNED else []


def _is_line(curve: Curve) -> bool:
    return len(curve.env_steps) > 1


def draw_curve(axes: Axes, curve: Curve, look: Look) -> None:
    """Draws a curve and its band; a dot and a bar of a single point."""
    is_single = len(curve.env_steps) == 1
    marker = look.marker or ("o" if is_single else "")
    axes.plot(curve.env_steps, curve.mean, **_line(look._replace(marker=marker)))
    if not look.has_band:
        return
    if is_single or look.marker:
        axes.vlines(curve.env_steps, curve.low, curve.high, color=look.colour, alpha=0.5)
    else:
        axes.fill_between(
            curve.env_steps, curve.low, curve.high, color=look.colour, alpha=0.2, lw=0
        )


def dress_over_steps(axes: Axes) -> None:
    """Labels a panel whose horizontal axis is environment steps."""
    axes.set_xlabel("environment steps per seed")
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.locator_params(axis="x", nbins=5)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)


def set_title(figure: Figure, title: str) -> None:
    """Gives a figure a title, and the width that it needs."""
    width = figure.suptitle(title).get_window_extent().width / figure.dpi
    figure.set_figwidth(max(figure.get_figwidth(), width + 2 * TITLE_MARGIN))


def add_legend(figure: Figure, legend: Legend, signed: Sequence[Look] = ()) -> None:
    """Says below a figure, which grows by what that takes, what its lines are.

    Args:
        figure: to write below.
        legend: names and looks.
        signed: the looks that have signs.
    """
    if not legend:
        return
    labels = [name for name, _ in legend]
    handles = [
        Line2D([], [], **_line(look) | (_sign(look) if look in signed else {}))
        for _, look in legend
    ]
    # With these paddings n columns are at most n times as wide as one.
    style: Any = {"loc": "outside lower center", "borderpad": 1.0, "columnspacing": 2.0}
    style |= {"frameon": False, "handlelength": 2.8}
    trial = figure.legend(handles, labels, **style)
    num_columns = int(figure.bbox.width / trial.get_window_extent().width)
    trial.remove()
    style["ncols"] = min(max(num_columns, 1), len(labels))
    box = figure.legend(handles, labels, **style).get_window_extent()
    width, height = figure.bbox.size
    figure.set_size_inches(max(width, box.width) / figure.dpi, (height + box.height) / figure.dpi)


def _line(look: Look) -> Any:
    return {
        "color": look.colour,
        "linestyle": look.style,
        "linewidth": look.width,
        "marker": look.marker,
        "markersize": MARKER_POINTS,
    }


def _sign(look: Look) -> Any:
    edge = {"markeredgecolor": "white", "markeredgewidth": 0.5}
    return {"marker": SIGNS[look.style], "markersize": SIGN_POINTS} | edge


def _draw_mark(axes: Axes, mark: Mark) -> None:
    """Draws a level, and its name at the left: lengths end near their optimum at the right."""
    axes.axhline(mark.height, color="grey", ls=":")
    axes.annotate(
        mark.name,
        (0, mark.height),
        xycoords=("axes fraction", "data"),
        xytext=(3, 3),
        textcoords="offset points",
        color="grey",
    )
