"""Learning curves: the one way in which they are drawn, for a run, a comparison or a figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from experiments.analysis.results import Result
from experiments.analysis.statistics import Curve

COLOURS = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#000000",
    "#999933",
)
"""Okabe and Ito's palette, told apart by colour-blind readers too (yellow darkened)."""

STYLES = ("-", "--", ":", "-.")
"""Distinguish curves once all colours are used."""

METRICS = ("success", "return", "length", "optimality")
"""The episode metrics that curves.png shows, where the environment reports them."""

SHARES = ("success", "optimality", "path_optimality")
"""Episode metrics in [0, 1]."""


class Mark(NamedTuple):
    """A level to compare curves with, and its name."""

    height: float
    name: str = ""


def draw_curves(
    curves: Mapping[str, Sequence[Curve]],
    labels: Sequence[str],
    *,
    title: str,
    names: Mapping[str, str] = MappingProxyType({}),
    marks: Mapping[str, Mark] = MappingProxyType({}),
    panel_inches: tuple[float, float] = (4.2, 4.0),
) -> Figure:
    """Returns a figure with a panel per episode metric, and the labels of the curves below.

    Args:
        curves: by metric.
        labels: of the curves, the same for each metric; a curve called "" is not named.
        title: of the figure.
        names: what panels call the metrics, where it is not ``episode <metric>``.
        marks: levels to compare with, by metric.
        panel_inches: width and height of each panel.
    """
    width, height = panel_inches
    figure = Figure(figsize=(width * len(curves), height), layout="constrained")
    panels = figure.subplots(1, len(curves), squeeze=False)[0]
    for axes, (metric, each) in zip(panels, curves.items(), strict=True):
        for index, (label, curve) in enumerate(zip(labels, each, strict=True)):
            draw_curve(axes, curve, index, label)
        axes.set_title(names.get(metric, f"episode {metric}"))
        dress_over_steps(axes)
        if metric in SHARES:
            axes.set_ylim(-0.03, 1.03)
        if metric in marks:
            _draw_mark(axes, marks[metric])
    figure.suptitle(title)
    add_legend(figure, panels[0])
    return figure


def save_curves(result: Result, path: Path) -> None:
    """Saves success, return, length and, where reported, optimality over environment steps."""
    points = range(result.num_points)
    curves = {
        metric: [result.curve(metric, point) for point in points]
        for metric in METRICS
        if result.has(metric)
    }
    remark = "mean and 95% interval over seeds" if result.num_seeds > 1 else ""
    figure = draw_curves(
        curves, point_labels(result), title=make_title(result, remark), marks=find_marks(result)
    )
    figure.savefig(path, dpi=120)


def point_labels(result: Result) -> list[str]:
    """Returns the names of the grid points; a single one needs none."""
    if result.num_points == 1:
        return [""]
    return [
        f"{result.labels[point]}{', diverged' * (point in result.diverged)}"
        for point in range(result.num_points)
    ]


def draw_curve(axes: Axes, curve: Curve, index: int, label: str) -> None:
    """Draws a curve and its band in the colour of its index; a dot and a bar of a single point."""
    colour = COLOURS[index % len(COLOURS)]
    style = STYLES[index // len(COLOURS) % len(STYLES)]
    is_single = len(curve.env_steps) == 1
    marker = "o" if is_single else ""
    axes.plot(curve.env_steps, curve.mean, style, marker=marker, color=colour, label=label)
    if is_single:
        axes.vlines(curve.env_steps, curve.low, curve.high, color=colour, alpha=0.5)
    axes.fill_between(curve.env_steps, curve.low, curve.high, color=colour, alpha=0.2, lw=0)


def dress_over_steps(axes: Axes) -> None:
    """Labels a panel whose horizontal axis is environment steps."""
    axes.set_xlabel("environment steps per seed")
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.locator_params(axis="x", nbins=5)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)


def add_legend(figure: Figure, axes: Axes) -> None:
    """Names a panel's curves below the figure, which grows by what that takes; "" is no name."""
    handles, labels = axes.get_legend_handles_labels()
    if not labels:
        return
    # With these paddings n columns are at most n times as wide as one.
    style: Any = {"loc": "outside lower center", "borderpad": 1.0, "columnspacing": 2.0}
    trial = figure.legend(handles, labels, frameon=False, **style)
    num_columns = int(figure.bbox.width / trial.get_window_extent().width)
    trial.remove()
    style["ncols"] = min(max(num_columns, 1), len(labels))
    box = figure.legend(handles, labels, frameon=False, **style).get_window_extent()
    width, height = figure.bbox.size
    figure.set_size_inches(max(width, box.width) / figure.dpi, (height + box.height) / figure.dpi)


def find_marks(result: Result) -> dict[str, Mark]:
    """Returns the mark of the shortest possible episodes, where their length is known."""
    length = result.config.get("optimal_episode_length")
    return {} if length is None else {"length": Mark(length, "optimal")}


def make_title(result: Result, remark: str) -> str:
    """Returns environment, algorithm and number of seeds, and a remark if there is one."""
    plural = "s" if result.num_seeds > 1 else ""
    names = f"{result.config['environment']}, {result.config['algorithm']}"
    title = f"{names}, {result.num_seeds} seed{plural}"
    return f"{title} ({remark})" if remark else title


def _draw_mark(axes: Axes, mark: Mark) -> None:
    """Draws a level, and its name at the left: lengths end near their optimum at the right."""
    axes.axhline(mark.height, color="grey", ls=":", label="_")
    axes.annotate(
        mark.name,
        (0, mark.height),
        xycoords=("axes fraction", "data"),
        xytext=(3, 3),
        textcoords="offset points",
        color="grey",
    )
