"""Tables in Markdown and on the console."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Column, Table

from experiments.analysis.estimates import IQM, estimate, show
from experiments.analysis.results import Point

Rows = list[list[str]]
"""The cells of a table, its header first."""


def end_cells(
    point: Point, metrics: Sequence[str], trim: float = IQM, style: str = ".3f"
) -> list[str]:
    """Returns how episode metrics end at a grid point, over seeds: what every table has of it."""
    return [show(estimate(point.ends(metric), trim), style) for metric in metrics]


def markdown(rows: Rows) -> str:
    """Returns a table in Markdown.

    >>> print(markdown([["a", "b"], ["1", "2|3"]]))
    | a | b |
    |---|---|
    | 1 | 2\\|3 |
    """
    head, *body = [" | ".join(cell.replace("|", "\\|") for cell in row) for row in rows]
    lines = [f"| {line} |" for line in (head, *body)]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])


def print_table(console: Console, rows: Rows, title: str, caption: str | None = None) -> None:
    """Prints a table; nothing is cut off where it is wider than the console."""
    head, *body = rows
    columns = (
        Column(name, justify="right" if place else "left", overflow="fold")
        for place, name in enumerate(head)
    )
    table = Table(*columns, title=title, caption=caption, box=None)
    for row in body:
        table.add_row(*row)
    console.print(table)
