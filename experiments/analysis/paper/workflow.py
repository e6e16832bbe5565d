"""From a request to a results folder: train what is missing, then draw and judge."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from experiments.analysis.paper.cache import (
    CachedRun,
    code_state,
    differences,
    execute,
    plan_run,
    read_json,
    sole_user,
)
from experiments.analysis.paper.drawing import save_figure
from experiments.analysis.paper.evidence import Outcome, series_of
from experiments.analysis.paper.figure import Figure, Plan
from experiments.analysis.paper.marl_eval import save_marl_eval
from experiments.analysis.paper.report import save_page, save_report
from experiments.analysis.paper.tables import save_claims, save_data, save_tables, spell
from experiments.analysis.results import read_result
from experiments.training.errors import UsageError
from experiments.training.settings.defaults import get_preset

MANIFEST = "figure.json"
"""What a figure's folder was made of."""

SHOWN_DIFFERENCES = 8

EPISODES = 20
"""Episodes per seed of an evaluation; 200 new ones follow, from which the ends are taken."""


class Request(NamedTuple):
    """What to make.

    Attributes:
        figures: in this order.
        seeds: per curve.
        budget: share of the steps of each run.
        root: folder of all results.
    """

    figures: tuple[Figure, ...]
    seeds: int
    budget: float
    root: Path


def reproduce(request: Request, console: Console) -> int:
    """Makes the figures and the report; returns 0, or 1 if a run did not finish.

    Raises:
        UsageError: if a folder holds results of other code or configuration, before anything runs.
        KeyboardInterrupt: if a run was interrupted.
    """
    code = code_state()
    runs = {
        (figure.name, plan.label): plan_run(
            arguments(figure, plan, request), code, request.root / "cache"
        )
        for figure in request.figures
        for plan in figure.plans
    }
    for figure in request.figures:
        check_folder(request.root / figure.name, manifest(figure, runs, request, code))
    with sole_user(request.root):
        all_finished = True
        for figure in request.figures:
            write_manifest(request.root / figure.name, manifest(figure, runs, request, code))
            outcome = obtain(figure, runs, code, console)
            all_finished &= not outcome.missing
            publish(outcome, runs, request.root, console)
        if request.seeds == 1:
            console.print("One seed: there is no interval, and no claim can be decided.")
        console.print(f"Everything on one page: {save_report(request.root)}")
    return 0 if all_finished else 1


def arguments(figure: Figure, plan: Plan, request: Request) -> tuple[str, ...]:
    """Returns the options of experiments/run.py that train a plan."""
    config = get_preset(figure.env, plan.algorithm).config
    one_update = config["num_envs"] * config["rollout_length"]
    steps = max(one_update, round(plan.total_steps * request.budget))
    # Evaluated once, at the end; what is found there plays ten times as many new episodes.
    evaluation = ("--eval-every", str(steps // one_update), "--eval-episodes", str(EPISODES))
    return (
        *("--env", figure.env, "--algorithm", plan.algorithm, *plan.options),
        *("--seeds", str(request.seeds), "--total-steps", str(steps)),
        *(evaluation if figure.evaluated else ()),
    )


def obtain(
    figure: Figure,
    runs: dict[tuple[str, str], CachedRun],
    code: dict[str, str],
    console: Console,
) -> Outcome:
    """Returns a figure's measurements; trains the runs that are not there yet."""
    series, missing = [], []
    for number, plan in enumerate(figure.plans, 1):
        run = runs[figure.name, plan.label]
        place = f"{figure.name}, run {number} of {len(figure.plans)}: {plan.label}"
        if run.is_complete():
            console.print(f"{place}: there already")
        else:
            console.print(f"{place}: {' '.join(run.arguments)}")
            exit_code = execute(run)
            if changes := differences(code, code_state()):
                run.discard()
                raise UsageError(
                    f"code: it changed while {place} was trained ({'; '.join(changes)}); that run "
                    "is thrown away. Choose another --out, or remove the figure's folder"
                )
            if not run.is_complete():
                if exit_code in (0, 130, -15):  # Stopped by SIGTERM or SIGINT.
                    raise KeyboardInterrupt
                console.print(
                    f"{place}: did not finish (exit code {exit_code}); going on without it"
                )
                missing.append(plan.label)
                continue
        series += series_of(figure, plan, read_result(run.directory))
    num_seeds = max((one.result.num_seeds for one in series), default=0)
    return Outcome(figure, tuple(series), tuple(missing), num_seeds)


def publish(
    outcome: Outcome, runs: dict[tuple[str, str], CachedRun], root: Path, console: Console
) -> None:
    """Writes a figure's files and prints its verdicts."""
    directory = root / outcome.figure.name
    if not outcome.series:
        console.print(f"{outcome.figure.name}: no run finished, nothing to draw")
        return
    save_figure(outcome, directory)
    save_data(outcome, directory / "data.csv")
    save_tables(outcome, directory / "table.md")
    save_claims(outcome, directory / "claims.md")
    save_marl_eval(outcome, directory / "marl-eval.json")
    commands = [
        shlex.join(
            ["python", "experiments/run.py", *runs[outcome.figure.name, plan.label].arguments]
        )
        for plan in outcome.figure.plans
    ]
    save_page(outcome, directory, commands)
    table = Table("", "claim", "verdict", title=outcome.figure.title, box=None)
    for number, sentence, _, verdict in outcome.examine():
        table.add_row(str(number), sentence, spell(verdict, outcome))
    console.print(table)
    console.print(f"{directory}: {', '.join(sorted(p.name for p in directory.iterdir()))}")


def manifest(
    figure: Figure,
    runs: dict[tuple[str, str], CachedRun],
    request: Request,
    code: dict[str, str],
) -> dict[str, Any]:
    """Returns what a figure is made of: the request, every run resolved, code and versions."""
    return {
        "seeds": request.seeds,
        "budget": request.budget,
        "code": code,
        "runs": {plan.label: runs[figure.name, plan.label].resolved for plan in figure.plans},
    }


def check_folder(directory: Path, wanted: dict[str, Any]) -> None:
    """Raises a UsageError if a folder holds results of other code or another configuration."""
    found = read_json(directory / MANIFEST)
    if not found and directory.is_dir() and any(directory.iterdir()):
        raise UsageError(f"out: {directory} holds files that are no results; choose another --out")
    if found and (changes := differences(found, wanted)):
        shown = changes[:SHOWN_DIFFERENCES]
        more = len(changes) - len(shown)
        raise UsageError(
            f"out: {directory} holds results of other code or configuration:\n  "
            + "\n  ".join(shown)
            + (f"\n  and {more} more" if more else "")
            + "\nChoose another --out, or remove that folder."
        )


def write_manifest(directory: Path, content: dict[str, Any]) -> None:
    """Creates a figure's folder and says what it is made of."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / MANIFEST).write_text(json.dumps(content, indent=1) + "\n")
