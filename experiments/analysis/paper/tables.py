"""A figure's numbers: data.csv, table.md and claims.md."""

from __future__ import annotations

import csv
from pathlib import Path

from experiments.analysis.paper.claims import MIN_SEEDS, THRESHOLD
from experiments.analysis.paper.evidence import Outcome, Series
from experiments.analysis.statistics import estimate, probability_of_improvement, show
from experiments.analysis.tables import Rows, markdown


def save_data(outcome: Outcome, path: Path) -> None:
    """Saves every seed's curve in long form: one row per series, seed and bin."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["series", "seed", "metric", "env_steps", "value"])
        for series in outcome.series:
            for index, seed in enumerate(series.result.summary["seeds"]):
                for metric in outcome.metrics:
                    curve = series.result.seed_curve(metric, series.point, index)
                    for env_steps, value in zip(*curve, strict=True):
                        writer.writerow([series.label, seed, metric, env_steps, f"{value:.6g}"])


def summary_table(outcome: Outcome) -> Rows:
    """Returns the ends and the steps to the threshold, a header first."""
    evaluated = [f"greedy {outcome.figure.metric}"] if outcome.figure.evaluated else []
    head = [
        "",
        "seeds",
        *evaluated,
        *outcome.metrics,
        f"steps to {THRESHOLD:g} of the optimum",
        "reached",
    ]
    return [head, *(_summary_row(series, outcome) for series in outcome.series)]


def _summary_row(series: Series, outcome: Outcome) -> list[str]:
    ends = [show(estimate(series.ends(metric)), ".3g") for metric in outcome.metrics]
    measured = series.measured
    if outcome.figure.evaluated:
        ends = [show(estimate(measured.end), ".3g"), *ends]
    bound = "" if measured.reached.all() else "at least "
    return [
        series.label,
        str(series.result.num_seeds),
        *ends,
        bound + show(estimate(measured.steps), ",.0f"),
        f"{int(measured.reached.sum())} of {len(measured.reached)}",
    ]


def improvement_table(outcome: Outcome) -> Rows:
    """Returns the probability that a seed of the row needs fewer steps than one of the column."""
    labels = [series.label for series in outcome.series]
    rows = [
        [row.label, *(_improvement(row, column) for column in outcome.series)]
        for row in outcome.series
    ]
    return [["", *labels], *rows]


def _improvement(row: Series, column: Series) -> str:
    if row is column:
        return ""
    chance = probability_of_improvement(column.measured.steps, row.measured.steps)
    return f"{chance:.2f}"


def save_tables(outcome: Outcome, path: Path) -> None:
    """Saves both tables in Markdown."""
    missing = ", ".join(outcome.missing)
    parts = [
        f"# {outcome.figure.title}",
        explain_table(outcome),
        *([f"**Missing, as the run did not finish: {missing}.**"] if missing else []),
        markdown(summary_table(outcome)),
        "Probability that a seed of the row needs fewer steps than a seed of the column, ties "
        "counted half:",
        markdown(improvement_table(outcome)),
    ]
    path.write_text("\n\n".join(parts) + "\n")


def explain_table(outcome: Outcome) -> str:
    """Returns what the numbers of the table are."""
    budgets = sorted({series.measured.budget for series in outcome.series})
    steps = " or ".join(f"{budget:,}" for budget in budgets)
    greedy = (
        "Greedy is what the likeliest actions of the policies at the end reach in 200 new episodes "
        "per seed. "
    )
    return (
        f"{outcome.caption} {greedy if outcome.figure.evaluated else ''}"
        f"Ends are over the last tenth of {steps} environment steps per seed. "
        f"The optimum is 1 in {outcome.figure.metric}; a seed that never reached "
        f"{THRESHOLD:g} of it counts with all its steps, which is then a lower bound."
    )


def save_claims(outcome: Outcome, path: Path) -> None:
    """Saves claim, measurement and verdict."""
    parts = [
        f"# Claims on {outcome.figure.title}",
        "A check holds (fails) where the 95% bootstrap interval of the difference of means over "
        "seeds lies wholly on the claimed (the other) side; else, and with fewer than "
        f"{MIN_SEEDS} seeds, it is undecided. A claim holds if all its checks do, and fails if any "
        "does.",
        explain_table(outcome),
    ]
    for number, sentence, findings, verdict in outcome.examine():
        parts.append(f"## {number}. {sentence}\n\n**{spell(verdict, outcome)}**")
        rows = [["check", "measured", "verdict"], *(list(finding) for finding in findings)]
        parts.append(markdown(rows))
    path.write_text("\n\n".join(parts) + "\n")


def spell(verdict: str, outcome: Outcome) -> str:
    """Returns a verdict with what limits it."""
    if verdict != "undecided":
        return verdict
    seeds = "one seed" if outcome.num_seeds == 1 else f"{outcome.num_seeds} seeds"
    return f"undecided at {seeds}"
