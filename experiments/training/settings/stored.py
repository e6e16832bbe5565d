"""Settings that are stored as JSON, a preset's or a run's: read into the declared types."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_origin, get_type_hints

import typeguard

import envs
from experiments.training.errors import UsageError
from experiments.training.settings.options import (
    COEFFICIENTS,
    OF_THE_PROCESS,
    SETTINGS,
    Options,
    Run,
)
from oatrpo_jax import run_folder
from oatrpo_jax.config import Config

OF_A_PRESET = ("env", "env_option", "algorithm", "reuse_matrix", "total_steps", "schedule_steps")
"""The options of a run that a preset may state, beside config and hyperparameters."""

MAX_PRESET_BYTES = 100_000


def read_config(directory: Path) -> dict[str, Any]:
    """Returns the content of a run's config.json.

    Raises:
        UsageError: if there is none that can be read.
    """
    try:
        return run_folder.read_config(directory)
    except ValueError as error:
        raise UsageError(str(error)) from error


def stored_options(directory: Path) -> Options:
    """Returns the options of the run in a directory, to the bit.

    Raises:
        UsageError: if its config.json is missing or damaged.
    """
    content = read_config(directory)
    try:
        config = {k: v for k, v in content["config"].items() if k != "num_updates"}
        options = Options().having(typed_values(content["run"], config, content["hyperparameters"]))
        _find_environment(options.run.env, content.get("environment_source"))
        if content.get("sweep") is None:
            return options
        points = (
            typed_values({}, {}, {name: point[name] for name in content["swept"]})
            for point in content.get("whole", content)["points"]
        )
        return dataclasses.replace(
            options,
            sweep=dict(content["sweep"]),
            points=tuple({name: value for name, (value,) in point.items()} for point in points),
        )
    except (KeyError, AttributeError, TypeError, ValueError) as error:
        problem = f"{type(error).__name__}: {error}"
        raise UsageError(
            f"{directory / 'config.json'} is damaged, or of a version that cannot be resumed "
            f"({problem})"
        ) from error


def _find_environment(name: str, source: dict[str, str] | None) -> None:
    """Sees to it that a file or module which makes a run's environment is found again.

    Says on stderr if it has changed.

    Raises:
        UsageError: if it is missing.
    """
    if not envs.is_of_somebody(name):
        return
    if source is None:
        raise UsageError(f"env: {name} is not the library's, and the run does not say which file's")
    try:
        changed = envs.importing.find_again(name, source)
    except ValueError as error:
        raise UsageError(str(error)) from error
    if changed:
        print(f"Warning: {changed}; nothing else was compared.", file=sys.stderr)


def read_preset(path: Path, env: str | None = None) -> dict[str, Any]:
    """Returns the settings of a preset file, by name.

    Args:
        env: the environment that counts more than the preset's, which may then be any.

    Raises:
        UsageError: if it is no preset, saying what is wrong with it.
    """
    content = _read_preset(path)
    theirs = content.get("env")
    if env is None and isinstance(theirs, str) and envs.is_of_somebody(theirs):
        raise UsageError(
            f"preset: {path}: env: expected an environment of the library, as a preset runs no "
            f"code, got {theirs!r}; if that is yours, give --env {theirs} beside it"
        )
    settings, coefficients = (content.pop(name, {}) for name in ("config", "hyperparameters"))
    try:
        for name, group in (("config", settings), ("hyperparameters", coefficients)):
            if not isinstance(group, dict):
                raise ValueError(f"expected {name} to be an object, got {group!r}")
        if unknown := sorted(content.keys() - set(OF_A_PRESET)):
            raise ValueError(_not_a_setting(unknown, OF_A_PRESET))
        return typed_values(content, settings, coefficients)
    except ValueError as error:
        raise UsageError(f"preset: {path}: {error}") from error


def typed_values(
    run: Mapping[str, Any], config: Mapping[str, Any], coefficients: Mapping[str, Any]
) -> dict[str, Any]:
    """Returns settings that JSON holds, by name, in the types of Python.

    Raises:
        ValueError: if there is no setting of a name, or a value is not of its type.
    """
    of_run = [each.name for each in dataclasses.fields(Run) if each.name not in OF_THE_PROCESS]
    for group, known in (
        (run, of_run),
        (config, SETTINGS),
        (coefficients, COEFFICIENTS),
    ):
        if unknown := sorted(group.keys() - set(known)):
            raise ValueError(_not_a_setting(unknown, known))
    typed = _typed({**run, **config}, get_type_hints(Run) | get_type_hints(Config))
    return typed | {name: _numbers(name, value) for name, value in coefficients.items()}


def _typed(values: Mapping[str, Any], hints: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the values of JSON as those of Python; a ValueError names one of another type."""
    typed = {}
    for name, value in values.items():
        value = tuple(value) if isinstance(value, list) else value
        is_truth_for_number = hints[name] in (int, float) and isinstance(value, bool)
        if hints[name] is int and isinstance(value, float) and value.is_integer():
            value = int(value)  # 1e5, say.
        if hints[name] is float and type(value) is int:
            value = float(value)  # -1, say.
        try:
            if is_truth_for_number:
                raise typeguard.TypeCheckError("is no number")
            typeguard.check_type(
                value,
                hints[name],
                collection_check_strategy=typeguard.CollectionCheckStrategy.ALL_ITEMS,
            )
        except typeguard.TypeCheckError as error:
            kind = "a list" if get_origin(hints[name]) is tuple else "another value"
            raise ValueError(f"{name}: expected {kind}, got {value!r}, which {error}") from error
        typed[name] = value
    return typed


def _numbers(name: str, value: Any) -> tuple[float, ...]:
    """Returns a number or a list of them; a ValueError says that it is something else."""
    entries = value if isinstance(value, list) else [value]
    if not all(isinstance(entry, int | float) and not isinstance(entry, bool) for entry in entries):
        raise ValueError(f"{name}: expected a number or a list of numbers, got {value!r}")
    return tuple(float(entry) for entry in entries)


def _read_preset(path: Path) -> dict[str, Any]:
    """Returns the content of a file that is JSON, an object, and no larger than a preset is."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_PRESET_BYTES + 1)
        if len(raw) > MAX_PRESET_BYTES:
            raise ValueError(f"more than {MAX_PRESET_BYTES:,} bytes")
        content = json.loads(raw.decode())
    except OSError as error:
        raise UsageError(f"preset: cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"preset: {path} is no preset, which is JSON: {error}") from error
    if not isinstance(content, dict):
        raise UsageError(f"preset: {path}: expected an object, got {type(content).__name__}")
    return content


def _not_a_setting(unknown: list[str], known: Any) -> str:
    return f"{', '.join(unknown)} is no setting; expected {', '.join(known)}"
