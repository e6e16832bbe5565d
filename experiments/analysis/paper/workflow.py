"""From a request to a results folder: train what is missing, then draw and judge."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from experiments.analysis.paper import cache
from experiments.analysis.paper.data_files import save_data, save_marl_eval
from experiments.analysis.paper.drawing import save_figure
from experiments.analysis.paper.figures import FIGURES
from experiments.analysis.paper.outcome import Outcome, series_of
from experiments.analysis.paper.plans import Figure, Plan, arguments
from experiments.analysis.paper.report import save_report, save_tables
from experiments.analysis.reading import read_result
from experiments.training.errors import UsageError
from experiments.training.folder.files import locked, write_json
from experiments.training.naming import command
from experiments.training.signals import STOPPING
from experiments.training.surroundings import Devices

MANIFEST = "figure.json"
"""What a figure's folder was made of."""

SHOWN_DIFFERENCES = 8

INTERRUPTED = {code for number in STOPPING for code in (128 + number, -number)}
"""Exit codes of a run that a signal stopped before its end, in its own way or at once."""


class Request(NamedTuple):
    """A figure to make, or one that was made.

    Attributes:
        figure: which.
        root: folder of all results.
        manifest: what it is made of: seeds, budget, every run resolved, code and versions.
    """

    figure: Figure
    root: Path
    manifest: dict[str, Any]

    @property
    def directory(self) -> Path:
        """The figure's folder."""
        return self.root / self.figure.name

    def runs(self) -> Iterator[tuple[str, Plan, cache.CachedRun]]:
        """Yields its runs: the place of each among them in words, the plan, the run."""
        made_of, plans = self.manifest, self.figure.plans
        for number, plan in enumerate(plans, 1):
            typed = arguments(self.figure, plan, made_of["seeds"], made_of["budget"])
            resolved = made_of["runs"][plan.label]
            directory = cache.directory_of(resolved, made_of["code"], self.root / "cache")
            place = f"{self.figure.name}, run {number} of {len(plans)}: {plan.label}"
            yield place, plan, cache.CachedRun(typed, resolved, directory)


def reproduce(
    figures: Sequence[Figure],
    seeds: int,
    budget: float,
    devices: Devices,
    root: Path,
    console: Console,
) -> int:
    """Makes figures in a folder of results, and the report; returns 0, or 1 if a curve is missing.

    Raises:
        UsageError: if a folder holds results of other code or configuration, before anything runs.
        KeyboardInterrupt: if a run was interrupted.
    """
    code = cache.code_state()
    requests = [plan_figure(figure, seeds, budget, code, root) for figure in figures]
    for request in requests:
        check_folder(request)
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"out: cannot write to {root}: {error.strerror}; choose another"
        ) from error
    with locked(root):  # A second command would restart runs under way.
        made = {each.figure.name: make_figure(each, devices, console) for each in requests}
        if seeds == 1:
            console.print("One seed: there is no interval, and no claim can be decided.")
        console.print(
            f"Everything on one page: {save_report(root, find_outcomes(root, made, console))}"
        )
    return int(any(outcome.missing for outcome in made.values()))


def plan_figure(
    figure: Figure, seeds: int, budget: float, code: dict[str, str], root: Path
) -> Request:
    """Returns what a figure is to be made of; nothing is created."""
    runs = {
        plan.label: cache.resolve(arguments(figure, plan, seeds, budget)) for plan in figure.plans
    }
    return Request(figure, root, {"seeds": seeds, "budget": budget, "code": code, "runs": runs})


def check_folder(request: Request) -> None:
    """Raises a UsageError if a folder holds results of other code or another configuration."""
    directory = request.directory
    found = cache.read_optional(directory / MANIFEST)
    if not found and directory.is_dir() and any(directory.iterdir()):
        raise UsageError(f"out: {directory} holds files that are no results; choose another --out")
    if found and (changes := cache.differences(found, request.manifest)):
        shown = changes[:SHOWN_DIFFERENCES]
        if len(changes) > len(shown):
            shown.append(f"and {len(changes) - len(shown)} more")
        listed = "\n  ".join(shown)
        raise UsageError(
            f"out: {directory} holds results of other code or configuration:\n  {listed}\n"
            "Choose another --out, or remove that folder."
        )


