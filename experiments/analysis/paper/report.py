"""report.html: every figure of a results folder on one page that needs nothing else."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from experiments.analysis.paper.cache import read_json
from experiments.analysis.paper.claims import MIN_SEEDS
from experiments.analysis.paper.evidence import Outcome, Series
from experiments.analysis.paper.tables import (
    explain_table,
    improvement_table,
    spell,
    summary_table,
)

PAGE = "page.json"
"""What a figure's folder keeps for the report."""

NUM_MOMENTS = 60
"""Positions of the slider over the reuse matrices at most."""


def save_page(outcome: Outcome, directory: Path, commands: list[str]) -> None:
    """Saves what the report says of a figure: tables, claims, where replays lie, matrices."""
    content = {
        "name": outcome.figure.name,
        "title": outcome.figure.title,
        "remark": explain_table(outcome),
        "missing": list(outcome.missing),
        "table": summary_table(outcome),
        "improvement": improvement_table(outcome),
        "claims": [
            {
                "number": number,
                "sentence": sentence,
                "verdict": verdict,
                "spelled": spell(verdict, outcome),
                "findings": [finding._asdict() for finding in findings],
            }
            for number, sentence, findings, verdict in outcome.examine()
        ],
        "replays": _replays(outcome, directory.parent),
        "matrices": [_matrices(series) for series in outcome.series if _has_matrices(series)],
        "commands": commands,
    }
    (directory / PAGE).write_text(json.dumps(content, allow_nan=False) + "\n")


def save_report(root: Path) -> Path:
    """Saves and returns report.html, made of all figures in a results folder."""
    pages = [read_json(path) for path in sorted(root.glob(f"*/{PAGE}"))]
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    html = environment.get_template("report.html.jinja").render(
        min_seeds=MIN_SEEDS,
        figures=[_with_pictures(page, root) for page in pages if page],
        matrices=[
            {**matrices, "label": f"{page['name']}: {matrices['label']}"}
            for page in pages
            for matrices in page.get("matrices", ())
        ],
    )
    path = root / "report.html"
    path.write_text(html)
    return path


def data_uri(path: Path) -> str:
    """Returns a picture as text that a page can hold."""
    kind = {".png": "image/png", ".gif": "image/gif"}[path.suffix]
    return f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"


def _with_pictures(page: Mapping[str, Any], root: Path) -> dict[str, Any]:
    replays = [
        {"label": replay["label"], "picture": data_uri(root / replay["path"])}
        for replay in page["replays"]
        if (root / replay["path"]).exists()
    ]
    picture = data_uri(root / page["name"] / "figure.png")
    return {**page, "picture": picture, "replays": replays}


def _replays(outcome: Outcome, root: Path) -> list[dict[str, str]]:
    """Returns a replay per run, with the labels of all its grid's points."""
    labels: dict[Path, list[str]] = {}
    for series in outcome.series:
        path = series.result.directory / "replay.gif"
        if path.exists():
            labels.setdefault(path, []).append(series.label)
    return [
        {
            "label": names[0] if len(names) == 1 else f"the best of {', '.join(names)}",
            "path": str(path.relative_to(root)),
        }
        for path, names in labels.items()
    ]


def _has_matrices(series: Series) -> bool:
    """Returns whether anybody could reuse anybody's experience."""
    return "reuse/weight/0/1" in series.result.columns


def _matrices(series: Series) -> dict[str, Any]:
    """Returns the reuse matrix and the divergences at moments of training, mean over seeds."""
    weight = series.result.matrices("reuse/weight", series.point)
    divergence = series.result.matrices("reuse/divergence", series.point)
    moments = np.unique(np.linspace(0, len(weight) - 1, NUM_MOMENTS).astype(int))
    types = series.result.config["agent_types"]
    agents = [f"{kind} {index}" for index, kind in enumerate(types)]
    is_own = weight.shape[1] == len(agents)
    return {
        "label": series.label,
        "sources": agents,
        "learners": agents if is_own else [f"policy {n}" for n in range(weight.shape[1])],
        "steps": ((moments + 1) * series.result.steps_per_update).tolist(),
        "weight": _rounded(weight[moments]),
        "divergence": _rounded(divergence[moments]),
    }


def _rounded(matrices: np.ndarray) -> list:
    return [[[float(f"{x:.3g}") for x in row] for row in matrix] for matrix in matrices.tolist()]
