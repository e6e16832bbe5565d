"""From a request to a results folder: train what is missing, then draw and judge."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from experiments.analysis.paper import cache
from experiments.analysis.paper.budgets import program_of, size_of, total_steps
from experiments.analysis.paper.drawing import save_figure
from experiments.analysis.paper.evidence import Outcome, series_of
from experiments.analysis.paper.exchange import save_data, save_marl_eval
from experiments.analysis.paper.plans import Figure, Plan
from experiments.analysis.paper.report import qualified, save_page, save_report
from experiments.analysis.reading import read_result
from experiments.training.errors import UsageError
from experiments.training.folder.files import locked, write_json
from experiments.training.naming import command
from experiments.training.signals import STOPPING
from experiments.training.surroundings import Devices

MANIFEST = "figure.json"
"""What a figure's folder was made of."""

SHOWN_DIFFERENCES = 8

EPISODES = 20
"""Episodes per seed of an evaluation; 200 new ones follow, from which the ends are taken."""

INTERRUPTED = {code for number in STOPPING for code in (128 + number, -number)}
"""Exit codes of a run that a signal stopped before its end, in its own way or at once."""


class Job(NamedTuple):
    """A figure to make.

    Attributes:
        figure: which.
        directory: its folder.
        runs: by the label of their plan.
        manifest: what it is made of: seeds, budget, every run resolved, code and versions.
        devices: over which each run is spread.
    """

    figure: Figure
    directory: Path
    runs: dict[str, cache.CachedRun]
    manifest: dict[str, Any]
    devices: Devices


def reproduce(
    figures: Sequence[Figure],
    seeds: int,
    budget: float,
    devices: Devices,
    root: Path,
    console: Console,
) -> int:
    """Makes the figures and the report; returns 0, or 1 if a curve is missing.

    Args:
        figures: in this order.
        seeds: per curve.
        budget: share of the steps of each run.
        devices: over which each run is spread.
        root: folder of all results.
        console: for what is done.

    Raises:
        UsageError: if a folder holds results of other code or configuration, before anything runs.
        KeyboardInterrupt: if a run was interrupted.
    """
    code = cache.code_state()
    jobs = [plan_job(figure, seeds, budget, devices, code, root) for figure in figures]
    for job in jobs:
        check_folder(job)
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"out: cannot write to {root}: {error.strerror}; choose another"
        ) from error
    with locked(root):  # A second command would restart runs under way.
        outcomes = [make_figure(job, console) for job in jobs]
        if seeds == 1:
            console.print("One seed: there is no interval, and no claim can be decided.")
        console.print(f"Everything on one page: {save_report(root)}")
    return int(any(outcome.missing for outcome in outcomes))


def plan_job(
    figure: Figure, seeds: int, budget: float, devices: Devices, code: dict[str, str], root: Path
) -> Job:
    """Returns a figure's folder and runs; nothing is created."""
    runs = {
        plan.label: cache.plan_run(arguments(figure, plan, seeds, budget), code, root / "cache")
        for plan in figure.plans
    }
    resolved = {label: run.resolved for label, run in runs.items()}
    manifest = {"seeds": seeds, "budget": budget, "code": code, "runs": resolved}
    # Seconds are compared, also with those of earlier commands: all of them are of one device.
    devices = 1 if figure.kind == "sizes" else devices
    return Job(figure, root / figure.name, runs, manifest, devices)


def arguments(figure: Figure, plan: Plan, seeds: int, budget: float) -> tuple[str, ...]:
    """Returns the options of experiments/run.py that train a plan."""
    program, steps = program_of(figure, plan), total_steps(figure, plan, budget)
    options = (*program, "--seeds", str(seeds), "--total-steps", str(steps))
    if not figure.evaluated:
        return options
    # Evaluated once, at the end; what is found there plays ten times as many new episodes.
    num_updates = steps // size_of(program).update_steps
    return (*options, "--eval-every", str(num_updates), "--eval-episodes", str(EPISODES))


def check_folder(job: Job) -> None:
    """Raises a UsageError if a folder holds results of other code or another configuration."""
    found = cache.read_optional(job.directory / MANIFEST)
    if not found and job.directory.is_dir() and any(job.directory.iterdir()):
        raise UsageError(
            f"out: {job.directory} holds files that are no results; choose another --out"
        )
    if found and (changes := cache.differences(found, job.manifest)):
        shown = changes[:SHOWN_DIFFERENCES]
        if len(changes) > len(shown):
            shown.append(f"and {len(changes) - len(shown)} more")
        listed = "\n  ".join(shown)
        raise UsageError(
            f"out: {job.directory} holds results of other code or configuration:\n  {listed}\n"
            "Choose another --out, or remove that folder."
        )


def make_figure(job: Job, console: Console) -> Outcome:
    """Writes a figure's files and prints its verdicts, once all its runs are trained."""
    job.directory.mkdir(exist_ok=True)
    write_json(job.directory / MANIFEST, job.manifest)
    outcome = obtain(job, console)
    if not outcome.series:
        console.print(f"{job.figure.name}: no run has anything to draw")
        return outcome
    save_figure(outcome, job.directory)
    save_data(outcome, job.directory / "data.csv")
    save_marl_eval(outcome, job.directory / "marl-eval.json")
    runs = job.runs.values()
    commands = [f"{command('run')} {shlex.join(run.arguments)}" for run in runs]
    save_page(outcome, job.directory, commands)
    table = Table("", "claim", "verdict", title=job.figure.title, box=None)
    for claim, _, verdict in outcome.verdicts:
        table.add_row(str(claim.number), claim.sentence, qualified(verdict, outcome))
    console.print(table)
    names = sorted(path.name for path in job.directory.iterdir())
    console.print(f"{job.directory}: {', '.join(names)}")
    return outcome


def obtain(job: Job, console: Console) -> Outcome:
    """Returns a figure's measurements; trains the runs that are not there yet."""
    series, missing = [], []
    for number, plan in enumerate(job.figure.plans, 1):
        place = f"{job.figure.name}, run {number} of {len(job.runs)}: {plan.label}"
        run = job.runs[plan.label]
        if not is_trained(run, place, job, console):
            missing.append(plan.label)
            continue
        for one in series_of(job.figure, plan, read_result(run.directory)):
            if one.lacks:
                console.print(f"{place}: {one.label} {one.lacks}; going on without it")
                missing.append(one.label)
            else:
                series.append(one)
    return Outcome(job.figure, tuple(series), tuple(missing), job.manifest["seeds"])


def is_trained(run: cache.CachedRun, place: str, job: Job, console: Console) -> bool:
    """Returns whether a run is finished, once it was trained if it was not there already.

    Raises:
        UsageError: if the code changed meanwhile.
        KeyboardInterrupt: if it was interrupted.
    """
    if run.is_complete():
        console.print(f"{place}: there already")
        return True
    console.print(f"{place}: {shlex.join(run.arguments)}")
    exit_code = cache.execute(run, job.devices)
    if changes := cache.differences(job.manifest["code"], cache.code_state()):
        run.discard()
        raise UsageError(
            f"code: it changed while {place} was trained ({'; '.join(changes)}); that run "
            "is thrown away. Choose another --out, or remove the figure's folder"
        )
    if run.is_complete():
        return True
    if exit_code in INTERRUPTED:
        raise KeyboardInterrupt
    console.print(f"{place}: did not finish (exit code {exit_code}); going on without it")
    if run.directory.exists():
        console.print(f"To train it anew, remove {run.directory}", soft_wrap=True)
    return False
