"""The end of a run: pictures, summary and a printed table, from nothing but its folder."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from envs.importing import without_folder
from experiments.analysis.estimates import MEAN, estimate, show
from experiments.analysis.ranking import save_ranking
from experiments.analysis.results import Result, read_result
from experiments.analysis.summary import summarise
from experiments.analysis.tables import print_table
from experiments.training.errors import UsageError
from experiments.training.folder.files import write_json
from experiments.training.team import load_team, save_replay

SHOWN = ("success", "return", "length")


def finish(directory: Path, console: Console) -> dict[str, Any]:
    """Returns summary.json, which it writes last of all, after the pictures and the ranking.

    Args:
        directory: of a run whose training is over, complete or not.
        console: where it prints how the run ended.
    """
    result = read_result(directory, may_be_empty=True)
    summary = summarise(result)
    if result.num_updates:
        point = summary["best_point"] or 0
        draw(result, point, summary["points"][point]["best_seed"], console)
    print_summary(result, summary, console)
    if "best_score" in summary:
        save_ranking(result, console)
    # The last file of all: where it says "completed", nothing is left to do.
    write_json(directory / "summary.json", summary)
    files = sorted(path.name for path in directory.iterdir() if path.name[0] != ".")
    console.print(f"{directory}: {', '.join(files)}", soft_wrap=True)
    return summary


def draw(result: Result, point: int, seed: int, console: Console) -> None:
    """Saves curves.png, reuse.png of a grid point, and replay.gif with a seed's team there.

    Those that would show nothing are left out, and it prints why.
    """
    # Slow to import; mistakes that are found before training do not wait for them.
    from experiments.analysis.panels import save_curves
    from experiments.analysis.reuse import has_reuse, save_reuse

    save_curves(result, result.directory / "curves.png")
    if has_reuse(result):
        save_reuse(result, point, result.directory / "reuse.png")
    else:
        console.print("no reuse.png: no policy reused the experience of another")
    lane = point, result.seeds.index(seed)
    try:
        team = load_team(result.directory)
        trainer, path = team.experiment.trainer, result.directory / "replay.gif"
        is_drawn = save_replay(team, trainer, lane, path)
    except UsageError as error:  # What was trained stands, whatever an environment's file says now.
        print(f"Warning: replay.gif was not drawn: {error}", file=sys.stderr)
        return
    if not is_drawn:
        name = without_folder(result.config["environment"])
        console.print(f"no replay.gif: {name} has no viewer")


def print_summary(result: Result, summary: Mapping[str, Any], console: Console) -> None:
    """Prints the ends of the grid points, which of them diverged, and how fast it was."""
    shown = [name for name in SHOWN if result.has(name)]
    points = range(result.num_points if result.num_updates else 0)
    rows = [["point", *shown]]
    for point in points:
        number = f"{point}: " if result.num_points > 1 else ""
        rows.append(
            [number + result.labels[point], *(_cell(result.ends(name, point)) for name in shown)]
        )
    name = without_folder(summary["environment"])
    title = f"{name}, {summary['algorithm']}, seeds: {result.num_seeds}"
    interval = "mean and 95% interval over seeds, last tenth of the run"
    print_table(console, rows, title, interval if result.num_seeds > 1 else None)
    for bad in summary["diverged"]:
        text = f"{bad['metric']} is not finite in update {bad['update']}, seed {bad['seed']}"
        console.print(f"diverged: {result.labels[bad['point']]}: {text}", soft_wrap=True)
    for point in filter(result.absolute, points):
        best = result.absolute(point)
        names = (name for name in SHOWN[:2] if name in best["per_seed"])
        cells = ", ".join(f"{name} {_cell(result.evaluated(name, point))}" for name in names)
        text = f"best policies of {result.labels[point]}, {best['episodes']} new episodes: {cells}"
        console.print(text, soft_wrap=True)
    if "optimal_episode_length" in summary:
        console.print(f"optimal length: {summary['optimal_episode_length']:.2f}")
    console.print(
        f"{summary['env_steps_per_second']:,.0f} steps/s over all seeds and points; compiled in "
        f"{summary['compile_seconds']:.1f} s, ran {summary['run_seconds']:.1f} s"
    )


def _cell(per_seed: np.ndarray) -> str:
    return show(estimate(per_seed, MEAN), ".2f")
