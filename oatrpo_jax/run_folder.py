"""What anybody reads of a run's folder: record, decisions, the newest sound checkpoint.

Light until a checkpoint is read.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from oatrpo_jax.types import PyTree

FOLDER = "checkpoints"
"""The checkpoints' folder in that of a run; each is named by the updates done, in nine digits."""


def read_json(path: Path) -> Any:
    """Returns what a JSON file holds; OSError or ValueError if it does not."""
    return json.loads(path.read_text())


def read_config(directory: Path) -> dict[str, Any]:
    """Returns the content of a run's config.json; a ValueError says that there is none."""
    path = directory / "config.json"
    try:
        content = read_json(path)
    except FileNotFoundError as error:
        raise ValueError(f"{directory} holds no run: it has no config.json") from error
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} is damaged: expected an object, got {type(content).__name__}")
    return content


def choose_point(directory: Path, num_points: int, asked: int | None) -> int:
    """Returns the number of the grid point asked for, else of the best in summary.json.

    Raises:
        ValueError: if there is no such point, or none is known to be the best.
    """
    last = num_points - 1
    if asked is not None and asked not in range(num_points):
        raise ValueError(f"point: expected a number in [0, {last}], got {asked}")
    if asked is not None or last == 0:
        return asked or 0
    return _decided(directory, "point", lambda summary: summary["best_point"], range(num_points))


def choose_seed(directory: Path, seeds: Sequence[int], point: int, asked: int | None) -> int:
    """Returns the place among the seeds of the one asked for, else of the point's best.

    Raises:
        ValueError: if there is no such seed, or none is known to be the best.
    """
    if asked is not None and asked not in seeds:
        raise ValueError(f"seed: expected one of {', '.join(map(str, seeds))}, got {asked}")
    if asked is not None or len(seeds) == 1:
        return seeds.index(seeds[0] if asked is None else asked)
    best = _decided(directory, "seed", lambda told: told["points"][point]["best_seed"], seeds)
    return seeds.index(best)


def _decided(directory: Path, name: str, read: Callable[[Any], Any], known: Sequence[int]) -> int:
    """Returns what summary.json says is the best of the known ones."""
    try:
        best = read(read_json(directory / "summary.json"))
        problem = "" if best in known else f"it speaks of {name} {best}"
    except (OSError, LookupError, TypeError, ValueError) as error:
        best, problem = None, str(error)
    if best is None or problem:
        raise ValueError(
            f"{name}: {directory} has no summary.json that tells the best {name} ({problem}); "
            f"choose a {name}"
        )
    return best


@dataclass(frozen=True)
class Restored:
    """A checkpoint that could be loaded.

    Attributes:
        state: of the structure that was asked for.
        num_updates: updates done by then.
        about: the facts saved beside the state.
        passed_over: newer checkpoints that could not be loaded.
        problems: what is wrong with each of these, in words.
    """

    state: PyTree
    num_updates: int
    about: Mapping[str, Any]
    passed_over: tuple[Path, ...] = ()
    problems: tuple[str, ...] = ()


def restore(directory: Path, like: PyTree, is_part: bool = False) -> Restored | None:
    """Returns the newest checkpoint that can be loaded; None if there is none.  Deletes nothing.

    Args:
        directory: the run's.
        like: see `load_checkpoint`.
        is_part: whether the checkpoint may hold more than that.

    Raises:
        DamagedCheckpointError: if there are some but none can be loaded.
    """
    # Orbax is slow to import; who reads the record alone does not wait for it.
    from oatrpo_jax.checkpoint import DamagedCheckpointError, load_checkpoint, read_about

    found = find_checkpoints(directory)
    problems: dict[Path, str] = {}
    for number in sorted(found, reverse=True):
        path = found[number]
        try:
            state = load_checkpoint(path, like, is_part)
            about = read_about(path)
        except (DamagedCheckpointError, ValueError) as error:
            problems[path] = str(error)
            continue
        said = tuple(
            f"a checkpoint cannot be loaded, the one before is used: {each}"
            for each in problems.values()
        )
        return Restored(state, number, about, tuple(problems), said)
    if not found:
        return None
    raise DamagedCheckpointError(
        f"no checkpoint in {directory / FOLDER} can be loaded; nothing was changed. "
        f"{problems[found[max(found)]]}"
    )


def find_checkpoints(directory: Path) -> dict[int, Path]:
    """Returns the paths of a run's checkpoints by the updates done, damaged ones included."""
    paths = (directory / FOLDER).glob("[0-9]" * 9)
    return {int(path.name): path for path in sorted(paths)}
