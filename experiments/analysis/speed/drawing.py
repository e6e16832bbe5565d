"""bench.png: a panel per measurement."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.analysis.curves import COLOURS
from experiments.analysis.speed.section import Section


def save_figure(sections: Sequence[Section], caption: str, path: Path) -> None:
    """Saves bars, or lines on logarithmic axes, for each section."""
    heights = [max(2.4, 0.3 * len(s.rows)) if s.scale == "bars" else 3.0 for s in sections]
    figure = Figure(figsize=(8.5, sum(heights)), layout="constrained")
    panels = figure.subplots(len(sections), 1, squeeze=False, height_ratios=heights)[:, 0]
    for axes, section in zip(panels, sections, strict=True):
        (_draw_bars if section.scale == "bars" else _draw_lines)(axes, section)
        axes.set_title(section.title, fontsize=9, loc="left")
        axes.spines[["top", "right"]].set_visible(False)
    figure.supxlabel(caption, fontsize=6, color="0.35", wrap=True)
    figure.savefig(path, dpi=150)


def _draw_bars(axes: Axes, section: Section) -> None:
    """Draws the one column as bars, the first row on top."""
    (column,) = section.drawn
    labels = [str(row[section.label]) for row in section.rows]
    values = [row[column] for row in section.rows]
    bars = axes.barh(range(len(values)), values, color=COLOURS[0], alpha=0.7)
    axes.bar_label(bars, [f"{value:.2f}" for value in values], fontsize=7, padding=2)
    axes.set_yticks(range(len(labels)), labels, fontsize=7)
    axes.invert_yaxis()
    axes.set_xlabel(column, fontsize=8)


def _draw_lines(axes: Axes, section: Section) -> None:
    """Draws each column over the size, one line per series."""
    series = list(dict.fromkeys(row.get(section.line, "") for row in section.rows))
    for index, name in enumerate(series):
        rows = [row for row in section.rows if row.get(section.line, "") == name]
        sizes = [row[section.label] for row in rows]
        for style, column in zip(("-o", "--s"), section.drawn, strict=True):
            colour = COLOURS[index if len(series) > 1 else section.drawn.index(column)]
            label = f"{name}: {column}" if name else column
            axes.plot(sizes, [row[column] for row in rows], style, color=colour, ms=3, label=label)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_xlabel(section.label, fontsize=8)
    axes.legend(fontsize=7, frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
