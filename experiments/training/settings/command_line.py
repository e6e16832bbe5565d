"""The command line: layers of defaults, with what was typed on top.

The library's defaults, those of the environment, a preset file or the run that goes on, and what
stands on the command line: each layer counts more than those before it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import tyro
from tyro.conf import OmitArgPrefixes

from envs.choices import check_choice
from experiments.training.errors import UsageError, typed_names
from experiments.training.naming import command
from experiments.training.settings.defaults import CONTINUOUS, AlgorithmName, Preset, get_preset
from experiments.training.settings.documents import read_preset, stored_options
from experiments.training.settings.offered import make_registry, shown_names
from experiments.training.settings.options import (
    Coefficients,
    Layer,
    Options,
    Program,
    Run,
    Settings,
)
from experiments.training.settings.resumption import check_changes, left_out, of_a_run
from experiments.training.settings.spelling import check_known

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
        argv: the command line.
        others: names of a program's own options, one of which a wrong name may have meant.

    Raises:
        UsageError: if there is no such option or algorithm, or if a preset or a stored run cannot
            be read, or cannot go on as asked.
    """
    typed = typed_names(argv)
    given = frozenset(typed)
    meanings = _meanings() | dict.fromkeys(others, "")
    check_known([name for name in typed if name != "help"], meanings)
    choice, _ = tyro.cli(
        _Choice, prog=command("run"), args=list(argv), add_help=False, return_unknown_args=True
    )
    if choice.algorithm is not None:
        _check_algorithm(choice.algorithm)
    directory = _directory_to_resume(choice)
    if directory is None:
        defaults = _defaults(choice, given)
        settings = _typed_over(Settings(**_groups(defaults)), argv)
        return dataclasses.replace(defaults, **_groups(settings), given=given, argv=tuple(argv))
    stored = stored_options(directory)
    settings = of_a_run(directory, _typed_over(Settings(**_groups(stored)), argv))
    check_changes(stored, settings, directory, left_out(directory, settings.run, given))
    return dataclasses.replace(stored, **_groups(settings), given=given, argv=tuple(argv))


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


def _meanings() -> dict[str, str]:
    """Returns what each option is for, by name."""
    declared = (*Program.declared(), *Coefficients.declared())
    of_run = {each.name: "" for each in dataclasses.fields(Run)}
    return of_run | {each.name: each.metadata["doc"] for each in declared}


def _check_algorithm(name: str) -> None:
    """Raises a UsageError with the nearest names unless there is an algorithm of that name."""
    try:
        check_choice("algorithm", name, get_args(AlgorithmName))
    except ValueError as error:
        raise UsageError(str(error)) from error


def _groups(settings: Settings) -> dict[str, Any]:
    return {each.name: getattr(settings, each.name) for each in dataclasses.fields(Settings)}


def _defaults(choice: _Choice, given: frozenset[str]) -> Options:
    """Returns the layers below the command line of a new run, on which the given options stand."""
    of_file = Layer() if choice.preset is None else read_preset(choice.preset, choice.env)
    chosen = Run(
        **{name: of_file.run[name] for name in ("env", "algorithm") if name in of_file.run}
    )
    env, algorithm = choice.env or chosen.env, choice.algorithm or chosen.algorithm
    preset = get_preset(env, algorithm)
    of_env = _layer_of(preset)._replace(run={"total_steps": preset.total_steps})
    of_choice = Layer({"env": env, "algorithm": algorithm})
    settings = Settings().with_layer(of_env).with_layer(of_file).with_layer(of_choice)
    of_continuous, stated = _layer_of(CONTINUOUS), {*of_file.program, *of_file.coefficients, *given}
    open_yet = Layer(
        program=_without(of_continuous.program, stated),
        coefficients=_without(of_continuous.coefficients, stated),
    )
    return Options(**_groups(settings), where_continuous=open_yet)


def _layer_of(preset: Preset) -> Layer:
    coefficients = {
        name: () if value is None else (value,) for name, value in preset.hyperparams.items()
    }
    return Layer(program=preset.config, coefficients=coefficients)


def _without(values: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in names}


def _typed_over(defaults: Settings, argv: Sequence[str]) -> Settings:
    """Returns the defaults with what was typed in their place; shows help and exits if asked."""
    try:
        settings = tyro.cli(
            Settings,
            default=defaults,
            prog=command("run"),
            description=DESCRIPTION,
            args=list(argv),
            config=(OmitArgPrefixes,),
            registry=make_registry(shown_names(defaults.run.algorithm, argv)),
        )
    except SystemExit as exit_:
        if not exit_.code:
            print(EXAMPLES.format(run=command("run")))
        raise
    # All that a preset says is in the other options.
    return dataclasses.replace(settings, run=dataclasses.replace(settings.run, preset=None))
