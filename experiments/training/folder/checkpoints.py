"""The checkpoints of a run: saved while training goes on, the newest few kept, and read again."""

from __future__ import annotations

import functools
import logging
import re
import shutil
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from experiments.training.errors import UsageError
from oatrpo_jax import run_folder
from oatrpo_jax.checkpoint import (
    Arrays,
    DamagedCheckpointError,
    save_checkpoint,
    to_host,
)
from oatrpo_jax.run_folder import FOLDER, Restored, find_checkpoints
from oatrpo_jax.types import PyTree

DEFAULT_SECONDS = 60.0
"""Time between two checkpoints if no number of updates is asked for; no result depends on it."""


def restore(directory: Path, like: PyTree) -> Restored | None:
    """Returns the newest checkpoint that can be loaded; None if there is none.

    Says on stderr which ones had to be passed over.  Deletes nothing.

    Raises:
        UsageError: if there are some but none can be loaded.
    """
    _silence_orbax()
    try:
        restored = run_folder.restore(directory, like)
    except DamagedCheckpointError as error:
        raise UsageError(str(error)) from error
    for problem in restored.problems if restored else ():
        _warn(problem)
    return restored


def set_aside(paths: Sequence[Path]) -> None:
    """Renames checkpoints that could not be loaded, so that they are not taken for the newest."""
    for path in paths:
        target = path.with_name(f"{path.name}.damaged")
        shutil.rmtree(target, ignore_errors=True)
        path.rename(target)


class Checkpoints:
    """Saves checkpoints behind the training's back; keeps the newest few.

    As a context manager, it opens the folder, and at its end the last save is over.  A save that
    fails is reported on stderr and leaves those before it as they are.
    """

    def __init__(self, directory: Path, keep: int = 2, every: int = 0) -> None:
        """Touches no file.

        Args:
            keep: how many of the newest to keep, at least one.
            every: updates between two of them; 0 goes by the clock.
        """
        self.every = every
        self._directory = directory
        self._folder = directory / FOLDER
        self._keep = keep
        self._saved_at = time.perf_counter()
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._pending: tuple[int, Future[None]] | None = None

    def __enter__(self) -> Checkpoints:
        """Makes the folder, and removes what a killed save has left."""
        _silence_orbax()
        self._folder.mkdir(exist_ok=True)
        self._remove_unfinished()
        return self

    def __exit__(self, *_: object) -> None:
        self.wait()
        self._worker.shutdown()

    @property
    def newest(self) -> int | None:
        """Updates done at the newest checkpoint; None if there is none."""
        return max(find_checkpoints(self._directory), default=None)

    def is_due(self, num_updates: int) -> bool:
        """Returns whether to save after so many updates."""
        seconds = time.perf_counter() - self._saved_at
        return num_updates % self.every == 0 if self.every else seconds >= DEFAULT_SECONDS

    def save(
        self,
        state: PyTree,
        num_updates: int,
        about: Mapping[str, Any] = {},
        left_out: Collection[int] = (),
    ) -> None:
        """Copies the state and starts to write it; waits for the save before, if need be.

        Args:
            state: leading axes ``[P, K]``; may be given away as soon as this returns.
            num_updates: updates done; what is saved already is not saved again.
            about: JSON-able facts to keep beside the state.
            left_out: grid points that have diverged: what they learnt may be no number any more.
        """
        self.wait()
        if num_updates in find_checkpoints(self._directory):
            return
        facts = {**about, "num_updates": num_updates}
        future = self._worker.submit(self._write, to_host(state), facts, sorted(left_out))
        self._saved_at = time.perf_counter()
        self._pending = num_updates, future

    def wait(self) -> bool:
        """Returns whether the last save succeeded, once it is over; says so if it failed."""
        if self._pending is None:
            return True
        (num_updates, future), self._pending = self._pending, None
        if (error := future.exception()) is None:
            return True
        newest = self.newest
        before = "none was saved before" if newest is None else f"the newest is of update {newest}"
        failed = f"the checkpoint of update {num_updates} could not be saved in {self._folder}"
        _warn(f"{failed}; {before}. {_reason(error)}")
        return False

    def read_back(self, like: PyTree) -> None:
        """Raises a UsageError unless a checkpoint of these shapes can be loaded."""
        restore(self._directory, like)

    def _write(self, arrays: Arrays, facts: Mapping[str, Any], left_out: Sequence[int]) -> None:
        _check_finite(arrays, left_out)
        self._remove_unfinished()
        try:
            save_checkpoint(self._folder / f"{facts['num_updates']:09d}", arrays, facts)
        finally:
            self._remove_unfinished()
        found = find_checkpoints(self._directory)
        for number in sorted(found)[: -self._keep]:
            shutil.rmtree(found[number], ignore_errors=True)

    def _remove_unfinished(self) -> None:
        """Removes what killed or failed saves have left.

        Of a save that has failed, other arrays may still be on their way into the folder, which
        then is not empty when it is to go: hence several tries.
        """
        for _ in range(20):
            if not (unfinished := list(self._folder.glob("*.orbax-checkpoint-tmp"))):
                return
            for path in unfinished:
                shutil.rmtree(path, ignore_errors=True)
            time.sleep(0.05)


def _warn(message: str) -> None:
    print(f"Warning: {message}", file=sys.stderr)


def _check_finite(arrays: Arrays, left_out: Sequence[int]) -> None:
    """Raises a ValueError if what was learnt is no number any more: nothing can go on from it."""
    for name, array in arrays.items():
        if "learner/" in name and not np.isfinite(np.delete(array, left_out, axis=0)).all():
            raise ValueError(f"{name} is not finite")


def _reason(error: BaseException) -> str:
    """Returns the part of an error that helps: the system's words, if it has any.

    >>> _reason(ValueError("OUT_OF_RANGE: Failed to write: No space left on device [x='28']"))
    'No space left on device'
    """
    text = " ".join(str(error).split())
    if match := re.search(r"([^:\[\]]+) \[(?:os_error_code|x)='\d+'", text):
        return match[1].strip()
    return text[:300]


@functools.cache
def _silence_orbax() -> None:
    """Hides the tracebacks that orbax and its threads show, as the error itself is raised."""
    logging.getLogger("absl").setLevel(logging.CRITICAL)
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    show = sys.unraisablehook

    def hide(unraisable: Any) -> None:
        # The rest of a restore that failed comes back to a loop that is no more.
        if "Event loop is closed" not in str(unraisable.exc_value):
            show(unraisable)

    sys.unraisablehook = hide
