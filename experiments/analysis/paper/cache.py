"""Finished runs, kept by what they were: resolved configuration, sources and versions."""

from __future__ import annotations

import functools
import hashlib
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from flax.traverse_util import flatten_dict

from experiments.training.errors import UsageError
from experiments.training.folder import files
from experiments.training.settings.command_line import parse
from experiments.training.settings.config_file import describe_experiment
from experiments.training.settings.experiment import build
from experiments.training.settings.provenance import versions
from experiments.training.surroundings import Devices
from oatrpo_jax.installation import ROOT

RESOLVED = (
    *("environment", "env_options", "algorithm", "reuse_matrix"),
    *("seeds", "total_steps", "config", "hyperparameters"),
)
"""The entries of config.json that decide a run's result, beside those of `OF_RUN`."""

OF_RUN = ("schedule_steps", "eval_every", "eval_episodes", "env_devices")
"""The options of a run that decide how it is trained and evaluated; they stand under ``run``."""

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
        config = read_optional(self.directory / "config.json")
        if config and (changes := differences(only_resolved(config), self.resolved)):
            raise UsageError(
                f"out: {self.directory} holds another run: {'; '.join(changes)}; remove it"
            )
        summary = read_optional(self.directory / "summary.json")
        return bool(config) and bool(summary.get("completed"))

    def train(self, devices: Devices) -> int:
        """Trains the run in a process of its own, or goes on with it, and returns the exit code."""
        where = "--devices", str(devices)
        if (self.directory / "config.json").exists():
            return _launch("--resume", str(self.directory), *where)
        shutil.rmtree(self.directory, ignore_errors=True)
        self.directory.parent.mkdir(parents=True, exist_ok=True)
        return _launch(*self.arguments, *where, "--out", str(self.directory))


def directory_of(resolved: Mapping[str, Any], code: Mapping[str, str], cache: Path) -> Path:
    """Returns the place of a run in a cache; nothing is created."""
    key = json.dumps([resolved, code], sort_keys=True)
    digest = hashlib.sha256(key.encode()).hexdigest()[:16]
    name = f"{resolved['environment']}-{resolved['algorithm']}-{digest}"
    return cache / name.replace(":", "-")


@functools.cache  # Figures share runs.
def resolve(arguments: tuple[str, ...]) -> dict[str, Any]:
    """Returns the part of a run's config.json that decides its result; not to be changed.

    Raises:
        UsageError: if the arguments describe no run.
    """
    config = describe_experiment(build(parse(arguments)))
    return only_resolved(json.loads(json.dumps(config)))


def only_resolved(config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the part of a config.json that decides the result."""
    of_run = {name: config.get("run", {}).get(name) for name in OF_RUN}
    return {name: config.get(name) for name in RESOLVED} | of_run


def code_state() -> dict[str, str]:
    """Returns what the result depends on beside the configuration: sources and versions."""
    digest = hashlib.sha256()
    for source in SOURCES:
        for path in sorted((ROOT / source).rglob("*.py")):
            digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0")
            digest.update(path.read_bytes() + b"\0")
    return {"sources": digest.hexdigest()[:16], **versions()}


def differences(there: dict[str, Any], here: dict[str, Any]) -> list[str]:
    """Returns what differs between two nested dictionaries, in words.

    >>> differences({"seeds": 5, "config": {"gamma": 0.9}}, {"seeds": 2, "config": {"gamma": 0.9}})
    ['seeds: 5 there, 2 here']
    """
    old, new = flatten_dict(there, sep="."), flatten_dict(here, sep=".")
    pairs = {name: (old.get(name, "absent"), new.get(name, "absent")) for name in old | new}
    return [
        f"{name}: {one} there, {other} here"
        for name, (one, other) in sorted(pairs.items())
        if one != other
    ]


def _launch(*arguments: str) -> int:
    """Returns the exit code of experiments/run.py, which leaves its files whatever stops it.

    SIGINT reaches the process by itself, as it belongs to the terminal's group; SIGTERM and SIGHUP
    are passed on.  Either way it stops between two chunks.
    """
    script = str(ROOT / "experiments" / "run.py")
    process = subprocess.Popen([sys.executable, script, *arguments])
    before = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGHUP)}
    for each in before:
        if before[each] != signal.SIG_IGN:
            signal.signal(each, lambda number, _: process.send_signal(number))
    try:
        return process.wait()
    except KeyboardInterrupt:
        process.wait()
        raise
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def read_optional(path: Path) -> dict[str, Any]:
    """Returns what a file holds; nothing where it is missing or was cut off."""
    try:
        return files.read_json(path)
    except (OSError, ValueError):
        return {}
