"""Settings found by a sweep, as a file: plain JSON that is read as if it were typed.

A preset becomes a command line, before the options that really stand there: what is given there
counts more, and the same types, ranges and messages apply to both.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.training.errors import UsageError
from experiments.training.settings.tokens import option_tokens
from oatrpo_jax.config import Config, Hyperparams

if TYPE_CHECKING:
    from experiments.training.settings.experiment import Experiment

RUN_KEYS = ("env", "env_option", "algorithm", "reuse_matrix", "total_steps")
GROUPS = {"config": Config, "hyperparameters": Hyperparams}
"""Keys with settings of their own, and the type that has them."""

MAX_BYTES = 100_000


def preset_arguments(path: Path) -> list[str]:
    """Returns the command line that a preset file stands for.

    Raises:
        UsageError: if it is no preset, saying what is wrong with it.
    """
    content = _read(path)
    settings = {name: content[name] for name in RUN_KEYS if name in content}
    _refuse_unknown(path, "", content, (*RUN_KEYS, *GROUPS))
    for group, kind in GROUPS.items():
        entries = content.get(group, {})
        if not isinstance(entries, dict):
            raise UsageError(f"preset: {path}: expected {group} to be an object, got {entries!r}")
        known = {field.name for field in dataclasses.fields(kind)} - {"num_updates"}
        _refuse_unknown(path, f"{group}.", entries, sorted(known))
        settings |= entries
    try:
        return [token for name in settings for token in option_tokens(name, settings[name])]
    except ValueError as error:
        raise UsageError(f"preset: {path}: {error}") from error


def describe_preset(experiment: Experiment, point: int) -> dict[str, Any]:
    """Returns what a preset file says of one grid point: every setting that its algorithm reads."""
    run = experiment.options.run
    reads = experiment.algorithm.reads(experiment.config)
    config = dataclasses.asdict(experiment.config)
    return {
        "env": run.env,
        "env_option": list(run.env_option),
        "algorithm": run.algorithm,
        "reuse_matrix": run.reuse_matrix,
        "total_steps": run.total_steps,
        "config": {k: v for k, v in config.items() if k in reads - {"num_updates"}},
        "hyperparameters": {k: v for k, v in experiment.points[point].items() if k in reads},
    }


def _read(path: Path) -> dict[str, Any]:
    """Returns the content of a file that is JSON, an object, and no larger than a preset is."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
        if len(raw) > MAX_BYTES:
            raise ValueError(f"more than {MAX_BYTES:,} bytes")
        content = json.loads(raw.decode())
    except OSError as error:
        raise UsageError(f"preset: cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"preset: {path} is no preset, which is JSON: {error}") from error
    if not isinstance(content, dict):
        raise UsageError(f"preset: {path}: expected an object, got {type(content).__name__}")
    return content


def _refuse_unknown(path: Path, where: str, entries: Mapping[str, Any], known: Any) -> None:
    if unknown := sorted(entries.keys() - set(known)):
        raise UsageError(
            f"preset: {path} has {', '.join(where + name for name in unknown)}, which is no "
            f"setting; expected {', '.join(known)}"
        )
