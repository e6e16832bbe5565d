"""Runs side by side: their learning curves in one figure, their ends in tables, and warnings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from experiments.analysis.colours import tell_apart
from experiments.analysis.curves import draw_curves
from experiments.analysis.entries import Entry
from experiments.analysis.estimates import (
    MEAN,
    MIN_SEEDS,
    estimate,
    improvement,
    mean_difference,
    show,
    show_steps,
)
from experiments.analysis.grids import run_look
from experiments.analysis.panels import choose_metrics, find_marks
from experiments.analysis.results import Result
from experiments.analysis.summary import DECISIVE
from experiments.analysis.tables import markdown
from experiments.training.errors import UsageError

METRICS = ("success", "return", "length")


def environment(result: Result) -> str:
    """Returns an environment with its options, as a user tells them apart."""
    options = sorted(result.config["env_options"].items())
    return " ".join([result.config["environment"], *(f"{k}={v}" for k, v in options)])


def shared_metrics(entries: Sequence[Entry]) -> list[str]:
    """Returns the episode metrics that every run reports."""
    return [name for name in METRICS if all(entry.result.has(name) for entry in entries)]


def warnings(results: Sequence[Result]) -> list[str]:
    """Returns what limits a comparison of these runs: too few seeds, budgets that differ."""
    found = []
    steps = sorted((result.env_steps, str(result.directory)) for result in results)
    # By less than an update runs of the same length differ as well, as they have whole updates.
    if steps[-1][0] - steps[0][0] >= max(result.steps_per_update for result in results):
        (least, shortest), (most, longest) = steps[0], steps[-1]
        found.append(
            f"steps: expected runs of the same length, got {least:,} environment steps per seed "
            f"in {shortest} and {most:,} in {longest}; their ends are not after the same "
            "training. Train the shorter on: --resume with --total-steps."
        )
    counts = {str(result.directory): result.num_seeds for result in results}
    if few := [f"{count} in {path}" for path, count in counts.items() if count < MIN_SEEDS]:
        found.append(
            f"seeds: expected at least {MIN_SEEDS} per run, got {', '.join(few)}; intervals over "
            "so few mean little. Train more: --seeds."
        )
    return found


def save_figure(entries: Sequence[Entry], path: Path) -> None:
    """Saves one panel per metric that changes, with one curve per run and grid point.

    Raises:
        UsageError: if the file cannot be written.
    """
    counts = sorted({entry.result.num_seeds for entry in entries})
    first, looks = entries[0].result, tell_apart([run_look(one.result) for one in entries])
    chosen = choose_metrics(shared_metrics(entries), [entry[1:] for entry in entries])
    title = f"{environment(first)}: {describe_statistic(counts)}"
    figure = draw_curves(
        {
            name: [
                (entry.result.curve(name, entry.point), look)
                for entry, look in zip(entries, looks, strict=True)
            ]
            for name in chosen.metrics
        },
        [(entry.label, look) for entry, look in zip(entries, looks, strict=True)],
        title="\n".join(filter(None, [title, chosen.remark])),
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
    head = ["run", "seeds", "steps", *metrics]
    if "success" in metrics:
        head += [f"steps to {threshold:g} success", "reached"]
    rows = [head]
    for label, result, point in entries:
        ends = (estimate(result.ends(name, point), MEAN) for name in metrics)
        steps = f"{result.steps_after(result.num_sound(point)):,}"
        row = [label, str(result.num_seeds), steps, *(show(end, ".3g") for end in ends)]
        if "success" in metrics:
            row += show_steps(*result.steps_to("success", point, threshold), MEAN)
        rows.append(row)
    return markdown(rows)


def difference_table(entries: Sequence[Entry]) -> str:
    """Returns how much further the others end than the first, and how surely, in Markdown."""
    first, *others = entries
    metrics = [name for name in DECISIVE if name in shared_metrics(entries)]
    heads = [(f"{name}: difference", "probability of improvement") for name in metrics]
    rows = [[f"against {first.label}", *(cell for pair in heads for cell in pair)]]
    for label, result, point in others:
        row = [label]
        for name in metrics:
            pair = result.ends(name, point), first.result.ends(name, first.point)
            row += [show(mean_difference(*pair), ".3g"), show(improvement(*pair), ".2f")]
        rows.append(row)
    return markdown(rows)
