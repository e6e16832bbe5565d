"""Matches kept where their episodes stand, so that a step on the host is a pure function.

The engine answers the same seed and actions with the same episode.  A state is therefore its seed
and the actions so far; a match that stands there is a cache.  Where none does (a state read from a
checkpoint, a second step from one state), the episode is played again up to there.
"""

from __future__ import annotations

import os
import threading
import warnings
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import numpy as np

from envs.football.types import End
from envs.grf.engine import Moment


class Playable(Protocol):
    """What the pool needs of a `Match`."""

    end: End

    def start(self, seed: int, is_reversed: bool) -> None: ...

    def step(self, actions: Any) -> None: ...

    def facts(self) -> Moment: ...


class Pool:
    """Plays the steps of a batch side by side in threads; the engine lets go of Python's lock.

    Args:
        make_match: returns a match that has not begun.
        capacity: matches there may be; further ones take the place of the longest untouched.

    Attributes:
        num_steps: steps asked for.
        num_replayed: steps played again to get to a state where no match stood.
    """

    def __init__(self, make_match: Callable[[], Playable], capacity: int) -> None:
        self._make_match, self._capacity = make_match, capacity
        self._num_threads = min(os.cpu_count() or 1, capacity)
        self._threads = ThreadPoolExecutor(self._num_threads)
        self._lock = threading.Lock()
        self._standing: OrderedDict[bytes, list[Playable]] = OrderedDict()
        self._idle: list[Playable] = []
        self._num_matches = 0
        self._has_warned = False
        self.num_steps = self.num_replayed = 0

    def start(self, seed: int, is_reversed: bool) -> Moment:
        """Returns the first moment of an episode."""
        with self._lock:
            match = self._unused()
        match.start(seed, is_reversed)
        facts = match.facts()
        with self._lock:
            self._idle.append(match)
        return facts

    def step(
        self,
        seed: Any,
        is_reversed: Any,
        step_count: Any,
        history: Any,
        action: Any,
        is_over: Any,
    ) -> tuple[Moment, np.ndarray]:
        """Returns the moments 0.1 s later, and why each episode is over (`End`) if it is.

        Args:
            seed: ``[...]`` uint32, of the engine.
            is_reversed: ``[...]`` bool, as in `Match.start`.
            step_count: ``[...]`` int32 steps taken before.
            history: ``[..., T, A]`` int8, whose first `step_count` rows are their actions.
            action: ``[..., A]`` int8, those to take now.
            is_over: ``[...]`` bool, True where there is nothing to play: what is returned there
                means nothing.
        """
        batch, num_rows = np.shape(seed), int(np.size(seed))
        columns = [
            np.asarray(column).reshape((num_rows, *np.shape(column)[len(batch) :]))
            for column in (seed, is_reversed, step_count, history, action, is_over)
        ]
        rows = list(self._threads.map(self._step_row, *columns))
        played = [row for row in rows if row is not None] or [(self.start(0, False), End.NOT)]
        filled = [played[0] if row is None else row for row in rows]
        moments, ends = zip(*filled, strict=True)
        stacked = {name: np.stack([moment[name] for moment in moments]) for name in moments[0]}
        facts = {name: leaf.reshape((*batch, *leaf.shape[1:])) for name, leaf in stacked.items()}
        return facts, np.asarray(ends, np.int32).reshape(batch)

    def _step_row(
        self,
        seed: np.ndarray,
        is_reversed: np.ndarray,
        step_count: np.ndarray,
        history: np.ndarray,
        action: np.ndarray,
        is_over: np.ndarray,
    ) -> tuple[Moment, End] | None:
        if is_over:
            return None
        before = history[:step_count]
        identity = seed.tobytes() + is_reversed.tobytes()
        match = self._take(identity + before.tobytes())
        if match is None:
            match = self._replay(int(seed), bool(is_reversed), before)
        match.step(action.tolist())
        facts, end = match.facts(), match.end
        with self._lock:
            self.num_steps += 1
            if end == End.NOT:
                key = identity + before.tobytes() + action.tobytes()
                self._standing.setdefault(key, []).append(match)
            else:
                self._idle.append(match)
        return facts, end

    def _take(self, key: bytes) -> Playable | None:
        """Returns a match that stands at a state, which is no longer in the pool; None without."""
        with self._lock:
            found = self._standing.get(key)
            if found is None:
                return None
            match = found.pop()
            if not found:
                del self._standing[key]
            return match

    def _replay(self, seed: int, is_reversed: bool, actions: np.ndarray) -> Playable:
        with self._lock:
            match = self._unused()
            self.num_replayed += len(actions)
            self._warn_of_replays()
        match.start(seed, is_reversed)
        for action in actions.tolist():
            match.step(action)
        return match

    def _unused(self) -> Playable:
        """Returns an idle match, else a new one, else the one that stood untouched for longest."""
        if self._idle:
            return self._idle.pop()
        if self._num_matches < self._capacity:
            self._num_matches += 1
            return self._make_match()
        # As many matches as threads may be at play, and one of them is this thread's to be.
        key = next(iter(self._standing))
        match = self._standing[key].pop()
        if not self._standing[key]:
            del self._standing[key]
        return match

    def _warn_of_replays(self) -> None:
        if self._has_warned or self.num_replayed < max(10_000, self.num_steps):
            return
        self._has_warned = True
        warnings.warn(
            f"Most of the engine's time goes into playing episodes again: {self._capacity} matches "
            "are fewer than the episodes in progress (environments x seeds, and those of an "
            "evaluation). Raise max_engines (60 MB each) or play fewer side by side.",
            RuntimeWarning,
            stacklevel=2,
        )
