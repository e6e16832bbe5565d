"""Finished runs, kept by what they were: resolved configuration, sources and versions."""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

from experiments.training.errors import UsageError
from experiments.training.folder import files
from experiments.training.settings.config_file import PACKAGES, describe_experiment
from experiments.training.settings.experiment import build
from experiments.training.settings.options import parse

ROOT = Path(__file__).parents[3]

USAGE_ERROR = 2
"""Exit code for options that cannot be."""

RESOLVED = (
    "environment",
    "env_options",
    "algorithm",
    "reuse_matrix",
    "seeds",
    "total_steps",
    "config",
    "hyperparameters",
)
"""The entries of config.json that decide a run's result, beside those of `EVALUATION`."""

EVALUATION = ("eval_every", "eval_episodes")
"""The options of a run that decide what its evaluations tell; they stand under ``run``."""

SOURCES = ("oatrpo_jax", "envs", "experiments/training")
"""Folders whose code decides a run's result; the rest of experiments only reports it."""


class CachedRun(NamedTuple):
    """A run and its place.

    Attributes:
        arguments: of experiments/run.py, without ``--out``.
        resolved: what they come to, all defaults filled in.
        directory: where its files are, or will be.
    """

    arguments: tuple[str, ...]
    resolved: dict[str, Any]
    directory: Path

    def is_complete(self) -> bool:
        """Returns whether the run is there and was finished.

        Raises:
            UsageError: if another run lies in its place.
        """
        config = read_json(self.directory / "config.json")
        if config and (changes := differences(only_resolved(config), self.resolved)):
            raise UsageError(
                f"out: {self.directory} holds another run: {'; '.join(changes)}; remove it"
            )
        summary = read_json(self.directory / "summary.json")
        return bool(config) and bool(summary.get("completed"))

    def discard(self) -> None:
        """Removes what is there of the run."""
        if self.directory.exists():
            shutil.rmtree(self.directory)


def plan_run(arguments: Sequence[str], code: Mapping[str, str], cache: Path) -> CachedRun:
    """Returns the place of a run in a cache; nothing is created.

    Raises:
        UsageError: if the arguments describe no run.
    """
    description = describe_experiment(build(parse(arguments)))
    resolved = only_resolved(json.loads(json.dumps(description)))
    key = json.dumps([resolved, code], sort_keys=True)
    digest = hashlib.sha256(key.encode()).hexdigest()[:16]
    name = f"{resolved['environment']}-{resolved['algorithm']}-{digest}".replace(":", "-")
    return CachedRun(tuple(arguments), resolved, cache / name)


def only_resolved(config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the part of a config.json that decides the result."""
    run = config.get("run", {})
    return {
        **{name: config.get(name) for name in RESOLVED},
        **{name: run.get(name) for name in EVALUATION},
    }


def code_state() -> dict[str, str]:
    """Returns what the result depends on beside the configuration: sources and versions."""
    digest = hashlib.sha256()
    for path in source_files():
        digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0")
        digest.update(path.read_bytes() + b"\0")
    state = {"sources": digest.hexdigest()[:16]}
    for package in (*PACKAGES, "jaxmarl"):
        try:
            state[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            state[package] = "none"
    return state


def source_files() -> list[Path]:
    """Returns the paths of all `SOURCES`."""
    return [path for source in SOURCES for path in sorted((ROOT / source).rglob("*.py"))]


def differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    """Returns what differs between two nested dictionaries, in words.

    >>> differences({"seeds": 5, "config": {"gamma": 0.9}}, {"seeds": 2, "config": {"gamma": 0.9}})
    ['seeds: 5 there, 2 here']
    """
    old, new = _flat(there), _flat(here)
    return [
        f"{name}: {old.get(name, 'absent')} there, {new.get(name, 'absent')} here"
        for name in sorted(old.keys() | new.keys())
        if old.get(name, "absent") != new.get(name, "absent")
    ]


def execute(run: CachedRun) -> int:
    """Trains a run in a process of its own, or goes on with it, and returns the exit code."""
    if (run.directory / "config.json").exists():
        code = _launch("--resume", str(run.directory))
        if code != USAGE_ERROR:
            return code
        # What cannot be taken up again is made anew.
    run.discard()
    run.directory.parent.mkdir(parents=True, exist_ok=True)
    return _launch(*run.arguments, "--out", str(run.directory))


def _launch(*arguments: str) -> int:
    """Returns the exit code of experiments/run.py, which leaves its files whatever stops it.

    SIGINT reaches the process by itself, as it belongs to the terminal's group; SIGTERM is passed
    on.  Either way it stops between two chunks.
    """
    script = str(ROOT / "experiments" / "run.py")
    process = subprocess.Popen([sys.executable, script, *arguments])
    before = signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    try:
        return process.wait()
    except KeyboardInterrupt:
        process.wait()
        raise
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def sole_user(root: Path) -> Iterator[None]:
    """Keeps a second command out of a results folder: it would restart runs under way.

    Raises:
        UsageError: if another command works there, or the folder cannot be written.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        lock = (root / ".lock").open("w")
    except OSError as error:
        raise UsageError(
            f"out: cannot write to {root}: {error.strerror}; choose another directory"
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UsageError(
                f"out: another command is at work in {root}; wait for it or choose another"
            ) from None
        yield


def read_json(path: Path) -> dict[str, Any]:
    """Returns the contents of a file; nothing where it is missing or was cut off."""
    try:
        return files.read_json(path)
    except (OSError, ValueError):
        return {}


def _flat(nested: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat = {}
    for name, value in nested.items():
        if isinstance(value, Mapping) and value:
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat
