"""One run's folder made of its slices: what a single program would have left, to the bit."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import numpy as np
from rich.console import Console

from experiments.training import grouping
from experiments.training.console import status
from experiments.training.errors import UsageError
from experiments.training.folder.checkpoints import Checkpoints, restore
from experiments.training.folder.directory import check_is_empty, check_out, make_directory
from experiments.training.folder.files import locked, read_json, write_json
from experiments.training.joined_logs import join_log, logs_of
from experiments.training.loop import RunState
from experiments.training.program import abstract_state
from experiments.training.settings.config_file import OF_PROCESS
from experiments.training.slices import Slices, Trained, read_slices
from oatrpo_jax.checkpoint import Arrays, to_host
from oatrpo_jax.types import PyTree


def join(
    directories: Sequence[Path],
    out: Path,
    finish: Callable[[Path, Console], Mapping[str, Any]],
    console: Console,
) -> int:
    """Makes a run of its slices in a new or empty directory; returns the exit code.

    Args:
        directories: those of the slices.
        out: where to.
        finish: makes something of the run's files.
        console: where it says what it does.

    Raises:
        UsageError: if they cannot be joined; nothing is left of it then.
    """
    check_out(out, out.name)
    with status(console, "comparing the slices ..."):
        slices = read_slices(directories)
    like = RunState.like(abstract_state(slices.whole), slices.whole)
    with status(console, "reading the checkpoints ..."):
        arrays = join_states(slices, like)
    make_directory(out, out.name)
    with locked(out):
        check_is_empty(out)
        with _all_or_nothing(out):
            for name, rows in logs_of(slices).items():
                with status(console, f"joining {name} ..."):
                    join_log(slices, name, rows, out)
            save_clusters(slices, out)
            with status(console, "saving the checkpoint ..."):
                save_state(slices, arrays, like, out)
            # Without the first of these two it is no run, without the second none that has ended.
            write_json(out / "config.json", describe_whole(slices))
            write_json(out / "training.json", describe_training(slices))
        summary = finish(out, console)
    return int(summary.get("best_score", 0.0) is None)


@contextmanager
def _all_or_nothing(directory: Path) -> Iterator[None]:
    """Removes what was made in a directory, which was empty, if not all of it could be made."""
    try:
        yield
    except BaseException:
        for path in directory.glob("[!.]*"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        raise


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


def describe_training(slices: Slices) -> dict[str, Any]:
    """Returns training.json of the whole; times are those of all slices together."""
    return {
        **facts_of(slices),
        "completed": True,
        "compile_seconds": sum(part.training["compile_seconds"] for part in slices.parts),
        "absolute": join_absolute(slices),
    }


def facts_of(slices: Slices) -> dict[str, Any]:
    """Returns what the checkpoint of the whole says beside its arrays."""
    numbered = zip(slices.parts, slices.first_points, strict=True)
    return {
        "num_updates": slices.whole.config.num_updates,
        "run_seconds": sum(part.training["run_seconds"] for part in slices.parts),
        "diverged": [
            {**one, "point": first + one["point"]}
            for part, first in numbered
            for one in part.training["diverged"]
        ],
        "evaluated_ends": slices.sound_part.training["evaluated_ends"],
    }


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


def join_states(slices: Slices, like: PyTree) -> Arrays:
    """Returns the arrays ``[P, K, ...]`` of the whole's newest checkpoint, by name.

    Args:
        slices: of each of them the newest checkpoint is read.
        like: shapes and dtypes of the whole's.

    Raises:
        UsageError: if one is missing or damaged.
    """
    states = [_read_state(part, like, slices.whole.config.num_updates) for part in slices.parts]
    # One array after the other, so that there are never two of everything.
    return {
        name: np.concatenate([state.pop(name) for state in states], slices.axis)
        for name in list(states[0])
    }


def _read_state(part: Trained, like: PyTree, num_updates: int) -> Arrays:
    lanes = part.lanes
    of_part = jax.tree.map(lambda x: jax.ShapeDtypeStruct((*lanes, *x.shape[2:]), x.dtype), like)
    restored = restore(part.directory, of_part)
    if restored is None or (restored.num_updates != num_updates and not part.is_lost):
        raise UsageError(
            f"slices: {part} has no checkpoint of update {num_updates} that can be loaded; put it "
            "back, or train the slice again"
        )
    return to_host(restored.state)


def save_state(slices: Slices, arrays: Arrays, like: PyTree, out: Path) -> None:
    """Saves the checkpoint of the whole, and reads it back."""
    facts = facts_of(slices)
    left_out = {one["point"] for one in facts["diverged"]}
    with Checkpoints(out) as checkpoints:
        checkpoints.save(arrays, facts["num_updates"], facts, left_out)
        if not checkpoints.wait():
            raise UsageError("out: nothing can be saved there; make room, or choose another one")
        checkpoints.read_back(like)


def save_clusters(slices: Slices, out: Path) -> None:
    """Leaves clusters.json if the slices have it: SEPS groups agents per seed, before training."""
    paths = [part.directory / grouping.FILE for part in slices.parts]
    if not paths[0].exists():
        return
    found = [read_json(path) for path in paths]
    seeds = [seed for each in found for seed in each["seeds"]] if slices.axis else found[0]["seeds"]
    write_json(out / grouping.FILE, {**found[0], "seeds": seeds})
