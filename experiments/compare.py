"""Puts runs side by side: ``python experiments/compare.py runs/a runs/b --out compare.png``.

Draws the learning curves of runs on one environment in one figure, and prints a table in Markdown.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro
from matplotlib.figure import Figure

if __name__ == "__main__":  # Python puts this script's folder on the path, not the repository.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from experiments.analysis.curves import Curve, draw_curve, dress
from experiments.analysis.finished import Finished, is_complete, labelled_points, read_run
from experiments.analysis.legends import draw_legend, with_legend
from experiments.training.errors import UsageError, fail


@dataclass(frozen=True)
class Compare:
    """Learning curves of several runs in one figure, and their ends in one table.

    Attributes:
        runs: directories that experiments/run.py has left, all of one environment.
        out: the picture to write, .png or .pdf.
        threshold: success rate in (0, 1] that the table's last column waits for.
    """

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional]
    out: Path = Path("compare.png")
    threshold: float = 0.9


def save_figure(runs: list[Finished], path: Path) -> None:
    """Saves one panel per column with one curve per run and grid point.

    Raises:
        UsageError: if the file cannot be written.
    """
    names = shared_columns(runs)
    labelled = labelled_points(runs)
    labels = [label for label, _, _ in labelled]
    size = with_legend(4.2 * len(names), 4.2, labels)
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(1, len(names), squeeze=False)[0]
    for axes, name in zip(panels, names, strict=True):
        for index, (_, run, point) in enumerate(labelled):
            draw_curve(axes, run.curves[point][name], index)
        dress(axes, name, runs[0].summary.get("optimal_episode_length"))
    draw_legend(figure, panels[0], labels, size[0])
    figure.suptitle(f"{runs[0].env}: {statistic_text({run.num_seeds for run in runs})}")
    try:
        figure.savefig(path, dpi=120)
    except OSError as error:
        raise UsageError(
            f"out: expected a file that can be written, got {path} ({error.strerror}). Choose "
            "another place."
        ) from error


def shared_columns(runs: list[Finished]) -> tuple[str, ...]:
    """Returns the columns that every run has."""
    return tuple(name for name in runs[0].curves[0] if all(name in run.curves[0] for run in runs))


def statistic_text(num_seeds: set[int]) -> str:
    """Returns what the curves are over so many seeds.

    >>> statistic_text({1}), statistic_text({1, 5})
    ('one seed, no interval', 'mean and 95% interval over 1 (no interval) or 5 seeds')
    """
    if num_seeds == {1}:
        return "one seed, no interval"
    counts = [f"{count}{' (no interval)' * (count == 1)}" for count in sorted(num_seeds)]
    return f"mean and 95% interval over {' or '.join(counts)} seeds"


def table(runs: list[Finished], threshold: float) -> str:
    """Returns the ends of the runs as a table in Markdown."""
    names = shared_columns(runs)
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


def check(options: Compare) -> None:
    """Raises a UsageError for options that make no sense."""
    if not options.runs:
        raise UsageError("runs: expected one or several directories, got none. Name some.")
    if not 0 < options.threshold <= 1:  # NaN is refused as well.
        raise UsageError(
            f"threshold: expected a success rate in (0, 1], got {options.threshold}. Choose "
            "another, such as 0.9."
        )
    if options.out.suffix.lower() not in (".png", ".pdf"):
        raise UsageError(
            f"out: expected a file that ends in .png or .pdf, got {options.out}. Rename it."
        )
    if not options.out.parent.is_dir():
        raise UsageError(
            f"out: expected a file in a directory that exists, got {options.out}. Create "
            f"{options.out.parent}, or choose another."
        )


def read_comparable(directories: Sequence[Path]) -> list[Finished]:
    """Returns the runs; says on stderr which of them are not complete.

    Raises:
        UsageError: if one cannot be read, or they are not all of one environment.
    """
    runs = [read_run(directory) for directory in directories]
    if len(found := sorted({run.env for run in runs})) > 1:
        raise UsageError(
            "runs: expected runs all of the same environment with the same options, got "
            f"{'; '.join(found)}. Compare those of each by themselves."
        )
    for run in runs:
        if not is_complete(run.summary):
            print(
                f"Warning: {run.directory} is not complete: what is shown ends after "
                f"{run.summary['env_steps']:,} environment steps per seed; "
                f"experiments/run.py --resume {run.directory} goes on",
                file=sys.stderr,
            )
    return runs


def main() -> None:
    """Reads the command line, writes the picture and prints the table."""
    options = tyro.cli(Compare)
    try:
        check(options)
        runs = read_comparable(options.runs)
        save_figure(runs, options.out)
    except UsageError as error:
        fail(str(error), "experiments/compare.py")
    print(table(runs, options.threshold))


if __name__ == "__main__":
    main()
