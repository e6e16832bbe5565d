"""The options of a run, read back from its config.json, and what else may be said on resuming."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.training.errors import UsageError
from experiments.training.settings.options import Options, given_names, parse
from experiments.training.settings.run_options import OF_THE_PROCESS
from experiments.training.settings.tokens import option_tokens

CHANGEABLE = (OF_THE_PROCESS - {"out"}) | {"total_steps", "checkpoint_every", "keep_checkpoints"}
"""Options that change nothing about the updates already done."""


def read_config(directory: Path) -> dict[str, Any]:
    """Returns the content of a run's config.json.

    Raises:
        UsageError: if there is none that can be read.
    """
    path = directory / "config.json"
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError as error:
        raise UsageError(f"{directory} holds no run: it has no config.json") from error
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise UsageError(f"{path} is damaged: expected an object, got {type(content).__name__}")
    return content


def read_options(directory: Path) -> Options:
    """Returns the options of the run in a directory, to the bit.

    Raises:
        UsageError: if its config.json is missing or damaged, or that of a sweep.
    """
    return _parse_stored(directory, command_line(directory))


def resumed_options(directory: Path, argv: Sequence[str]) -> Options:
    """Returns the options of a run with those that stand beside ``--resume`` in their place.

    A coefficient that has one value may get another one, for the updates to come.

    Raises:
        UsageError: if an option differs that must not, naming it.
    """
    stored = command_line(directory)
    before = values(_parse_stored(directory, stored))
    options = dataclasses.replace(
        parse([*stored, *argv]), given=given_names(argv), argv=tuple(argv)
    )
    changed = {name: value for name, value in values(options).items() if value != before[name]}
    is_free = {
        name: name in CHANGEABLE or _is_coefficient(before[name], v) for name, v in changed.items()
    }
    if wrong := [name for name in changed if not is_free[name]]:
        told = "; ".join(f"{n} was {_said(before[n])}, got {_said(changed[n])}" for n in wrong)
        raise UsageError(
            f"resume: the run in {directory} cannot go on with other settings: {told}. Leave "
            f"{'it' if len(wrong) == 1 else 'them'} out, or start a new run with --out"
        )
    return options


def values(options: Options) -> dict[str, Any]:
    """Returns every option by name."""
    run = {
        field.name: getattr(options.run, field.name) for field in dataclasses.fields(options.run)
    }
    return run | options.config | options.grid


def command_line(directory: Path) -> list[str]:
    """Returns a command line that says all that config.json does.

    Parsing it again checks every type, whoever wrote the file.
    """
    content = read_config(directory)
    _refuse_sweep(directory, content)
    try:
        settings = {k: v for k, v in content["config"].items() if k != "num_updates"}
        named = {**content["run"], **settings, **content["hyperparameters"]}
        return [token for name, value in named.items() for token in _stored_tokens(name, value)]
    except (KeyError, AttributeError, TypeError, ValueError) as error:
        problem = f"{type(error).__name__}: {error}"
        raise UsageError(
            f"{directory / 'config.json'} is damaged, or of a version that cannot be resumed "
            f"({problem})"
        ) from error


def _stored_tokens(name: str, value: Any) -> list[str]:
    if not name.isidentifier() or name in OF_THE_PROCESS:
        raise ValueError(f"{name!r} is no option")
    return option_tokens(name, value)


def _refuse_sweep(directory: Path, content: Mapping[str, Any]) -> None:
    """Raises a UsageError if a sweep lies there: its points are no product of lists."""
    if "sweep" not in content:
        return
    preset = directory / "preset.json"
    what_to_do = (
        f"take its best point: python experiments/run.py --preset {preset}"
        if preset.exists()
        else "it left no preset.json, so start it anew with --out"
    )
    raise UsageError(
        f"{directory} holds a sweep, which cannot be resumed, evaluated or exported; {what_to_do}"
    )


def _parse_stored(directory: Path, stored: Sequence[str]) -> Options:
    try:
        options = parse(stored)
    except SystemExit as error:
        raise UsageError(
            f"{directory / 'config.json'} is damaged, or of a version that cannot be resumed"
        ) from error
    return dataclasses.replace(options, given=frozenset())


def _is_coefficient(before: Any, now: Any) -> bool:
    """Returns whether one float takes another's place, as only the coefficients have them."""
    return all(
        isinstance(value, tuple) and len(value) == 1 and isinstance(value[0], float)
        for value in (before, now)
    )


def _said(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def compare_versions(content: Mapping[str, Any]) -> None:
    """Says on stderr which versions of packages, or which device, differ from those of the run.

    Raises:
        UsageError: if oatrpo_jax itself differs: what its arrays mean may have changed.
    """
    # Imports jax, which what only parses a command line does not wait for.
    from experiments.training.settings.config_file import device, versions

    differ = [*_differences(content.get("versions"), versions())]
    if ours := [difference for difference in differ if difference.startswith("oatrpo_jax ")]:
        raise UsageError(
            f"resume: the run began with {ours[0]}; install the version that it began with"
        )
    differ += _differences(content.get("device"), device())
    if differ:
        print(
            f"Warning: the run began with {', '.join(differ)}. It goes on, but maybe not to the "
            "bit as it would have there.",
            file=sys.stderr,
        )


def _differences(before: Any, now: Mapping[str, str]) -> Iterable[str]:
    known = before if isinstance(before, dict) else {}
    return (f"{k} {known[k]}, now {v}" for k, v in now.items() if known.get(k, v) != v)
