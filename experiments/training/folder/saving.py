"""Saving checkpoints while training goes on; keeping the newest few."""

from __future__ import annotations

import re
import shutil
import sys
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from experiments.training.folder.checkpoints import FOLDER, find_checkpoints
from experiments.training.folder.quiet import silence_orbax
from oatrpo_jax.checkpoint import Arrays, save_checkpoint, to_host
from oatrpo_jax.train import TrainState

DEFAULT_SECONDS = 60.0
"""Time between two checkpoints if no number of updates is asked for; no result depends on it."""


def set_aside(paths: Sequence[Path]) -> None:
    """Renames checkpoints that could not be loaded, so that they are not taken for the newest."""
    for path in paths:
        target = path.with_name(f"{path.name}.damaged")
        shutil.rmtree(target, ignore_errors=True)
        path.rename(target)


class Checkpoints:
    """Saves checkpoints behind the training's back; keeps the newest few.

    Use it as a context manager: at its end the last save is complete.  A save that fails is
    reported on stderr and leaves those before it as they are.
    """

    def __init__(self, directory: Path, keep: int = 2, every: int = 0) -> None:
        """Opens the folder, and removes what a killed save has left.

        Args:
            directory: the run's.
            keep: how many of the newest to keep.
            every: updates between two of them; 0 goes by the clock.
        """
        self.every = every
        self._saved_at = time.perf_counter()
        self._root = directory / FOLDER
        self._keep = keep
        self._root.mkdir(exist_ok=True)
        self._remove_unfinished()
        self._saved = set(find_checkpoints(directory))
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._pending: tuple[int, Future[None]] | None = None
        silence_orbax()

    def __enter__(self) -> Checkpoints:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.wait()
        self._worker.shutdown()

    @property
    def newest(self) -> int | None:
        """Updates done at the newest checkpoint; None if there is none."""
        return max(self._saved, default=None)

    def is_due(self, num_updates: int) -> bool:
        """Returns whether to save after so many updates."""
        if self.every:
            return num_updates % self.every == 0
        return time.perf_counter() - self._saved_at >= DEFAULT_SECONDS

    def save(self, state: TrainState, num_updates: int, run_seconds: float = 0.0) -> None:
        """Copies the state and starts to write it; waits for the save before, if need be.

        Args:
            state: leading axes ``[P, K]``; may be given away as soon as this returns.
            num_updates: updates done.
            run_seconds: what training has taken so far.
        """
        self.wait()
        if num_updates in self._saved:
            return
        arrays = to_host(state)
        about = {"num_updates": num_updates, "run_seconds": run_seconds}
        self._saved_at = time.perf_counter()
        self._pending = num_updates, self._worker.submit(self._write, arrays, about)

    def wait(self) -> bool:
        """Returns whether the last save succeeded, once it is over; says so if it failed."""
        if self._pending is None:
            return True
        (num_updates, future), self._pending = self._pending, None
        if (error := future.exception()) is None:
            return True
        before = (
            "none was saved before"
            if self.newest is None
            else f"the newest is of update {self.newest}"
        )
        print(
            f"Warning: the checkpoint of update {num_updates} could not be saved in {self._root}; "
            f"{before}. {_reason(error)}",
            file=sys.stderr,
        )
        return False

    def _write(self, arrays: Arrays, about: dict[str, Any]) -> None:
        _check_finite(arrays)
        self._remove_unfinished()
        try:
            save_checkpoint(self._path(about["num_updates"]), arrays, about)
        except BaseException:
            self._remove_unfinished()
            raise
        self._saved.add(about["num_updates"])
        self._prune()

    def _remove_unfinished(self) -> None:
        """Removes what killed or failed saves have left.

        Of a save that has failed, other arrays may still be on their way into the folder, which
        then is not empty when it is to go: hence several tries.
        """
        for _ in range(20):
            if not (unfinished := list(self._root.glob("*.orbax-checkpoint-tmp"))):
                return
            for path in unfinished:
                shutil.rmtree(path, ignore_errors=True)
            time.sleep(0.05)

    def _prune(self) -> None:
        for number in sorted(self._saved)[: -self._keep]:
            shutil.rmtree(self._path(number), ignore_errors=True)
            self._saved.remove(number)

    def _path(self, num_updates: int) -> Path:
        return self._root / f"{num_updates:09d}"


def _check_finite(arrays: Arrays) -> None:
    """Raises a ValueError if what was learnt is no number any more: nothing can go on from it."""
    for name, array in arrays.items():
        if name.startswith("learner/") and not np.isfinite(array).all():
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
