"""Legends below a figure, however many curves there are and however long their names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes

CHARACTER_INCHES = 0.09
"""Width of a character at matplotlib's 10 points; digits are this wide, most letters less."""

HANDLE_INCHES = 0.75
"""Width of a line in a legend, and of the space about it."""

ROW_INCHES = 0.22


def column_inches(labels: Sequence[str]) -> float:
    """Returns the width that each column of a legend takes."""
    return HANDLE_INCHES + CHARACTER_INCHES * max(map(len, labels))


def num_columns(labels: Sequence[str], width: float) -> int:
    """Returns how many columns of a legend fit in so many inches, one at least.

    >>> num_columns(["sigma=0.01"] * 9, width=10.0)  # Each takes 0.75 + 10 x 0.09 = 1.65.
    6
    """
    return max(1, min(len(labels), int(width / column_inches(labels))))


def with_legend(width: float, height: float, labels: Sequence[str]) -> tuple[float, float]:
    """Returns the inches of a figure that has room for its panels and a legend below them.

    >>> with_legend(10.0, 4.0, [])
    (10.0, 4.0)
    """
    if not labels:
        return width, height
    width = max(width, column_inches(labels))
    num_rows = -(-len(labels) // num_columns(labels, width))
    return width, height + ROW_INCHES * num_rows


def draw_legend(figure: Any, axes: Axes, labels: Sequence[str], width: float) -> None:
    """Names the curves of a panel below a figure of so many inches, if there are names."""
    if not labels:
        return
    handles, _ = axes.get_legend_handles_labels()
    figure.legend(
        handles,
        labels,
        loc="outside lower center",
        ncols=num_columns(labels, width),
        frameon=False,
    )
