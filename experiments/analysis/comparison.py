"""Runs side by side: their learning curves in one figure, their ends in tables, and warnings."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from experiments.analysis.colours import tell_apart
from experiments.analysis.entries import Entry
from experiments.analysis.estimates import (
    MEAN,
    MIN_SEEDS,
    improvement,
    mean_difference,
    show,
    show_steps,
)
from experiments.analysis.grids import PointLooks, point_looks, run_look
from experiments.analysis.panels import draw_metrics
from experiments.analysis.reading import read_result
from experiments.analysis.results import Result, reported
from experiments.analysis.statistics import DECISIVE, TABLED
from experiments.analysis.tables import end_cells, markdown
from experiments.training.errors import UsageError, shown
from experiments.training.naming import command


def read_comparable(directories: Sequence[Path]) -> list[Result]:
    """Returns the runs; says on stderr which of them are not complete, and what limits them all.

    Raises:
        UsageError: if one cannot be read, or they are not all of one environment.
    """
    results = [read_result(directory) for directory in directories]
    if len(found := sorted({task_of(result) for result in results})) > 1:
        raise UsageError(
            "runs: expected runs all of the same environment with the same options, got "
            f"{'; '.join(found)}. Compare those of each by themselves."
        )
    incomplete = [
        f"{result.directory} is not complete: what is shown ends after "
        f"{result.steps_after(result.num_updates):,} environment steps per seed; "
        f"{command('run')} --resume {shown(result.directory)} goes on"
        for result in results
        if not result.is_complete
    ]
    for warning in (*incomplete, *warnings(results)):
        print(f"Warning: {warning}", file=sys.stderr)
    return results


def task_of(result: Result) -> str:
    """Returns an environment with its options, as a user tells them apart: a file by its name."""
    options = sorted(result.config["env_options"].items())
    return " ".join([result.environment, *(f"{k}={v}" for k, v in options)])


def warnings(results: Sequence[Result]) -> list[str]:
    """Returns what limits a comparison of these runs: code or budgets that differ, few seeds.

    As in the table and the picture, steps are all that a seed took: SEPS' grouping counts.
    """
    found = _changed_environment(results)
    steps = sorted(
        (result.steps_after(result.num_updates), str(result.directory)) for result in results
    )
    # By less than an update runs of the same length differ as well, as they have whole updates.
    if steps[-1][0] - steps[0][0] >= max(result.steps_per_update for result in results):
        (least, shortest), (most, longest) = steps[0], steps[-1]
        before = sorted({result.steps_before_training for result in results} - {0})
        grouping = " or ".join(f"{count:,}" for count in before)
        grouping = f", {grouping} of SEPS' grouping among them" if before else ""
        found.append(
            f"steps: expected runs of the same length, got {least:,} environment steps per seed "
            f"in {shortest} and {most:,} in {longest}{grouping}; their ends are not after the same "
            "experience. Train the shorter on: --resume with --total-steps."
        )
    counts = {str(result.directory): result.num_seeds for result in results}
    if few := [f"{count} in {path}" for path, count in counts.items() if count < MIN_SEEDS]:
        found.append(
            f"seeds: expected at least {MIN_SEEDS} per run, got {', '.join(few)}; intervals over "
            "so few mean little. Train more: --seeds."
        )
    return found


def _changed_environment(results: Sequence[Result]) -> list[str]:
    """Returns a warning if the file that makes the environment was not the same in all runs."""
    first_of: dict[str, Result] = {}
    for result in results:
        if source := result.config.get("environment_source"):
            first_of.setdefault(source["sha256"], result)
    if len(first_of) < 2:
        return []
    one, other, *_ = first_of.values()
    return [
        f"environment: expected one {task_of(one)}, got other code in {other.directory} than "
        f"in {one.directory}: its file was changed between the runs, or is another of that name. "
        "They may have learnt different tasks. Train one of them again."
    ]


def save_figure(entries: Sequence[Entry], path: Path) -> None:
    """Saves one panel per metric that changes, with one curve per run and grid point.

    The curves are those of training, whose ends the tables state.

    Raises:
        UsageError: if the file cannot be written.
    """
    results, drawn = [entry.point.result for entry in entries], entry_looks(entries)
    counts = sorted({result.num_seeds for result in results})
    statistic = describe_statistic(counts, has_bands=drawn.has_bands)
    title = f"{task_of(results[0])}: {statistic}"
    figure = draw_metrics(reported(results, TABLED), drawn, {}, title)
    try:
        figure.savefig(path, dpi=120)
    except OSError as error:
        raise UsageError(
            f"out: expected a file that can be written, got {path} ({error.strerror}). Choose "
            "another place."
        ) from error


def entry_looks(entries: Sequence[Entry]) -> PointLooks:
    """Returns how runs are drawn: by their algorithms; a single grid as in its own picture."""
    results = [entry.point.result for entry in entries]
    if len(set(results)) == 1 and (drawn := point_looks(results[0])).legend:
        return drawn
    looks, legend = {}, []
    for entry, look in zip(entries, tell_apart([*map(run_look, results)]), strict=True):
        looks[entry.point] = look.among(len(entries))
        name = entry.label + ", no curve" * (not entry.point.has_curve)
        legend.append((name, looks[entry.point]))
    return PointLooks(looks, legend)


def describe_statistic(counts: Sequence[int], *, has_bands: bool = True) -> str:
    """Returns what the curves are over so many seeds.

    >>> describe_statistic([1]), describe_statistic([1, 5])
    ('one seed, no interval', 'mean and 95% interval over 1 (no interval) or 5 seeds')
    """
    if list(counts) == [1]:
        return "one seed, no interval"
    lacking = " (no interval)" * has_bands
    texts = [f"{count}{lacking * (count == 1)}" for count in counts]
    return f"mean{' and 95% interval' * has_bands} over {' or '.join(texts)} seeds"


def table(entries: Sequence[Entry], threshold: float) -> str:
    """Returns the ends of the runs, means over seeds, as a table in Markdown."""
    metrics = reported([entry.point.result for entry in entries], TABLED)
    has_success = "success" in metrics
    until = [f"steps to {threshold:g} success", "reached"] * has_success
    rows = [["run", "seeds", "steps", *metrics, *until]]
    for label, point in entries:
        steps = f"{point.result.steps_after(point.num_sound):,}"
        row = [label, str(point.result.num_seeds), steps, *end_cells(point, metrics, MEAN, ".3g")]
        if has_success:
            row += show_steps(*point.steps_to("success", threshold), MEAN)
        rows.append(row)
    return markdown(rows)


def difference_table(entries: Sequence[Entry]) -> str:
    """Returns how much further the others end than the first, and how surely, in Markdown."""
    first, *others = entries
    metrics = reported([entry.point.result for entry in entries], DECISIVE)
    heads = [(f"{name}: difference", "probability of improvement") for name in metrics]
    rows = [[f"against {first.label}", *(cell for pair in heads for cell in pair)]]
    for label, point in others:
        row = [label]
        for name in metrics:
            pair = point.ends(name), first.point.ends(name)
            row += [show(mean_difference(*pair), ".3g"), show(improvement(*pair), ".2f")]
        rows.append(row)
    return markdown(rows)
