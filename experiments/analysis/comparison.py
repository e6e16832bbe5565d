"""Runs side by side: their learning curves in one figure, their ends in tables, and warnings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from envs.importing import without_folder
from experiments.analysis.colours import tell_apart
from experiments.analysis.curves import draw_curves, looks_shown
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
from experiments.analysis.grids import (
    MAX_BANDS,
    THIN,
    PointLooks,
    has_curve,
    point_looks,
    run_look,
)
from experiments.analysis.panels import (
    CROSS,
    CROSS_NAME,
    DrawnPoint,
    choose_metrics,
    find_marks,
    training_lines,
)
from experiments.analysis.results import Result
from experiments.analysis.summary import DECISIVE
from experiments.analysis.tables import markdown
from experiments.training.errors import UsageError

METRICS = ("success", "return", "length")


def environment(result: Result) -> str:
    """Returns an environment with its options, as a user tells them apart: a file by its name."""
    name, options = result.config["environment"], sorted(result.config["env_options"].items())
    return " ".join([without_folder(name), *(f"{k}={v}" for k, v in options)])


def shared_metrics(entries: Sequence[Entry]) -> list[str]:
    """Returns the episode metrics that every run reports."""
    return [name for name in METRICS if all(entry.result.has(name) for entry in entries)]


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
        found.append(
            f"steps: expected runs of the same length, got {least:,} environment steps per seed "
            f"in {shortest} and {most:,} in {longest}{_of_grouping(results)}; their ends are not "
            "after the same experience. Train the shorter on: --resume with --total-steps."
        )
    counts = {str(result.directory): result.num_seeds for result in results}
    if few := [f"{count} in {path}" for path, count in counts.items() if count < MIN_SEEDS]:
        found.append(
            f"seeds: expected at least {MIN_SEEDS} per run, got {', '.join(few)}; intervals over "
            "so few mean little. Train more: --seeds."
        )
    return found


def _of_grouping(results: Sequence[Result]) -> str:
    """Returns how many of the steps were before training, in words; "" if none were."""
    counts = sorted({result.steps_before_training for result in results} - {0})
    listed = " or ".join(f"{count:,}" for count in counts)
    return f", {listed} of SEPS' grouping among them" if counts else ""


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
        f"environment: expected one {environment(one)}, got other code in {other.directory} than "
        f"in {one.directory}: its file was changed between the runs, or is another of that name. "
        "They may have learnt different tasks. Train one of them again."
    ]


def save_figure(entries: Sequence[Entry], path: Path) -> None:
    """Saves one panel per metric that changes, with one curve per run and grid point.

    The curves are those of training, whose ends the tables state.

    Raises:
        UsageError: if the file cannot be written.
    """
    first, drawn = entries[0].result, entry_looks(entries)
    chosen = choose_metrics(shared_metrics(entries), [entry[1:] for entry in entries])
    points = [DrawnPoint(*entries[place][1:], drawn.looks[place]) for place in drawn.order]
    lines = {name: training_lines(name, points) for name in chosen.metrics}
    counts = sorted({entry.result.num_seeds for entry in entries})
    title = f"{environment(first)}: {describe_statistic(counts, has_bands=drawn.has_bands)}"
    figure = draw_curves(
        lines,
        [*drawn.entries, *[(CROSS_NAME, CROSS)] * (CROSS in looks_shown(lines))],
        title="\n".join(filter(None, [title, drawn.remark, chosen.remark])),
        marks=find_marks(first),
    )
    try:
        figure.savefig(path, dpi=120)
    except OSError as error:
        raise UsageError(
            f"out: expected a file that can be written, got {path} ({error.strerror}). Choose "
            "another place."
        ) from error


def entry_looks(entries: Sequence[Entry]) -> PointLooks:
    """Returns how runs are drawn: by their algorithms; a single grid as in its own picture."""
    results = [entry.result for entry in entries]
    if all(result is results[0] for result in results):
        drawn = point_looks(results[0])
        if drawn.entries:
            return drawn
    has_band = len(entries) <= MAX_BANDS
    width = None if has_band else THIN
    looks = [
        look._replace(width=width, has_band=has_band)
        for look in tell_apart([run_look(result) for result in results])
    ]
    names = [
        entry.label + ", no curve" * (not has_curve(entry.result, entry.point)) for entry in entries
    ]
    return PointLooks(looks, [*zip(names, looks, strict=True)], [*range(len(looks))])


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
