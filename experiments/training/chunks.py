"""Chunks of updates: the device does one in a thread while the host logs the one before."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from experiments.training.processes import of_the_first
from experiments.training.program import CAPACITY, Compiled
from oatrpo_jax.train import TrainState

NUM_EPISODES = "episode/count"

CHUNK_SECONDS = 1.0
"""How long a chunk should take: what the user waits for news, and for an interruption."""


class Chunk(NamedTuple):
    """What a few updates did.

    Attributes:
        state: the state after them, leading axes ``[P, K]``; given away when the next one starts.
        first_update: number of the first of them, from 1.
        metrics: by name, ``[chunk, P, K, ...]`` on the host.
        seconds: how long the device took.
    """

    state: TrainState
    first_update: int
    metrics: dict[str, np.ndarray]
    seconds: float

    @property
    def updates(self) -> range:
        """Numbers of its updates."""
        count = len(next(iter(self.metrics.values())))
        return range(self.first_update, self.first_update + count)

    def until(self, update: int) -> Chunk:
        """Returns the chunk with the metrics of later updates left out."""
        count = update - self.first_update + 1
        return self._replace(metrics={k: value[:count] for k, value in self.metrics.items()})


class Device:
    """Does chunks of about `CHUNK_SECONDS`, one at a time, until the last update is done.

    As a context manager, it waits at its end for a chunk that is under way.
    """

    def __init__(
        self, program: Compiled, done: int, last_update: int, every: Sequence[int] = ()
    ) -> None:
        """Starts nothing yet.

        Args:
            every: a chunk ends at each multiple of these, where the host needs the state.
        """
        self._program, self._every = program, every
        self._done, self._last = done, last_update
        self._length = 1
        # A thread, as not every backend goes on by itself; it also tells how long the device took,
        # and leaves the main thread free to hear signals.
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="device")
        self._running: Future[Chunk] | None = None

    def __enter__(self) -> Device:
        return self

    def __exit__(self, *_: object) -> None:
        self._worker.shutdown()

    def start(self, state: TrainState) -> None:
        """Starts the next chunk from a state, which is given away, if an update is left to do."""
        done = self._done
        if done < self._last:
            stops = (number - done % number for number in self._every)
            count = min(self._length, self._last - done, *stops)
            self._running = self._worker.submit(self._advance, state, done + 1, count)

    def wait(self) -> Chunk | None:
        """Returns the chunk that was started, once it is done; None if none was."""
        if self._running is None:
            return None
        chunk, self._running = self._running.result(), None
        self._done = chunk.updates[-1]
        self._length = of_the_first(next_length(len(chunk.updates), chunk.seconds, CAPACITY))
        return chunk

    def _advance(self, state: TrainState, first_update: int, count: int) -> Chunk:
        start = time.perf_counter()
        state, log = self._program.advance(state, count)
        metrics = {name: np.asarray(value)[:count] for name, value in log.items()}
        metrics = without_empty_means(metrics)
        return Chunk(state, first_update, metrics, time.perf_counter() - start)


def without_empty_means(metrics: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns the metrics with NaN for the mean over no episode, which the device says is 0.

    >>> none = {"episode/count": np.float32([0, 2]), "episode/return": np.float32([0, 0])}
    >>> without_empty_means(none)["episode/return"]
    array([nan,  0.], dtype=float32)
    """
    has_ended = metrics[NUM_EPISODES] > 0
    return {
        name: np.where(has_ended, value, np.nan)
        if name.startswith("episode/") and name != NUM_EPISODES
        else value
        for name, value in metrics.items()
    }


def next_length(count: int, seconds: float, capacity: int) -> int:
    """Returns how many updates to do next, given how long ``count`` of them took.

    >>> next_length(1, seconds=0.1, capacity=256)
    4
    """
    wanted = int(CHUNK_SECONDS * count / max(seconds, 1e-6))
    return max(1, min(wanted, 4 * count, capacity))
