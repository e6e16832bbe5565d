"""What a run shows on the console: what it waits for, a live line, a last table."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Column, Table
from rich.text import Text

from experiments.analysis.summary import episode_mean
from experiments.training.program import Chunk
from experiments.training.settings.experiment import Experiment

PLAIN_LINES = 10
"""How many lines a run prints where there is no terminal to draw on."""


def make_console() -> Console:
    """Returns the console of stdout, wide enough for a table where it is a file."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=120)


@contextmanager
def status(console: Console, text: str) -> Iterator[None]:
    """Says what goes on while nothing else happens for a while."""
    if not console.is_terminal:
        console.print(text)
        yield
        return
    with console.status(text):
        yield


class ProgressLine:
    """Updates, steps, speed, time left, return and success: live, or a line per tenth."""

    def __init__(self, experiment: Experiment, console: Console, done_before: int = 0) -> None:
        """Starts the clock; the line appears with the first chunk.

        Args:
            experiment: what is run.
            console: where.
            done_before: updates that an earlier process did.
        """
        self._experiment = experiment
        self._done_before = done_before
        self._console = console
        self._start = time.perf_counter()
        self._lines = done_before * PLAIN_LINES // experiment.config.num_updates
        self._recent = {"return": float("nan")}
        # On a narrow terminal the text goes on in a second line; by default it would be cut off.
        text = TextColumn("{task.description}", table_column=Column(overflow="fold"))
        self._progress = Progress(BarColumn(12), text, console=console)
        self._task: TaskID | None = None

    def __enter__(self) -> ProgressLine:
        if self._console.is_terminal:
            self._progress.start()
            self._task = self._progress.add_task("", total=self._experiment.config.num_updates)
        return self

    def __exit__(self, *exception: object) -> None:
        if self._task is not None:
            self._progress.stop()

    def show(self, chunk: Chunk) -> None:
        """Shows where the run stands after a chunk."""
        done, total = chunk.last_update, self._experiment.config.num_updates
        self._look_at(chunk.metrics)
        line = self._line(done, total)
        if self._task is not None:
            self._progress.update(self._task, completed=done, description=line)
        elif (lines := done * PLAIN_LINES // total) > self._lines:
            self._lines = lines
            self._console.print(f"{done / total:4.0%}  {line}", soft_wrap=True)

    def _look_at(self, metrics: Mapping[str, np.ndarray]) -> None:
        """Takes the mean over the chunk's episodes, or keeps the last one if none ended."""
        count = metrics["episode/count"].ravel()
        for name in told(metrics, "return", "success"):
            before = self._recent.get(name, float("nan"))
            mean = float(episode_mean(metrics[f"episode/{name}"].ravel(), count))
            self._recent[name] = before if np.isnan(mean) else mean

    def _line(self, done: int, total: int) -> str:
        seconds = max(time.perf_counter() - self._start, 1e-9)
        steps = done * self._experiment.config.steps_per_update
        lanes = len(self._experiment.seeds) * len(self._experiment.points)
        done_here = done - self._done_before
        speed = done_here * self._experiment.config.steps_per_update * lanes / seconds
        left = timedelta(seconds=round(seconds / done_here * (total - done)))
        return (
            f"update {done}/{total}  {steps:,} steps/seed  {speed:,.0f} steps/s  "
            f"{left} left  return {self._recent['return']:.3f}"
            + (f"  success {self._recent['success']:.2f}" if "success" in self._recent else "")
        )


def told(metrics: Mapping[str, Any], *names: str) -> tuple[str, ...]:
    """Returns those of the names that the environment reports of its episodes.

    >>> told({"episode/return": 1.0}, "success", "return")
    ('return',)
    """
    return tuple(name for name in names if f"episode/{name}" in metrics)


def print_report(
    console: Console,
    experiment: Experiment,
    summary: Mapping[str, Any],
    directory: Path,
) -> None:
    """Prints the table of grid points, the speed, and where everything lies."""
    num_seeds = len(summary["seeds"])
    title = f"{summary['environment']}, {summary['algorithm']}, seeds: {num_seeds}"
    caption = "mean and 95% interval over seeds, last tenth of the run" if num_seeds > 1 else None
    table = Table("point", title=title, caption=caption, box=None)
    columns = told((summary["points"] or [{}])[0], "success", "return", "length")
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    for index, point in enumerate(summary["points"]):
        cells = (_cell(point[f"episode/{name}"]) for name in columns)
        table.add_row(experiment.label(index), *cells)
    console.print(table)
    for index, point in enumerate(summary["points"]):
        if "absolute" in point:
            best = point["absolute"]
            cells = ", ".join(f"{n} {_cell(best[n])}" for n in ("success", "return") if n in best)
            text = f"best policies of {experiment.label(index)}, {best['episodes']} new episodes: "
            console.print(text + cells, soft_wrap=True)
    if "optimal_episode_length" in summary:
        console.print(f"optimal length: {summary['optimal_episode_length']:.2f}")
    console.print(
        f"{summary['env_steps_per_second']:,.0f} steps/s over all seeds and points; compiled in "
        f"{summary['compile_seconds']:.1f} s, ran {summary['run_seconds']:.1f} s"
    )
    if not hasattr(experiment.trainer.env, "animate"):
        console.print(f"no replay.gif: {summary['environment']} has no viewer")
    files = sorted(path.name for path in directory.iterdir() if path.name[0] != ".")
    console.print(Text(f"{directory}: {', '.join(files)}"), soft_wrap=True)


def _cell(statistics: Mapping[str, Any]) -> str:
    if statistics["mean"] is None:
        return "no episode ended"
    numbers = [statistics["mean"], *(statistics["ci95"] or ())]
    mean, *interval = (f"{x:.1f}" if abs(x) >= 10 else f"{x:.2f}" for x in numbers)
    return f"{mean} [{', '.join(interval)}]" if interval else mean
