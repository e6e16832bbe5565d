"""What a sweep found: the points in order, and the best of them as a preset."""

from __future__ import annotations

import math
import shlex
import sys
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console

import envs
from envs.importing import without_folder
from experiments.analysis.estimates import Estimate, estimate, show
from experiments.analysis.results import Result
from experiments.analysis.tables import Rows, markdown, print_table
from experiments.training.errors import shown
from experiments.training.folder.files import replace_bytes, write_json
from experiments.training.naming import command
from experiments.training.settings.points import value_texts
from experiments.training.settings.stored import OF_A_PRESET

SHOWN = ("return", "success", "length")


class Ranked(NamedTuple):
    """A point, and its score: the interquartile mean over seeds, NaN where it diverged."""

    point: int
    score: Estimate


def rank(result: Result) -> list[Ranked]:
    """Returns the points of a sweep from the best on, in the order that config.json states.

    Those in which no episode ended come after all that have a score, and those that diverged last.
    """
    metric, over = result.config["sweep"]["rank_by"], result.config["sweep"]["rank_over"]
    sign = 1 if result.config["sweep"]["rank_order"] == "lowest" else -1
    ranked = []
    for point in range(result.num_points):
        scores = seed_scores(result, metric, over, point)
        is_sound = point not in result.diverged
        ranked.append(Ranked(point, estimate(scores if is_sound else scores[:0])))
    return sorted(
        ranked,
        key=lambda one: (
            one.point in result.diverged,
            np.nan_to_num(sign * one.score.value, nan=math.inf),
        ),
    )


def seed_scores(result: Result, metric: str, over: str, point: int) -> np.ndarray:
    """Returns ``[K]`` a metric over the last tenth, or its mean over the steps of the whole run."""
    if over == "end":
        return result.ends(metric, point)
    scores, before = np.full(result.num_seeds, np.nan), result.steps_before_training
    for seed in range(result.num_seeds):
        env_steps, values = result.seed_curve(metric, point, seed)
        if values.size:
            scores[seed] = np.average(values, weights=np.diff(env_steps, prepend=before))
    return scores


def save_ranking(result: Result, console: Console) -> None:
    """Saves table.md, and preset.json with the best point if one has a score; prints the table."""
    ranked = rank(result)
    rows = ranking_table(result, ranked)
    text = f"Interquartile mean and 95% interval over {result.num_seeds} seeds."
    content = f"{text}\n\n{markdown(rows)}\n"
    replace_bytes(result.directory / "table.md", content.encode())
    name = without_folder(result.config["environment"])
    print_table(console, rows, f"{name}, {result.config['algorithm']}")
    best = ranked[0]
    if not best.score.num_seeds:
        print(
            f"No point has a {result.config['sweep']['rank_by']}: no episode ended in time. No "
            "preset.json was written; train longer (--total-steps), or give the episodes an "
            "earlier end.",
            file=sys.stderr,
        )
        return
    path = result.directory / "preset.json"
    write_json(path, describe_preset(result, best.point))
    env = result.config["run"]["env"]
    # A preset runs nobody's code by itself.
    own = f" --env {shlex.quote(env)}" if envs.is_of_somebody(env) else ""
    line = f"The best: {command('run')} --preset {shown(path)}{own}"
    console.print(line, soft_wrap=True, markup=False)


def ranking_table(result: Result, ranked: list[Ranked]) -> Rows:
    """Returns the points from the best on, a header first."""
    sweep = result.config["sweep"]
    shown = [name for name in SHOWN if result.has(name)]
    score = f"{sweep['rank_by']}, {'last tenth' if sweep['rank_over'] == 'end' else 'whole run'}"
    score += ", lowest first" * (sweep["rank_order"] == "lowest")
    swept, points = result.config["swept"], result.config["points"]
    values = [value_texts([point[name] for point in points]) for name in swept]
    rows = [["rank", "point", *swept, score, *shown]]
    for place, one in enumerate(ranked, 1):
        text = "diverged" if one.point in result.diverged else show(one.score)
        ends = [show(estimate(result.ends(name, one.point))) for name in shown]
        coefficients = [column[one.point] for column in values]
        rows.append([str(place), str(one.point), *coefficients, text, *ends])
    return rows


def describe_preset(result: Result, point: int) -> dict[str, Any]:
    """Returns what a preset file says of one grid point: every setting that its algorithm reads."""
    config, reads = result.config, set(result.config["reads"]) - {"num_updates"}
    run = {name: config["run"][name] for name in OF_A_PRESET}
    if run["schedule_steps"] in (0, run["total_steps"]):
        del run["schedule_steps"]  # Follows from the steps of whoever takes the preset.
    return {
        **run,
        "config": {k: v for k, v in config["config"].items() if k in reads},
        "hyperparameters": {k: v for k, v in config["points"][point].items() if k in reads},
    }
