"""Chunks of updates: where they end, how long they are, and what the host does meanwhile."""

import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from experiments.training import chunks
from experiments.training.chunks import Chunk, Device, next_length
from experiments.training.program import Compiled

LIMIT_SECONDS = 30
ZERO: Any = 0
"""A state that counts updates."""


def device(
    advance: Callable[[Any, int], Any], done: int = 0, last: int = 14, **more: Any
) -> Device:
    program = Compiled(lambda: (None, None), advance, 0.0)  # type: ignore[arg-type, return-value]
    return Device(program, done, last, **more)


def count_up(state: Any, count: int) -> tuple[Any, dict[str, Any]]:
    return state + count, {"episode/count": jnp.zeros(256)}


def take_all(opened: Device, state: Any) -> list[Chunk]:
    taken = []
    opened.start(state)
    while (chunk := opened.wait()) is not None:
        taken.append(chunk)
        opened.start(chunk.state)
    return taken


def test_chunks_follow_the_clock_within_bounds():
    assert next_length(10, seconds=2.0, capacity=256) == 5
    assert next_length(1, seconds=30.0, capacity=256) == 1
    assert next_length(2, seconds=1e-6, capacity=256) == 8
    assert next_length(200, seconds=0.0, capacity=256) == 256


def test_chunks_end_where_the_host_has_work_and_leave_nothing_out():
    with device(count_up, done=2, every=[4, 6]) as opened:
        taken = take_all(opened, 2)
    assert {4, 6, 8, 12, 14} <= {chunk.updates[-1] for chunk in taken}
    assert [update for chunk in taken for update in chunk.updates] == list(range(3, 15))
    assert [chunk.state for chunk in taken] == [chunk.updates[-1] for chunk in taken]


def test_the_host_is_free_while_the_device_works():
    logged = threading.Event()

    def wait_for_the_host(state: Any, count: int) -> Any:
        assert state == 0 or logged.wait(LIMIT_SECONDS)
        return count_up(state, count)

    with device(wait_for_the_host, last=2) as opened:
        opened.start(ZERO)
        chunk = opened.wait()
        assert chunk is not None
        opened.start(chunk.state)
        logged.set()  # Were the device waited for when it starts, it would wait for ever.
        chunk = opened.wait()
    assert chunk is not None and chunk.state == 2


def test_what_the_host_does_meanwhile_is_no_time_of_the_device(monkeypatch):
    # The host takes from 0.5 to 100.
    clock = iter([0.0, 0.5, 100.0, 100.25])
    monkeypatch.setattr(chunks, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    with device(count_up, last=3) as opened:
        taken = take_all(opened, 0)
    assert [chunk.seconds for chunk in taken] == [0.5, 0.25]
    # 1 update in 0.5 s: 2 more in the second that a chunk should take.
    assert [len(chunk.updates) for chunk in taken] == [1, 2]


def test_an_error_on_the_device_is_raised_where_it_is_waited_for():
    def fail(state: Any, count: int) -> Any:
        raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory")

    with device(fail) as opened:
        opened.start(ZERO)
        with pytest.raises(RuntimeError, match="RESOURCE_EXHAUSTED"):
            opened.wait()


def test_a_mean_over_no_episode_is_nan_on_the_host_and_everything_else_is_as_on_the_device():
    log = {
        "episode/count": jnp.array([[[0.0, 2.0]]]),
        "episode/return": jnp.zeros((1, 1, 2)),
        "policy/loss": jnp.zeros((1, 1, 2)),
    }
    with device(lambda state, count: (state, log), last=1) as opened:
        (chunk,) = take_all(opened, ZERO)
    assert np.isnan(chunk.metrics["episode/return"]).tolist() == [[[True, False]]]
    assert chunk.metrics["episode/return"].dtype == np.float32
    assert chunk.metrics["episode/count"].tolist() == [[[0, 2]]]
    assert not chunk.metrics["policy/loss"].any()
