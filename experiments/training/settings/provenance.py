"""Where a run is computed, and whether that is where it was: what rounding may depend on."""

from __future__ import annotations

import importlib.util
import platform
import subprocess
import sys
from collections.abc import Mapping
from importlib import metadata
from typing import Any

import jax

import oatrpo_jax
from experiments.training.errors import UsageError
from oatrpo_jax.devices import ENVS, LANES
from oatrpo_jax.installation import ROOT

PACKAGES = ("jax", "jaxlib", "flax", "optax", "distrax", "jumanji")


def check_version(config: Mapping[str, Any]) -> None:
    """Raises a UsageError if oatrpo_jax differs from a run's: its arrays may mean other things."""
    for each in differences(surroundings(config), {"oatrpo_jax": oatrpo_jax.__version__}):
        raise UsageError(
            f"resume: the run began with {each}; install the version that it began with"
        )


def compare_with_now(config: Mapping[str, Any], mesh: Mapping[str, int]) -> None:
    """Says on stderr what differs from where a run began; of its devices, from where it was last.

    Args:
        mesh: numbers of devices by axis now.
    """
    last = [config, *config.get("resumed", [])][-1]
    here = {"versions": versions(), "device": device(), "mesh": dict(mesh)}
    platform = here["device"]["platform"]
    before = surroundings({**config, "mesh": last.get("mesh")}, platform)
    if differ := differences(before, surroundings(here, platform)):
        print(
            f"Warning: the run began with {', '.join(differ)}. It goes on, but maybe not to the "
            "bit as it would have there.",
            file=sys.stderr,
        )


def surroundings(config: Mapping[str, Any], platform: str | None = None) -> dict[str, Any]:
    """Returns what rounding may depend on: versions of packages, the device, how many there are.

    On a CPU no bit depends on how many lanes a device has.

    Args:
        config: config.json.
        platform: that decides which numbers of devices matter; None for the config's own.
    """
    known = (config.get(name) for name in ("versions", "device", "mesh"))
    packages, where, mesh = (each if isinstance(each, dict) else {} for each in known)
    is_cpu = (platform or where.get("platform", "cpu")) == "cpu"
    axes = (ENVS,) if is_cpu else (LANES, ENVS)
    used = {f"devices for {axis}": mesh.get(axis, 1) for axis in axes}
    return {**packages, **where, **used}


def differences(
    before: Mapping[str, Any], now: Mapping[str, Any], joint: str = ", now "
) -> list[str]:
    """Returns in words which of the values known before are others now."""
    return [f"{k} {before[k]}{joint}{v}" for k, v in now.items() if before.get(k, v) != v]


def device() -> dict[str, str]:
    """Returns what the run computes on."""
    first = jax.devices()[0]
    return {"platform": first.platform, "kind": first.device_kind}


def versions() -> dict[str, str]:
    """Returns the versions of Python and of the packages that the result may depend on."""
    # jaxmarl is optional.  What this process has imported so far would depend on its history.
    packages = (*PACKAGES, *(["jaxmarl"] if importlib.util.find_spec("jaxmarl") else []))
    found = {name: metadata.version(name) for name in packages}
    # A clone need not be installed: the package knows its version itself.
    return {"python": platform.python_version(), **found, "oatrpo_jax": oatrpo_jax.__version__}


def git_commit() -> str | None:
    """Returns the commit of this clone, marked ``-dirty`` if files differ; None where it is none.

    What was installed into a folder of somebody's repository has nothing to do with its commits.
    """
    git = ["git", "--git-dir", str(ROOT / ".git"), "--work-tree", str(ROOT)]
    command = [*git, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout.strip() or None
