"""Tables in Markdown."""

from __future__ import annotations

Rows = list[list[str]]
"""The cells of a table, its header first."""


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
