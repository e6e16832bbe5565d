"""The end of a run: pictures, summary and a printed table, from nothing but its folder."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from experiments.analysis.estimates import MEAN, estimate, show
from experiments.analysis.ranking import save_ranking
from experiments.analysis.reading import read_result
from experiments.analysis.results import Point, Result, reported
from experiments.analysis.statistics import DECISIVE, TABLED
from experiments.analysis.summary import summarise
from experiments.analysis.tables import end_cells, print_table
from experiments.training.errors import UsageError
from experiments.training.folder.files import write_json
from experiments.training.team import load_team, save_replay


def finish(directory: Path, console: Console) -> dict[str, Any]:
    """Returns summary.json, which it writes last of all, after the pictures and the ranking.

    Args:
        directory: of a run whose training is over, complete or not.
        console: where it prints how the run ended.
    """
    result = read_result(directory, may_be_empty=True)
    summary = summarise(result)
    if result.num_updates:
        number = summary["best_point"] or 0
        draw(result.points[number], summary["points"][number]["best_seed"], console)
    print_summary(result, summary, console)
    if "best_score" in summary:
        save_ranking(result, console)
    # The last file of all: where it says "completed", nothing is left to do.
    write_json(directory / "summary.json", summary)
    files = sorted(path.name for path in directory.iterdir() if path.name[0] != ".")
    console.print(f"{directory}: {', '.join(files)}", soft_wrap=True)
    return summary


def draw(point: Point, seed: int, console: Console) -> None:
    """Saves curves.png, reuse.png of a grid point, and replay.gif with a seed's team there.

    Those that would show nothing are left out, and it prints why.
    """
    # Slow to import; mistakes that are found before training do not wait for them.
    from experiments.analysis.panels import save_curves
    from experiments.analysis.reuse import has_reuse, save_reuse

    result = point.result
    save_curves(result, result.directory / "curves.png")
    if has_reuse(result):
        save_reuse(point, result.directory / "reuse.png")
    else:
        console.print("no reuse.png: no policy reused the experience of another")
    lane, path = (point.number, result.seeds.index(seed)), result.directory / "replay.gif"
    try:
        team = load_team(result.directory)
        is_drawn = save_replay(team, team.experiment.trainer, lane, path)
    except UsageError as error:  # What was trained stands, whatever an environment's file says now.
        print(f"Warning: replay.gif was not drawn: {error}", file=sys.stderr)
        return
    if not is_drawn:
        console.print(f"no replay.gif: {result.environment} has no viewer")


def print_summary(result: Result, summary: Mapping[str, Any], console: Console) -> None:
    """Prints the ends of the grid points, which of them diverged, and how fast it was."""
    metrics, points = reported([result], TABLED), result.points if result.num_updates else []
    rows = [["point", *metrics]]
    for point in points:
        number = f"{point.number}: " if len(points) > 1 else ""
        rows.append([number + point.label, *end_cells(point, metrics, MEAN, ".2f")])
    title = f"{result.environment}, {summary['algorithm']}, seeds: {result.num_seeds}"
    interval = "mean and 95% interval over seeds, last tenth of the run"
    print_table(console, rows, title, interval if result.num_seeds > 1 else None)
    for bad in summary["diverged"]:
        text = f"{bad['metric']} is not finite in update {bad['update']}, seed {bad['seed']}"
        label = result.points[bad["point"]].label
        console.print(f"diverged: {label}: {text}", soft_wrap=True)
    for point in points:
        if not (best := point.absolute):
            continue
        ends = {k: estimate(point.evaluated(k), MEAN) for k in DECISIVE if k in best["per_seed"]}
        cells = ", ".join(f"{metric} {show(end, '.2f')}" for metric, end in ends.items())
        text = f"best policies of {point.label}, {best['episodes']} new episodes: {cells}"
        console.print(text, soft_wrap=True)
    if "optimal_episode_length" in summary:
        console.print(f"optimal length: {summary['optimal_episode_length']:.2f}")
    console.print(
        f"{summary['env_steps_per_second']:,.0f} steps/s over all seeds and points; compiled in "
        f"{summary['compile_seconds']:.1f} s, ran {summary['run_seconds']:.1f} s"
    )
