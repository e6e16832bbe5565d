"""What a run shows on the console while it goes on: what it waits for, and a live line."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Column

from experiments.training.settings.experiment import Experiment

PLAIN_LINES = 10
"""How many lines a run prints where there is no terminal to draw on."""


def make_console() -> Console:
    """Returns the console of stdout, wide enough for a table where it is a file.

    A terminal that cannot move its cursor (``TERM=dumb``) is used like a file.  Brackets, of a path
    say, are shown as they are.
    """
    console = Console(highlight=False, markup=False)
    if console.is_terminal and not console.is_dumb_terminal:
        return console
    return Console(highlight=False, markup=False, width=120, force_terminal=False)


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
        """Says what is shown; entering the context starts the clock.

        Args:
            done_before: updates that an earlier process did.
        """
        self._experiment = experiment
        self._done_before = done_before
        self._console = console
        self._start = 0.0
        self._lines = done_before * PLAIN_LINES // experiment.config.num_updates
        self._recent: dict[str, float] = {}
        self._num_episodes = 0
        # On a narrow terminal the text goes on in a second line; by default it would be cut off.
        text = TextColumn("{task.description}", table_column=Column(overflow="fold"))
        self._progress = Progress(BarColumn(12), text, console=console)
        self._task: TaskID | None = None

    def __enter__(self) -> ProgressLine:
        self._start = time.perf_counter()
        if self._console.is_terminal:
            self._progress.start()
            self._task = self._progress.add_task("", total=self._experiment.config.num_updates)
        return self

    def __exit__(self, *exception: object) -> None:
        if self._task is not None:
            self._progress.stop()

    def show(self, metrics: Mapping[str, np.ndarray], updates: Sequence[int]) -> None:
        """Shows where the run stands after these updates, whose metrics are ``[U, P, K, ...]``."""
        done, total = updates[-1], self._experiment.config.num_updates
        self._look_at(metrics)
        line = self._line(done, total)
        if self._task is not None:
            self._progress.update(self._task, completed=done, description=line)
        elif (lines := done * PLAIN_LINES // total) > self._lines:
            self._lines = lines
            self._console.print(f"{done / total:4.0%}  {line}", soft_wrap=True)

    def _look_at(self, metrics: Mapping[str, np.ndarray]) -> None:
        """Takes the means over the updates' episodes, or keeps the last ones if none ended."""
        count = metrics["episode/count"]
        for name in ("return", "success"):
            value = metrics.get(f"episode/{name}", np.full_like(count, np.nan))
            is_known = (count > 0) & np.isfinite(value)
            if is_known.any():
                self._recent[name] = np.average(value[is_known], weights=count[is_known])
                self._num_episodes = int(count[is_known].sum())

    def _line(self, done: int, total: int) -> str:
        seconds = max(time.perf_counter() - self._start, 1e-9)
        per_update = self._experiment.config.steps_per_update
        done_here = done - self._done_before
        speed = done_here * per_update * math.prod(self._experiment.lanes) / seconds
        left = timedelta(seconds=round(seconds / done_here * (total - done)))
        return (
            f"update {done}/{total}  {done * per_update:,} steps/seed  {speed:,.0f} steps/s  "
            f"{left} left  {self._episodes()}"
        )

    def _episodes(self) -> str:
        """Returns how the episodes that ended lately went, in all seeds and grid points."""
        if not self._recent:
            return "no episode has ended yet"
        means = "  ".join(f"{name} {mean:.3f}" for name, mean in self._recent.items())
        return f"{means}  (mean of {self._num_episodes:,} episodes)"


def say_schedules(experiment: Experiment, console: Console) -> None:
    """Says that schedules keep their ends, if a run is made longer than they are."""
    updates, given = experiment.schedule_updates, experiment.options.given
    is_longer = updates is not None and updates < experiment.config.num_updates
    if is_longer and "total_steps" in given and "schedule_steps" not in given:
        console.print(
            f"schedules end with update {updates} as before, and coefficients keep their ends from "
            f"there on; --schedule-steps {experiment.total_steps} draws the lines anew, over all",
            soft_wrap=True,
        )
