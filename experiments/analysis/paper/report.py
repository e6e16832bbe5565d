"""What is said of figures: table.md and claims.md of each, and report.html on all of them."""

from __future__ import annotations

import base64
import itertools
import mimetypes
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from experiments.analysis.estimates import (
    MIN_SEEDS,
    estimate,
    probability_of_improvement,
    show,
    show_steps,
)
from experiments.analysis.paper.claims import THRESHOLD
from experiments.analysis.paper.outcome import Outcome, Series
from experiments.analysis.reuse import has_reuse
from experiments.analysis.tables import Rows, end_cells, markdown

NUM_MOMENTS = 60
"""Positions of the slider over the reuse matrices at most."""


def save_tables(outcome: Outcome, directory: Path) -> None:
    """Saves table.md and claims.md."""
    for name in ("table.md", "claims.md"):
        (directory / name).write_text(_render(name, outcome=outcome))


def save_report(root: Path, outcomes: Sequence[Outcome]) -> Path:
    """Saves and returns report.html in a results folder, which holds the figures drawn."""
    path = root / "report.html"
    path.write_text(_render("report.html", root=root, outcomes=outcomes))
    return path


def _render(name: str, **variables: Any) -> str:
    """Returns the text that a template makes of variables."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=name.endswith(".html"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    filters = (data_uri, markdown, summary_table, improvement_table, replays, matrices)
    environment.filters |= {function.__name__: function for function in filters}
    environment.globals |= {"min_seeds": MIN_SEEDS, "threshold": THRESHOLD}
    return environment.get_template(f"{name}.jinja").render(variables)


def data_uri(path: Path) -> str:
    """Returns a picture as text that a page can hold."""
    content = base64.b64encode(path.read_bytes()).decode()
    return f"data:{mimetypes.guess_type(path)[0]};base64,{content}"


def summary_table(outcome: Outcome) -> Rows:
    """Returns the ends and the steps to the threshold, a header first.

    Over sizes the seconds to the threshold as well.
    """
    evaluated = [f"greedy {outcome.figure.metric}"] * outcome.figure.evaluated
    has_seconds = outcome.figure.kind == "sizes"
    goal = f"to {THRESHOLD:g} of the optimum"
    until = [f"steps {goal}", *[f"seconds {goal}"] * has_seconds, "reached"]
    rows = [["", "seeds", *evaluated, *outcome.metrics, *until]]
    for series in outcome.series:
        measured = series.measured
        cells = [show(estimate(measured.end), ".3g")] * outcome.figure.evaluated
        cells += end_cells(series.point, outcome.metrics, style=".3g")
        steps, reached = show_steps(measured.steps, measured.reached)
        seconds = show_steps(measured.seconds, measured.reached, style=",.1f")[:1] * has_seconds
        cells += [steps, *seconds, reached]
        rows.append([series.label, str(outcome.num_seeds), *cells])
    return rows


def improvement_table(outcome: Outcome) -> Rows:
    """Returns the probability that a seed of the row needs fewer steps than one of the column."""
    steps = {label: measured.steps for label, measured in outcome.measured.items()}
    rows = [["", *steps]]
    for row in steps:
        chances = {
            column: f"{probability_of_improvement(steps[column], steps[row]):.2f}"
            for column in steps
        }
        rows.append([row, *(chances | {row: ""}).values()])
    return rows


def replays(outcome: Outcome) -> list[tuple[str, Path]]:
    """Returns a name and a picture of each run that has one, named after all its grid's points."""
    found = []
    for run, group in itertools.groupby(outcome.series, lambda series: series.result.directory):
        labels = [series.label for series in group]
        label = labels[0] if len(labels) == 1 else f"the best of {', '.join(labels)}"
        found.append((label, run / "replay.gif"))
    return [(label, path) for label, path in found if path.exists()]


def matrices(outcome: Outcome) -> list[dict[str, Any]]:
    """Returns the reuse matrices of each series that reuses, and has recorded them."""
    return [
        describe_matrices(outcome.figure.name, series)
        for series in outcome.series
        if has_reuse(series.result) and len(series.point.matrix_updates)
    ]


def describe_matrices(name: str, series: Series) -> dict[str, Any]:
    """Returns the reuse matrix at moments of training, mean over seeds.

    The divergences as well, where the run recorded them.
    """
    result = series.result
    updates = series.point.matrix_updates
    moments = np.unique(np.linspace(0, len(updates) - 1, NUM_MOMENTS).astype(int))
    means = {
        kind: series.point.matrices(f"reuse/{kind}")[moments].mean(axis=1, dtype=np.float64)
        for kind in ("weight", "divergence")
        if result.has_matrix(f"reuse/{kind}")
    }
    return {
        "label": f"{name}: {series.label}",
        "sources": result.agents,
        "learners": result.learners,
        "steps": result.steps_after(updates[moments]).tolist(),
        **{
            kind: [[[float(f"{x:.3g}") for x in row] for row in matrix] for matrix in mean.tolist()]
            for kind, mean in means.items()
        },
    }
