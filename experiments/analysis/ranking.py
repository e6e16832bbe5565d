"""What a sweep found: the points in order, and the best of them as a preset."""

from __future__ import annotations

import math
import shlex
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
from rich.console import Console

import envs
from experiments.analysis.estimates import Estimate, estimate, show
from experiments.analysis.results import Point, Result, reported
from experiments.analysis.statistics import RANKED
from experiments.analysis.tables import Rows, end_cells, markdown, print_table
from experiments.training.errors import shown
from experiments.training.folder.files import replace_bytes, write_json
from experiments.training.naming import command
from experiments.training.settings.points import value_texts
from experiments.training.settings.stored import OF_A_PRESET


def rank(result: Result) -> dict[Point, Estimate]:
    """Returns the points of a sweep from the best on, in the order that config.json states.

    With each its score, the interquartile mean over seeds; NaN where it diverged.  Those in which
    no episode ended come after all that have a score, and those that diverged last.
    """
    sign = 1 if result.config["sweep"]["rank_order"] == "lowest" else -1
    scores = {
        point: estimate(np.empty(0) if point.is_diverged else seed_scores(point))
        for point in result.points
    }

    def place(point: Point) -> tuple[bool, float]:
        return point.is_diverged, np.nan_to_num(sign * scores[point].value, nan=math.inf)

    return {point: scores[point] for point in sorted(scores, key=place)}


def seed_scores(point: Point) -> np.ndarray:
    """Returns ``[K]`` a metric over the last tenth, or its mean over the steps of the whole run."""
    result, sweep = point.result, point.result.config["sweep"]
    if sweep["rank_over"] == "end":
        return point.ends(sweep["rank_by"])
    scores, before = np.full(result.num_seeds, np.nan), result.steps_before_training
    for seed in range(result.num_seeds):
        env_steps, values = point.seed_curve(sweep["rank_by"], seed)
        if values.size:
            scores[seed] = np.average(values, weights=np.diff(env_steps, prepend=before))
    return scores


def save_ranking(result: Result, console: Console) -> None:
    """Saves table.md, and preset.json with the best point if one has a score; prints the table."""
    scores = rank(result)
    rows = ranking_table(result, scores)
    text = f"Interquartile mean and 95% interval over {result.num_seeds} seeds."
    content = f"{text}\n\n{markdown(rows)}\n"
    replace_bytes(result.directory / "table.md", content.encode())
    print_table(console, rows, f"{result.environment}, {result.config['algorithm']}")
    best, score = next(iter(scores.items()))
    if not score.num_seeds:
        print(
            f"No point has a {result.config['sweep']['rank_by']}: no episode ended in time. No "
            "preset.json was written; train longer (--total-steps), or give the episodes an "
            "earlier end.",
            file=sys.stderr,
        )
        return
    path = result.directory / "preset.json"
    write_json(path, describe_preset(best))
    env = result.config["run"]["env"]
    # A preset runs nobody's code by itself.
    own = f" --env {shlex.quote(env)}" if envs.is_of_somebody(env) else ""
    line = f"The best: {command('run')} --preset {shown(path)}{own}"
    console.print(line, soft_wrap=True, markup=False)


def ranking_table(result: Result, scores: Mapping[Point, Estimate]) -> Rows:
    """Returns the points from the best on, a header first."""
    sweep, swept = result.config["sweep"], result.config["swept"]
    head = f"{sweep['rank_by']}, {'last tenth' if sweep['rank_over'] == 'end' else 'whole run'}"
    head += ", lowest first" * (sweep["rank_order"] == "lowest")
    metrics = reported([result], RANKED)
    columns = [value_texts([point.coefficients[name] for point in scores]) for name in swept]
    rows = [["rank", "point", *swept, head, *metrics]]
    for place, (point, score) in enumerate(scores.items()):
        text = "diverged" if point.is_diverged else show(score)
        coefficients = [column[place] for column in columns]
        row = [str(place + 1), str(point.number), *coefficients, text, *end_cells(point, metrics)]
        rows.append(row)
    return rows


def describe_preset(point: Point) -> dict[str, Any]:
    """Returns what a preset file says of a grid point: every setting that its algorithm reads."""
    config = point.result.config
    reads = set(config["reads"]) - {"num_updates"}
    run = {name: config["run"][name] for name in OF_A_PRESET}
    if run["schedule_steps"] in (0, run["total_steps"]):
        del run["schedule_steps"]  # Follows from the steps of whoever takes the preset.
    return {
        **run,
        "config": {k: v for k, v in config["config"].items() if k in reads},
        "hyperparameters": {k: v for k, v in point.coefficients.items() if k in reads},
    }
