"""One run's folder made of its slices: what a single program would have left, to the bit."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from rich.console import Console

from experiments.training.console import status
from experiments.training.errors import UsageError
from experiments.training.folder import clusters
from experiments.training.folder.checkpoints import Checkpoints, restore
from experiments.training.folder.directory import check_is_empty, check_out, make_directory
from experiments.training.folder.files import locked, read_json, write_json
from experiments.training.joined_logs import join_log, logs_of
from experiments.training.position import NonFinite, Position, RunState, save_first
from experiments.training.program import abstract_state
from experiments.training.settings.config_file import OF_PROCESS
from experiments.training.settings.provenance import differences, surroundings
from experiments.training.trained_slices import Slices, TrainedSlice, compare, read_slices
from oatrpo_jax.checkpoint import Arrays, to_host
from oatrpo_jax.types import PyTree

UNFINISHED = ".joining-"
"""How a folder's name begins in which a run is made; with that alone a directory is still empty."""

LAST = ("config.json", "training.json")
"""Without the first of these two it is no run, without the second none that has ended."""


def join(
    directories: Sequence[Path],
    out: Path,
    finish: Callable[[Path, Console], Mapping[str, Any]],
    console: Console,
) -> int:
    """Makes a run of its slices in a new or empty directory; returns the exit code.

    Raises:
        UsageError: if they cannot be joined; nothing is left of it then.
    """
    check_out(out, out.name)
    with status(console, "comparing the slices ..."):
        slices = read_slices(directories)
    warn_of_differences(slices.parts)
    with status(console, "reading the checkpoints ..."):
        position = join_positions(slices)
    make_directory(out, out.name)
    with locked(out):
        check_is_empty(out)
        for killed in out.glob(f"{UNFINISHED}*"):
            shutil.rmtree(killed)
        with tempfile.TemporaryDirectory(prefix=UNFINISHED, dir=out) as folder:
            build(slices, position, Path(folder), console)
            files = [path.name for path in Path(folder).iterdir() if path.name not in LAST]
            for name in (*files, *LAST):
                (Path(folder) / name).rename(out / name)
        summary = finish(out, console)
    return int(summary.get("best_score", 0.0) is None)


def warn_of_differences(parts: Sequence[TrainedSlice]) -> None:
    """Says on stderr which slices ran elsewhere than the first one began, or from other commits."""
    first = parts[0]
    here, commit = surroundings(first.config), {"git_commit": first.config.get("git_commit")}
    for part in parts:
        ran = [part.config, *part.config.get("resumed", ())]
        elsewhere = [text for one in ran for text in differences(here, surroundings(one), " and ")]
        commits = [text for one in ran for text in differences(commit, one, " and ")]
        if found := dict.fromkeys([*elsewhere, *commits]):
            whom = f"{part} went on" if part is first else f"{part} ran"
            rounding = " Numbers may be rounded otherwise." if elsewhere else ""
            print(
                f"Warning: {whom} otherwise than {first} began: {', '.join(found)}.{rounding}",
                file=sys.stderr,
            )


def build(slices: Slices, position: Position, folder: Path, console: Console) -> None:
    """Makes all that a run has when its training has ended, in an empty folder."""
    for name, rows in logs_of(slices).items():
        with status(console, f"joining {name} ..."):
            join_log(slices, name, rows, folder)
    join_clusters(slices, folder)
    with status(console, "saving the checkpoint ..."), Checkpoints(folder) as checkpoints:
        save_first(position, checkpoints)
    write_json(folder / "config.json", describe_whole(slices))
    write_json(folder / "training.json", describe_training(slices, position))


def describe_whole(slices: Slices) -> dict[str, Any]:
    """Returns config.json of the whole, and how each slice ran."""
    first = slices.parts[0].config
    joined = [
        {
            "directory": str(part.directory.absolute()),
            "slice": part.config["run"]["slice"],
            **{name: part.config.get(name) for name in OF_PROCESS},
            "resumed": part.config.get("resumed", []),
        }
        for part in slices.parts
    ]
    kept = {name: value for name, value in first.items() if name not in ("whole", "resumed")}
    run = {**first["run"], "slice": None}
    return {**kept, **first["whole"], "run": run, "joined": joined}


