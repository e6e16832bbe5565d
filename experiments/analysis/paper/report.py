"""What is said of a figure: table.md, claims.md, page.json, and report.html on all of them."""

from __future__ import annotations

import base64
import itertools
import json
import mimetypes
from collections.abc import Mapping, Sequence
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
from experiments.analysis.paper.cache import read_optional
from experiments.analysis.paper.claims import THRESHOLD
from experiments.analysis.paper.evidence import Outcome, Series
from experiments.analysis.reuse import has_reuse
from experiments.analysis.tables import Rows, end_cells, markdown

PAGE = "page.json"
"""What a figure's folder keeps for the report."""

FORMAT = 2
"""Of that file; the report leaves out what another version wrote."""

NUM_MOMENTS = 60
"""Positions of the slider over the reuse matrices at most."""


def save_page(outcome: Outcome, directory: Path, commands: Sequence[str]) -> None:
    """Saves what is said of a figure, for readers and for the report."""
    page = {
        "format": FORMAT,
        "name": outcome.figure.name,
        "title": outcome.figure.title,
        "remark": _render("remark.txt", {"outcome": outcome}),
        "missing": outcome.missing,
        "table": summary_table(outcome),
        "improvement": improvement_table(outcome),
        "claims": [
            {
                "number": claim.number,
                "sentence": claim.sentence,
                "verdict": verdict,
                "qualified": qualified(verdict, outcome),
                "findings": findings,
            }
            for claim, findings, verdict in outcome.verdicts
        ],
        "replays": _replays(outcome, directory.parent),
        "matrices": [
            describe_matrices(outcome.figure.name, series)
            for series in outcome.series
            if has_reuse(series.result) and len(series.point.matrix_updates)
        ],
        "commands": commands,
    }
    (directory / PAGE).write_text(json.dumps(page, allow_nan=False) + "\n")
    for name in ("table.md", "claims.md"):
        (directory / name).write_text(_render(name, page))


def save_report(root: Path) -> Path:
    """Saves and returns report.html, made of all figures in a results folder."""
    pages = map(read_optional, sorted(root.glob(f"*/{PAGE}")))
    figures = [page for page in pages if page.get("format") == FORMAT]
    path = root / "report.html"
    path.write_text(_render("report.html", {"root": root, "figures": figures}))
    return path


def _render(name: str, variables: Mapping[str, Any]) -> str:
    """Returns the text that a template makes of variables."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=name.endswith(".html"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=name != "remark.txt",
    )
    environment.filters |= {"data_uri": data_uri, "markdown": markdown}
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


def qualified(verdict: str, outcome: Outcome) -> str:
    """Returns a verdict with what limits it."""
    if verdict != "undecided":
        return verdict
    seeds = "one seed" if outcome.num_seeds == 1 else f"{outcome.num_seeds} seeds"
    return f"undecided at {seeds}"


def _replays(outcome: Outcome, root: Path) -> list[dict[str, str]]:
    """Returns a replay per run, with the labels of all its grid's points."""
    replays = []
    for run, group in itertools.groupby(outcome.series, lambda series: series.result.directory):
        labels = [series.label for series in group]
        label = labels[0] if len(labels) == 1 else f"the best of {', '.join(labels)}"
        replays.append({"label": label, "path": str((run / "replay.gif").relative_to(root))})
    return replays


def describe_matrices(name: str, series: Series) -> dict[str, Any]:
    """Returns the reuse matrix at moments of training, mean over seeds.

    The divergences as well, where the run recorded them.
    """
    result = series.result
    updates = series.point.matrix_updates
    moments = np.unique(np.linspace(0, len(updates) - 1, NUM_MOMENTS).astype(int))
    matrices = {
        kind: series.point.matrices(f"reuse/{kind}")[moments].mean(axis=1, dtype=np.float64)
        for kind in ("weight", "divergence")
        if result.has_matrix(f"reuse/{kind}")
    }
    return {
        "label": f"{name}: {series.label}",
        "sources": result.agents,
        "learners": result.learners,
        "steps": result.steps_after(updates[moments]).tolist(),
        **{kind: _rounded(matrix) for kind, matrix in matrices.items()},
    }


def _rounded(matrices: np.ndarray) -> list:
    return [[[float(f"{x:.3g}") for x in row] for row in matrix] for matrix in matrices.tolist()]
