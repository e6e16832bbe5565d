"""Runs side by side: their learning curves in one figure, their ends in one table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from experiments.analysis.curves import draw_curves, find_marks
from experiments.analysis.estimates import MEAN, estimate, show, show_steps
from experiments.analysis.results import Result
from experiments.analysis.tables import markdown
from experiments.training.errors import UsageError

METRICS = ("success", "return", "length")


class Entry(NamedTuple):
    """A grid point of a run, and what to call it."""

    label: str
    result: Result
    point: int


def environment(result: Result) -> str:
    """Returns an environment with its options, as a user tells them apart."""
    options = sorted(result.config["env_options"].items())
    return " ".join([result.config["environment"], *(f"{k}={v}" for k, v in options)])


def label_points(results: Sequence[Result]) -> list[Entry]:
    """Returns everything to compare.

    A label is the algorithm and the coefficients that differ within the run; where two would be
    the same, the run's directory is added, by its name or, if that is not enough, its path.
    """
    points = [(result, point) for result in results for point in range(result.num_points)]
    labels = [_label(result, point) for result, point in points]
    for place in (lambda result: result.directory.resolve().name, lambda result: result.directory):
        times = Counter(labels)
        labels = [
            f"{label} ({place(result)})" if times[label] > 1 else label
            for label, (result, _) in zip(labels, points, strict=True)
        ]
    return [Entry(label, *each) for label, each in zip(labels, points, strict=True)]


def _label(result: Result, point: int) -> str:
    label = result.config["algorithm"]
    if result.config["swept"]:
        label += f" {result.labels[point]}"
    if point in result.diverged:
        label += ", diverged"
    return label if result.is_complete else f"{label}, unfinished"


def shared_metrics(entries: Sequence[Entry]) -> list[str]:
    """Returns the episode metrics that every run reports."""
    return [name for name in METRICS if all(entry.result.has(name) for entry in entries)]


def save_figure(entries: Sequence[Entry], path: Path) -> None:
    """Saves one panel per metric with one curve per run and grid point.

    Raises:
        UsageError: if the file cannot be written.
    """
    counts = sorted({entry.result.num_seeds for entry in entries})
    first = entries[0].result
    figure = draw_curves(
        {
            name: [entry.result.curve(name, entry.point) for entry in entries]
            for name in shared_metrics(entries)
        },
        [entry.label for entry in entries],
        title=f"{environment(first)}: {describe_statistic(counts)}",
        marks=find_marks(first),
    )
    try:
        figure.savefig(path, dpi=120)
    except OSError as error:
        raise UsageError(
            f"out: expected a file that can be written, got {path} ({error.strerror}). Choose "
            "another place."
        ) from error


def describe_statistic(counts: Sequence[int]) -> str:
    """Returns what the curves are over so many seeds.

    >>> describe_statistic([1]), describe_statistic([1, 5])
    ('one seed, no interval', 'mean and 95% interval over 1 (no interval) or 5 seeds')
    """
    if list(counts) == [1]:
        return "one seed, no interval"
    texts = [f"{count}{' (no interval)' * (count == 1)}" for count in counts]
    return f"mean and 95% interval over {' or '.join(texts)} seeds"


def table(entries: Sequence[Entry], threshold: float) -> str:
    """Returns the ends of the runs, means over seeds, as a table in Markdown."""
    metrics = shared_metrics(entries)
    head = ["run", "seeds", *metrics]
    if "success" in metrics:
        head += [f"steps to {threshold:g} success", "reached"]
    rows = [head]
    for label, result, point in entries:
        ends = (estimate(result.ends(name, point), MEAN) for name in metrics)
        row = [label, str(result.num_seeds), *(show(end, ".3g") for end in ends)]
        if "success" in metrics:
            row += show_steps(*result.steps_to("success", point, threshold), MEAN)
        rows.append(row)
    return markdown(rows)