def describe_training(slices: Slices, position: Position) -> dict[str, Any]:
    """Returns training.json of the whole; times are those of all slices together."""
    return {
        **position.facts(),
        "completed": True,
        "compile_seconds": sum(part.training["compile_seconds"] for part in slices.parts),
        "absolute": join_absolute(slices),
    }


def join_positions(slices: Slices) -> Position:
    """Returns where the whole stands; a UsageError names a slice whose checkpoint is missing."""
    numbered = zip(slices.parts, slices.first_points, strict=True)
    diverged = [
        NonFinite(**{**one, "point": first + one["point"]})
        for part, first in numbered
        for one in part.training["diverged"]
    ]
    state: Any = join_states(slices)  # Arrays by name, as they are saved.
    return Position(
        state,
        slices.whole.config.num_updates,
        run_seconds=sum(part.training["run_seconds"] for part in slices.parts),
        diverged={one.point: one for one in diverged},
        evaluated_ends=tuple(slices.sound_part.training["evaluated_ends"]),
    )


def join_absolute(slices: Slices) -> list[dict[str, Any] | None] | None:
    """Returns, per grid point, how the best policies play; None where none were measured."""
    if slices.sound_part.training["absolute"] is None:
        return None
    found = [part.training["absolute"] or [None] * part.lanes[0] for part in slices.parts]
    of_points = [each for of_part in found for each in of_part]
    if not slices.axis:
        return of_points
    of_seeds = [each for each in of_points if each is not None]
    if len(of_seeds) < len(of_points):
        return [None]
    per_seed = {
        name: [value for each in of_seeds for value in each["per_seed"][name]]
        for name in of_seeds[0]["per_seed"]
    }
    updates = [update for each in of_seeds for update in each["updates"]]
    return [{**of_seeds[0], "updates": updates, "per_seed": per_seed}]


def join_states(slices: Slices) -> Arrays:
    """Returns the arrays ``[P, K, ...]`` of the slices' newest checkpoints, by name.

    Raises:
        UsageError: if one is missing or damaged.
    """
    like = RunState.like(abstract_state(slices.whole), slices.whole)
    states = [_read_state(part, like, slices.whole.config.num_updates) for part in slices.parts]
    # One array after the other, so that there are never two of everything.
    return {
        name: np.concatenate([state.pop(name) for state in states], slices.axis)
        for name in list(states[0])
    }


def _read_state(part: TrainedSlice, like: PyTree, num_updates: int) -> Arrays:
    lanes = part.lanes
    of_part = jax.tree.map(lambda x: jax.ShapeDtypeStruct((*lanes, *x.shape[2:]), x.dtype), like)
    restored = restore(part.directory, of_part)
    if restored is None or (restored.num_updates != num_updates and not part.is_lost):
        raise UsageError(
            f"slices: {part} has no checkpoint of update {num_updates} that can be loaded; put it "
            "back, or train the slice again"
        )
    return to_host(restored.state)


def join_clusters(slices: Slices, out: Path) -> None:
    """Leaves clusters.json if the slices have it: SEPS groups agents per seed, before training.

    Raises:
        UsageError: if slices of other points have grouped the agents of a seed otherwise.
    """
    paths = [part.directory / clusters.FILE for part in slices.parts]
    if not paths[0].exists():
        return
    found = [read_json(path) for path in paths]
    if slices.axis:
        seeds = [seed for each in found for seed in each["seeds"]]
        write_json(out / clusters.FILE, {**found[0], "seeds": seeds})
        return
    for other, each in zip(slices.parts[1:], found[1:], strict=True):
        compare(slices.parts[0], other, found[0], each)
    write_json(out / clusters.FILE, found[0])
