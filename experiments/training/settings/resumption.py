"""What is typed for a run that goes on, beside what it has stored: what may change there."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from envs.importing import absolute
from experiments.training.errors import UsageError
from experiments.training.settings.documents import read_config
from experiments.training.settings.options import OF_THE_PROCESS, Run, Settings
from experiments.training.settings.reading import unread

CHANGEABLE = OF_THE_PROCESS - {"out", "preset"} | {
    "total_steps",
    "schedule_steps",
    "checkpoint_every",
    "keep_checkpoints",
    "env_devices",
    "log",
}
"""Options that change nothing about the updates already done."""


def of_a_run(directory: Path, settings: Settings) -> Settings:
    """Returns the settings typed for a run that goes on as its config.json would state them."""
    run = settings.run
    out = None if run.resume_or_start else run.out
    env = absolute(run.env)
    run = dataclasses.replace(run, resume=directory, resume_or_start=False, out=out, env=env)
    return dataclasses.replace(settings, run=run)


def left_out(directory: Path, run: Run, given: frozenset[str]) -> set[str]:
    """Returns the options given that a run has not stored, as ``--lenient`` has left them out."""
    if not run.lenient:
        return set()
    unread_matrix = {"reuse_matrix"} if run.algorithm != "fixed" else set()
    return unread_matrix.union(unread(frozenset(read_config(directory).get("reads", ())), given))


def check_changes(
    stored: Settings, settings: Settings, directory: Path, ignored: Collection[str]
) -> None:
    """Raises a UsageError if an option differs that must not, naming it.

    A coefficient that has one value may get another one, for the updates to come.
    """
    before, after = stored.by_name(), settings.by_name()
    wrong = [
        name
        for name, value in after.items()
        if value != before[name]
        and name not in CHANGEABLE
        and name not in ignored
        and not (name in settings.coefficients and len(value) == len(before[name]) == 1)
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