def make_figure(request: Request, devices: Devices, console: Console) -> Outcome:
    """Writes a figure's files and prints its verdicts, once all its runs are trained."""
    figure, directory = request.figure, request.directory
    directory.mkdir(exist_ok=True)
    write_json(directory / MANIFEST, request.manifest)
    # Seconds are compared, also with those of earlier commands: all of them are of one device.
    devices = 1 if figure.kind == "sizes" else devices
    for place, _, run in request.runs():
        train_missing(run, place, devices, request.manifest["code"], console)
    outcome = read_outcome(request, console)
    if not outcome.series:
        console.print(f"{figure.name}: no run has anything to draw")
        return outcome
    save_figure(outcome, directory)
    save_data(outcome, directory / "data.csv")
    save_marl_eval(outcome, directory / "marl-eval.json")
    save_tables(outcome, directory)
    table = Table("", "claim", "verdict", title=figure.title, box=None)
    for claim, _, verdict in outcome.verdicts:
        table.add_row(str(claim.number), claim.sentence, outcome.qualified(verdict))
    console.print(table)
    names = sorted(path.name for path in directory.iterdir())
    console.print(f"{directory}: {', '.join(names)}")
    return outcome


def train_missing(
    run: cache.CachedRun, place: str, devices: Devices, code: dict[str, str], console: Console
) -> None:
    """Trains a run that is not finished; says so if it is not then.

    Raises:
        UsageError: if the code changed meanwhile.
        KeyboardInterrupt: if it was interrupted.
    """
    if run.is_complete():
        console.print(f"{place}: there already")
        return
    console.print(f"{place}: {shlex.join(run.arguments)}")
    exit_code = run.train(devices)
    if changes := cache.differences(code, cache.code_state()):
        shutil.rmtree(run.directory, ignore_errors=True)
        raise UsageError(
            f"code: it changed while {place} was trained ({'; '.join(changes)}); that run "
            "is thrown away. Choose another --out, or remove the figure's folder"
        )
    if run.is_complete():
        return
    if exit_code in INTERRUPTED:
        raise KeyboardInterrupt
    console.print(f"{place}: did not finish (exit code {exit_code}); going on without it")
    if run.directory.exists():
        console.print(f"To train it anew, remove {run.directory}", soft_wrap=True)


def read_outcome(request: Request, console: Console) -> Outcome:
    """Returns what the finished runs of a figure came to; says what there is nothing of."""
    series, missing, commands = [], [], []
    for place, plan, run in request.runs():
        commands.append(f"{command('run')} {shlex.join(run.arguments)}")
        if not run.is_complete():
            missing.append(plan.label)
            continue
        for one in series_of(request.figure, plan, read_result(run.directory)):
            if one.lacks:
                console.print(f"{place}: {one.label} {one.lacks}; going on without it")
                missing.append(one.label)
            else:
                series.append(one)
    seeds = request.manifest["seeds"]
    return Outcome(request.figure, tuple(series), tuple(missing), seeds, tuple(commands))


def find_outcomes(root: Path, made: Mapping[str, Outcome], console: Console) -> list[Outcome]:
    """Returns the outcomes of all figures that are drawn in a results folder.

    Beside those that this command has ``made`` they are read from the runs of earlier commands.  It
    prints which are left out, as these runs have gone, are others by now, or lack what is read.
    """
    found = []
    for path in sorted(root.glob("*/figure.png")):
        figure = FIGURES.get(path.parent.name)
        if figure is None:
            continue
        outcome = made.get(figure.name) or _earlier(figure, root)
        if outcome is not None and outcome.series:
            found.append(outcome)
        else:
            console.print(f"{root / 'report.html'} is without {figure.name}: its runs have gone")
    return found


def _earlier(figure: Figure, root: Path) -> Outcome | None:
    """Returns what an earlier command has made of a figure, if its runs can be read."""
    manifest = cache.read_optional(root / figure.name / MANIFEST)
    try:
        if manifest["runs"].keys() != {plan.label for plan in figure.plans}:
            return None
        return read_outcome(Request(figure, root, manifest), Console(quiet=True))
    except (UsageError, LookupError, AttributeError, TypeError):
        return None
