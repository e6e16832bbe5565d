"""Where the slices of a run have run: what may have been rounded otherwise there is a warning."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from experiments.training.settings.config_file import deciding_axes, differences
from experiments.training.trained_slices import TrainedSlice


def warn_of_differences(parts: Sequence[TrainedSlice]) -> None:
    """Says on stderr which slices ran elsewhere than the first one began, or from other commits."""
    first = parts[0]
    here, commit = _surroundings(first.config), {"git_commit": first.config.get("git_commit")}
    for part in parts:
        ran = [part.config, *part.config.get("resumed", ())]
        elsewhere = [text for one in ran for text in differences(here, _surroundings(one), " and ")]
        commits = [text for one in ran for text in differences(commit, one, " and ")]
        if found := dict.fromkeys([*elsewhere, *commits]):
            whom = f"{part} went on" if part is first else f"{part} ran"
            rounding = " Numbers may be rounded otherwise." if elsewhere else ""
            print(
                f"Warning: {whom} otherwise than {first} began: {', '.join(found)}.{rounding}",
                file=sys.stderr,
            )


def _surroundings(config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what rounding may depend on where a process ran: packages, the device, how many."""
    device, mesh = config.get("device") or {}, config.get("mesh") or {}
    axes = deciding_axes(device.get("platform", "cpu"))
    used = {f"devices for {axis}": mesh.get(axis, 1) for axis in axes}
    return {**(config.get("versions") or {}), **device, **used}
