"""Puts runs side by side: ``python experiments/compare.py runs/a runs/b --out compare.png``.

Draws the learning curves of runs on one environment in one figure, and prints a table in Markdown.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import tyro
from matplotlib.figure import Figure

if __name__ == "__main__":  # Python puts this script's folder on the path, not the repository.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from experiments.errors import UsageError, fail
from experiments.plots import Curve, draw_curve, dress
from experiments.results import read_result

COLUMNS = ("success", "return", "length")


@dataclass(frozen=True)
class Compare:
    """Learning curves of several runs in one figure, and their ends in one table.

    Attributes:
        runs: directories that experiments/run.py has left, all of one environment.
        out: the picture to write, .png or .pdf.
        threshold: success rate that the table's last column waits for.
    """

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional]
    out: Path = Path("compare.png")
    threshold: float = 0.9


class Finished(NamedTuple):
    """A run read back, and one curve per grid point and column that the environment reports."""

    summary: dict
    num_seeds: int
    curves: list[dict[str, Curve]]


def read_run(directory: Path) -> Finished:
    """Returns what a run left.

    Raises:
        UsageError: if the directory holds no finished run.
    """
    result = read_result(directory)
    curves = [
        {name: result.curve(name, point) for name in COLUMNS if result.has(name)}
        for point in range(result.num_points)
    ]
    return Finished(result.summary, result.num_seeds, curves)


def labelled_points(runs: list[Finished]) -> list[tuple[str, Finished, int]]:
    """Returns (label, run, point) of everything to compare."""
    return [
        (run.summary["algorithm"] + (f" {point}" if len(run.curves) > 1 else ""), run, point)
        for run in runs
        for point in range(len(run.curves))
    ]


def save_figure(runs: list[Finished], path: Path) -> None:
    """Saves one panel per column with one curve per run and grid point."""
    names = tuple(runs[0].curves[0])
    figure = Figure(figsize=(4.2 * len(names), 4.4), layout="constrained")
    panels = figure.subplots(1, len(names))
    labelled = labelled_points(runs)
    for axes, name in zip(panels, names, strict=True):
        for index, (_, run, point) in enumerate(labelled):
            draw_curve(axes, run.curves[point][name], index)
        dress(axes, name, runs[0].summary.get("optimal_episode_length"))
    handles, _ = panels[0].get_legend_handles_labels()
    labels = [label for label, _, _ in labelled]
    figure.legend(handles, labels, loc="outside lower center", ncols=6, frameon=False)
    seeds = sorted({run.num_seeds for run in runs})
    count = " or ".join(map(str, seeds))
    figure.suptitle(f"{runs[0].summary['environment']}: mean and 95% interval over {count} seeds")
    figure.savefig(path, dpi=120)


def table(runs: list[Finished], threshold: float) -> str:
    """Returns the ends of the runs as a table in Markdown."""
    names = tuple(runs[0].curves[0])
    columns = ["run", "seeds", *names]
    if "success" in names:
        columns.append(f"steps to {threshold:g} success")
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for label, run, point in labelled_points(runs):
        end = run.summary["points"][point]
        cells = [label, str(run.num_seeds)]
        cells += [_with_interval(end[f"episode/{name}"]) for name in names]
        if "success" in names:
            first = steps_to(run.curves[point]["success"], threshold)
            reached = f"{first:,}" if first is not None else f"not in {run.summary['env_steps']:,}"
            cells.append(reached)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def steps_to(curve: Curve, threshold: float) -> int | None:
    """Returns the environment steps after which the mean over seeds stays above a threshold."""
    below = np.flatnonzero(~(curve.mean >= threshold))
    first = below[-1] + 1 if below.size else 0
    return int(curve.env_steps[first]) if first < len(curve.env_steps) else None


def _with_interval(statistics: dict) -> str:
    mean, interval = statistics["mean"], statistics["ci95"]
    if mean is None:
        return "none ended"
    return f"{mean:.3g}" + (f" [{interval[0]:.3g}, {interval[1]:.3g}]" if interval else "")


def main() -> None:
    """Reads the command line, writes the picture and prints the table."""
    options = tyro.cli(Compare)
    try:
        runs = [read_run(directory) for directory in options.runs]
        if not runs or len({run.summary["environment"] for run in runs}) > 1:
            raise UsageError("runs: expected one or several runs, all of the same environment")
        save_figure(runs, options.out)
    except UsageError as error:
        fail(str(error), "experiments/compare.py")
    print(table(runs, options.threshold))


if __name__ == "__main__":
    main()
