"""The command line: layers of defaults, with what was typed on top.

The library's defaults, those of the environment, a preset file or the run that goes on, and what
stands on the command line: each layer counts more than those before it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from tyro.conf import OmitArgPrefixes

from envs.choices import check_choice
from envs.importing import absolute
from experiments.training.errors import UsageError, typed_names
from experiments.training.naming import command
from experiments.training.settings.arguments import read_options
from experiments.training.settings.checks import unread
from experiments.training.settings.defaults import CONTINUOUS, AlgorithmName, get_preset
from experiments.training.settings.options import COEFFICIENTS, OF_THE_PROCESS, Options, Run
from experiments.training.settings.parsing import as_declared, check_known
from experiments.training.settings.stored import read_config, read_preset, stored_options

CHANGEABLE = OF_THE_PROCESS - {"out", "preset"} | {
    "total_steps",
    "schedule_steps",
    "checkpoint_every",
    "keep_checkpoints",
    "env_devices",
    "log",
}
"""Options that change nothing about the updates already done."""

DESCRIPTION = """Train a team of agents; every seed and every setting of the grid in one program.

Leaves config.json, metrics.csv, matrices.csv, summary.json, curves.png, replay.gif, TensorBoard
files and checkpoints; where experience is reused also reuse.png, with --eval-every evaluation.csv.
The defaults shown are those of the environment and the algorithm on the command line."""

EXAMPLES = """Examples:
  {run} --env maze
      OAPPO on the Black and Red maze, five seeds
  {run} --env maze --algorithm happo --seeds 10 --out runs/happo
  {run} --env maze --reuse-sigma 0.01 0.1 1 10 --reuse-lambda 0.4 0.7
      a grid of 8 points x 5 seeds in one program
  {run} --env maze:black-blue-red --algorithm fixed --reuse-matrix rr
  {run} --env maze --env-option num_per_colour=4 time_limit=60
  {run} --resume runs/happo --total-steps 300000
      go on with a run that was stopped, killed, or is to be longer
  {run} --env maze --reuse-sigma 0.01 0.1 1 10 --slice 0/4 --out runs/s/0 --resume-or-start
      the first of four jobs, the same line each time that it starts
  {run} --env maze --eval-every 10
      evaluated on the way; the best policies play once more at the end
  {run} --env maze --algorithm oatrpo --help
      the options and defaults of another algorithm
"""


@dataclass(frozen=True)
class _Choice:
    env: str | None = None
    algorithm: str | None = None
    preset: Path | None = None
    resume: Path | None = None
    out: Path | None = None
    resume_or_start: bool = False


def parse(argv: Sequence[str], others: Sequence[str] = ()) -> Options:
    """Returns the options of a command line; shows help or a usage error and exits if need be.

    Args:
        others: names of a program's own options, one of which a wrong name may have meant.

    Raises:
        UsageError: if there is no such option or algorithm, or if a preset or a stored run cannot
            be read, or cannot go on as asked.
    """
    given = frozenset(typed_names(argv))
    check_known(typed_names(argv), others)
    choice, _ = read_options("run", _Choice, argv, add_help=False, return_unknown_args=True)
    if choice.algorithm is not None:
        _check_algorithm(choice.algorithm)
    directory = _directory_to_resume(choice)
    below = _defaults(choice, given) if directory is None else stored_options(directory)
    options = dataclasses.replace(_typed_over(below, argv), given=given, argv=tuple(argv))
    if directory is None:
        return options
    options = options.having(
        {
            "resume": directory,
            "resume_or_start": False,
            "out": None if choice.resume_or_start else options.run.out,
            "env": absolute(options.run.env),
        }
    )
    check_changes(below, options, directory)
    return options


def _directory_to_resume(choice: _Choice) -> Path | None:
    """Returns where the run is that goes on; None for a new one."""
    if choice.resume is not None and choice.preset is not None:
        raise UsageError(
            "preset: expected only for a new run, got it beside --resume; leave it out"
        )
    if not choice.resume_or_start:
        return choice.resume
    if choice.resume is not None or choice.out is None:
        got = "it without" if choice.resume is None else "it beside --resume"
        raise UsageError(
            "resume_or_start: expected beside --out DIR, which says where the run is or will be, "
            f"got {got}; name a directory with --out alone"
        )
    return choice.out if (choice.out / "config.json").exists() else None


def _check_algorithm(name: str) -> None:
    """Raises a UsageError with the nearest names unless there is an algorithm of that name."""
    try:
        check_choice("algorithm", name, get_args(AlgorithmName))
    except ValueError as error:
        raise UsageError(str(error)) from error


def _defaults(choice: _Choice, given: frozenset[str]) -> Options:
    """Returns the layers below the command line of a new run, on which the given options stand."""
    of_file = {} if choice.preset is None else read_preset(choice.preset, choice.env)
    run = Run()
    env = choice.env or of_file.get("env", run.env)
    algorithm = choice.algorithm or of_file.get("algorithm", run.algorithm)
    preset = get_preset(env, algorithm)
    of_env = {"total_steps": preset.total_steps, **preset.values}
    chosen = {**of_env, **of_file, "env": env, "algorithm": algorithm}
    open_yet = {k: v for k, v in CONTINUOUS.values.items() if k not in {*of_file, *given}}
    return Options(where_continuous=open_yet).having(chosen)


def _typed_over(below: Options, argv: Sequence[str]) -> Options:
    """Returns the options with what was typed in their place; shows help and exits if asked."""
    declared = as_declared(below, argv)
    read = read_options(
        "run",
        type(declared),
        argv,
        EXAMPLES.format(run=command("run")),
        default=declared,
        description=DESCRIPTION,
        config=(OmitArgPrefixes,),
    )
    # All that a preset says is in the other options.
    read = {**vars(read.run), **vars(read.program), **vars(read.coefficients), "preset": None}
    return below.having(read)


def check_changes(stored: Options, options: Options, directory: Path) -> None:
    """Raises a UsageError if an option of a stored run differs that must not, naming it.

    A coefficient that has one value may get another one, for the updates to come.  What
    ``--lenient`` has left out is not stored.
    """
    run, ignored = options.run, set[str]()
    if run.lenient:
        reads = frozenset(read_config(directory).get("reads", ()))
        ignored = {*unread(reads, options.given)}
        ignored |= {"reuse_matrix"} if run.algorithm != "fixed" else set()
    before, after = stored.by_name(), options.by_name()
    wrong = [
        name
        for name, value in after.items()
        if value != before[name]
        and name not in CHANGEABLE
        and name not in ignored
        and not (name in COEFFICIENTS and len(value) == len(before[name]) == 1)
    ]
    if wrong:
        raise UsageError(
            f"resume: the run in {directory} cannot go on with other settings: "
            f"{changes_in_words(wrong, before, after)}. Leave "
            f"{'it' if len(wrong) == 1 else 'them'} out, or start a new run with --out"
        )


def changes_in_words(
    names: Sequence[str], before: Mapping[str, Any], after: Mapping[str, Any]
) -> str:
    """Returns what each of the names was, and what it is to be.

    >>> changes_in_words(["points"], {"points": (1, 2)}, {"points": 3})
    'points was 1 2, got 3'
    """
    return "; ".join(
        f"{name} was {_as_typed(before.get(name))}, got {_as_typed(after[name])}" for name in names
    )


def _as_typed(value: Any) -> str:
    is_list = isinstance(value, tuple | list)
    return (" ".join(map(str, value)) or "not given") if is_list else str(value)
