"""The slices of a run as an array of jobs: those that are neither finished nor trained now."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from envs.options import parse_options
from experiments.training.console import make_console
from experiments.training.errors import UsageError, check_counts, shown, typed_names
from experiments.training.folder.directory import check_is_empty, make_directory
from experiments.training.folder.files import is_locked
from experiments.training.folder.loggers import check_logs
from experiments.training.jobs import hand_over, make_executor
from experiments.training.naming import command
from experiments.training.settings.checks import check_ranking
from experiments.training.settings.experiment import build
from experiments.training.settings.options import Options, Run
from experiments.training.stopping import is_finished
from experiments.training.surroundings import start_jax
from oatrpo_jax.installation import ROOT, check_packages

PARAMETERS = {"timeout_min": 24 * 60, "name": "oatrpo"}
"""What submitit is told unless ``--submit-option`` says otherwise; its own limit is minutes."""

NOT_ON_A_JOBS_LINE = frozenset({"submit", "submit_option", "out"})
"""Options of the line that submits which stand on no job's, or otherwise."""


def submit(
    script: str,
    arguments: Sequence[str],
    run: Run,
    read: Callable[[Sequence[str]], Options],
) -> int:
    """Submits a job for each slice that needs one, says how they are joined; returns the exit code.

    The same line submitted again goes on with what is neither finished nor running.

    Args:
        script: run or sweep.
        arguments: its command line, with ``--submit``.
        run: what that says.
        read: returns what a slice's command line asks for.

    Raises:
        UsageError: if anything makes no sense; nothing is submitted then.
    """
    check_packages(("submitit",), "submit", "submit")
    console = make_console()
    check_logs(run.log)
    out, count = _check(run)
    parameters = PARAMETERS | _parse(run.submit_option)
    with tempfile.TemporaryDirectory() as folder:
        make_executor(Path(folder), parameters)
    lines = [slice_line(arguments, number, count, out) for number in range(count)]
    start_jax()
    left_out = _check_slices(lines, out, read)
    for number, reason in left_out.items():
        console.print(f"slice {number}/{count} {reason}: no job", soft_wrap=True)
    start = [sys.executable, "-u", str(ROOT / "experiments" / f"{script}.py")]
    if wanted := [[*start, *line] for number, line in enumerate(lines) if number not in left_out]:
        logs = make_directory(out, "slices").absolute() / "logs"
        executor = make_executor(logs, parameters)
        jobs = hand_over(executor, wanted)
        where = "SLURM" if executor.cluster == "slurm" else f"this machine ({executor.cluster})"
        console.print(f"{len(jobs)} jobs for {where}: {' '.join(jobs)}", soft_wrap=True)
        console.print(f"logs: {logs}", soft_wrap=True)
    else:
        console.print("Nothing is left to submit.")
    joining = f"{command('join')} {shown(out)}/[0-9]* --out {shown(out / 'joined')}"
    console.print(f"once they are done: {joining}", soft_wrap=True)
    return 0


def slice_line(arguments: Sequence[str], number: int, count: int, out: Path) -> list[str]:
    """Returns the options with which a slice is started, and started again.

    >>> slice_line(["--env", "maze", "--submit", "2", "--out=runs/a"], 0, 2, Path("runs/a"))[:4]
    ['--env', 'maze', '--slice', '0/2']
    """
    own = ["--slice", f"{number}/{count}", "--out", str((out / str(number)).absolute())]
    return [*_without(arguments, NOT_ON_A_JOBS_LINE), *own, "--resume-or-start"]


def _without(arguments: Sequence[str], names: frozenset[str]) -> Iterator[str]:
    """Yields a command line without some options and their values."""
    is_left_out = False
    for token in arguments:
        if token.startswith("--"):
            is_left_out = typed_names([token])[0] in names
        if not is_left_out:
            yield token


def _check_slices(
    lines: Sequence[Sequence[str]], out: Path, read: Callable[[Sequence[str]], Options]
) -> dict[int, str]:
    """Returns, by number, why slices need no job; a UsageError says why one cannot be trained.

    Those that begin differ in nothing that is checked: the first of them stands for all.
    """
    left_out: dict[int, str] = {}
    for number, line in enumerate(lines):
        directory = out / str(number)
        is_there = (directory / "config.json").exists()
        if not is_there:
            check_is_empty(directory)
        experiment = build(read(line)) if is_there or number == 0 else None
        if experiment is not None and not is_there:
            check_ranking(experiment.options.sweep, experiment.trainer.env)
        if is_locked(directory):
            left_out[number] = "is being trained"
        elif is_there and experiment is not None and is_finished(experiment, directory):
            left_out[number] = "is finished"
    return left_out


def _check(run: Run) -> tuple[Path, int]:
    """Returns where slices go and how many; a UsageError says what does not go together."""
    count = run.submit or 0
    check_counts(submit=count)
    beside = {"slice": run.slice, "resume": run.resume, "dry_run": run.dry_run}
    beside |= {"resume_or_start": run.resume_or_start, "distributed": run.distributed}
    if wrong := [name for name, value in beside.items() if value]:
        raise UsageError(f"{wrong[0]}: expected without --submit, got it beside; leave one out")
    if run.out is None:
        raise UsageError("out: expected a directory beside --submit, got none; name one")
    if (run.out / "config.json").exists():
        raise UsageError(
            f"out: expected a directory for slices, got {run.out}, which holds a run; choose "
            "another"
        )
    return run.out, count


def _parse(assignments: Sequence[str]) -> dict[str, Any]:
    """Returns the parameters; submitit itself would take a time in words, and fail in the jobs."""
    try:
        parameters = parse_options(assignments, "submit_option")
    except ValueError as error:
        raise UsageError(str(error)) from error
    for name, value in parameters.items():
        if name.endswith(("time", "timeout_min")) and (type(value) is not int or value < 1):
            raise UsageError(
                f"submit_option: expected a whole number for {name}, got {value}; give timeout_min "
                "in minutes"
            )
    return parameters
