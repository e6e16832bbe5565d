"""Puts runs side by side: ``python experiments/compare.py runs/a runs/b --out compare.png``.

Draws the learning curves of runs on one environment in one figure, those of training, and prints
two tables in Markdown: how each ends, and how far each is from the run that is named first.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

if __name__ == "__main__":  # Python puts this script's folder on the path, not the repository.
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    from oatrpo_jax.__main__ import start

    sys.exit(start("compare"))

from experiments.training.errors import UsageError
from experiments.training.settings.arguments import read_options, run_script
from experiments.training.surroundings import check_file

DIFFERENCES = """Differences of the means at the end, with Welch's 95% interval. Probability of
improvement: the share of pairs of seeds in which the row is ahead of the run named first, ties
half, with a 95% bootstrap interval, which has no width where all pairs are won or lost."""
"""What is said of the second table."""


@dataclass(frozen=True)
class Compare:
    """Learning curves of several runs in one figure, their ends and differences in tables.

    Attributes:
        runs: directories that runs have left, all of one environment; differences are from the
            first point of the first of them.
        out: the picture to write, .png or .pdf.
        threshold: success rate in (0, 1] that the table's last columns wait for.
    """

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional]
    out: Path = Path("compare.png")
    threshold: float = 0.9


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command line and returns the exit code; a usage error exits with 2."""
    return run_script("compare", argv, read, compare)


def read(arguments: Sequence[str]) -> Compare:
    """Returns what a command line asks for; shows help or a usage error and exits if need be."""
    return read_options("compare", Compare, arguments)


def compare(options: Compare) -> None:
    """Writes the picture and prints the tables; what limits the comparison goes to stderr."""
    check(options)
    # Slow to import; help and mistakes that tyro finds do not wait for them.
    from experiments.analysis import comparison
    from experiments.analysis.entries import label_points

    entries = label_points(comparison.read_comparable(options.runs))
    comparison.save_figure(entries, options.out)
    print(comparison.table(entries, options.threshold))
    if len(entries) > 1:
        print(f"\n{DIFFERENCES}\n\n{comparison.difference_table(entries)}")


def check(options: Compare) -> None:
    """Raises a UsageError for options that make no sense."""
    if not options.runs:
        raise UsageError("runs: expected one or several directories, got none. Name some.")
    places = [directory.resolve() for directory in options.runs]
    if again := [str(place) for place in sorted({*places}) if places.count(place) > 1]:
        raise UsageError(
            f"runs: expected each directory once, got {', '.join(again)} again. Leave it out once."
        )
    if not 0 < options.threshold <= 1:  # NaN is refused as well.
        raise UsageError(
            f"threshold: expected a success rate in (0, 1], got {options.threshold}. Choose "
            "another, such as 0.9."
        )
    if options.out.suffix.lower() not in (".png", ".pdf"):
        raise UsageError(
            f"out: expected a file that ends in .png or .pdf, got {options.out}. Rename it."
        )
    check_file("out", options.out)
