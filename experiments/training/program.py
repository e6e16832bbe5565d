"""The training loop: two compiled programs, and chunks of updates between which the host acts.

One program serves chunks of any length, because the number of updates is an argument: chunks can
follow the clock, a checkpoint or a raised number of steps without changing a bit of the result.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.training.settings.experiment import Experiment
from oatrpo_jax.train import TrainState

CHUNK_SECONDS = 1.0
"""How long a chunk should take: what the user waits for news, and for an interruption."""

CACHE_BYTES = 2**30
"""Size of the cache of compiled programs; those not used for longest go first."""

MAX_CHUNK = 256
"""Updates whose metrics the device keeps at most until the host takes them."""


class Chunk(NamedTuple):
    """What a few updates did.

    Attributes:
        state: the state after them, leading axes ``[P, K]``; given away when the next one starts.
        first_update: number of the first of them, from 1.
        metrics: by name, ``[chunk, P, K, ...]`` on the host.
    """

    state: TrainState
    first_update: int
    metrics: dict[str, np.ndarray]

    @property
    def num_updates(self) -> int:
        """How many updates the chunk has."""
        return len(next(iter(self.metrics.values())))

    @property
    def last_update(self) -> int:
        """Number of the last update."""
        return self.first_update + self.num_updates - 1

    def until(self, update: int) -> Chunk:
        """Returns the chunk with the metrics of later updates left out."""
        count = update - self.first_update + 1
        return self._replace(metrics={k: value[:count] for k, value in self.metrics.items()})


@dataclass(frozen=True)
class Program:
    """A run as compiled functions.

    Attributes:
        init: () -> state ``[P, K]``.
        advance: (state, number of updates) -> state and metrics ``[capacity, P, K, ...]``, of
            which only the first ones are filled; the state given is consumed.
        capacity: updates that one call can do.
        compile_seconds: what tracing and compiling took.
    """

    init: Callable[[], TrainState]
    advance: Callable[[TrainState, int], tuple[TrainState, dict[str, jax.Array]]]
    capacity: int
    compile_seconds: float


class Traced(NamedTuple):
    """The two programs before compilation: shapes are known to fit."""

    init: Any
    advance: Any
    capacity: int
    hparams: Any
    keys: jax.Array
    seconds: float


def use_compilation_cache() -> None:
    """Lets JAX keep compiled programs in the user's cache directory, unless told where."""
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        jax.config.update("jax_compilation_cache_dir", str(Path(root) / "oatrpo_jax/programs"))
        jax.config.update("jax_compilation_cache_max_size", CACHE_BYTES)


def trace(experiment: Experiment) -> Traced:
    """Returns the programs of a run, traced; shapes that do not fit raise a ValueError here."""
    start = time.perf_counter()
    hparams, keys = experiment.hparams, make_keys(experiment)
    step = over_lanes(experiment.trainer.step, jax.default_backend())
    advance = make_advance(step, MAX_CHUNK)
    traced_init = jax.jit(make_init(experiment)).trace(keys)
    traced_advance = jax.jit(advance, donate_argnums=0).trace(
        traced_init.out_info, hparams, jnp.int32(0)
    )
    seconds = time.perf_counter() - start
    return Traced(traced_init, traced_advance, MAX_CHUNK, hparams, keys, seconds)


def make_keys(experiment: Experiment) -> jax.Array:
    """Returns the key of each seed, ``[K]``."""
    return jax.vmap(jax.random.key)(jnp.asarray(experiment.seeds))


def make_init(experiment: Experiment) -> Callable[[jax.Array], TrainState]:
    """Returns ``init(keys) -> state``: ``[K]`` keys to ``[P, K]`` states, equal at all points."""
    trainer, num_points = experiment.trainer, len(experiment.points)

    def init(keys: jax.Array) -> TrainState:
        state = jax.vmap(trainer.init)(keys)
        return jax.tree.map(lambda x: jnp.broadcast_to(x, (num_points, *x.shape)), state)

    return init


def abstract_state(experiment: Experiment) -> TrainState:
    """Returns shapes and dtypes of a run's state, leading axes ``[P, K]``; computes nothing."""
    return jax.eval_shape(make_init(experiment), make_keys(experiment))


def over_lanes(step: Callable, backend: str) -> Callable:
    """Returns ``step`` of every point and seed: ``[P, K]`` states, ``[P]`` coefficients.

    They go side by side on an accelerator, and one after another within the program on a CPU.
    There a batch of small matrix products is slow, and memory would grow with the lanes; besides,
    lanes side by side all wait for the one that has most sources or the longest line search.
    """
    if backend != "cpu":
        return jax.vmap(jax.vmap(step, (0, None)), (0, 0))

    def point_step(point: tuple[Any, Any]):
        seeds, hparams = point
        return jax.lax.map(lambda state: step(state, hparams), seeds)

    return lambda state, hparams: jax.lax.map(point_step, (state, hparams))


def make_advance(step: Callable, capacity: int) -> Callable:
    """Returns ``advance(state, hparams, num_updates)``: so many steps, at most ``capacity``.

    The metrics have a leading axis ``[capacity]``, of which the first ``num_updates`` are filled.
    """
    # Traced once, for its shapes and for the program.
    step = jax.jit(step, inline=True)

    def advance(state: Any, hparams: Any, num_updates: jax.Array):
        _, shapes = jax.eval_shape(step, state, hparams)
        log = jax.tree.map(lambda x: jnp.zeros((capacity, *x.shape), x.dtype), shapes)

        def update(index: jax.Array, carry: tuple[Any, Any]):
            state, metrics = step(carry[0], hparams)
            return state, jax.tree.map(lambda all_, one: all_.at[index].set(one), carry[1], metrics)

        return jax.lax.fori_loop(0, num_updates, update, (state, log))

    return advance


def compile_program(traced: Traced) -> Program:
    """Returns the run's compiled functions."""
    start = time.perf_counter()
    init = traced.init.lower().compile()
    advance = traced.advance.lower().compile()
    seconds = traced.seconds + time.perf_counter() - start
    return Program(
        init=lambda: init(traced.keys),
        advance=lambda state, count: advance(state, traced.hparams, jnp.int32(count)),
        capacity=traced.capacity,
        compile_seconds=seconds,
    )


def train(
    program: Program,
    state: TrainState,
    first_update: int,
    last_update: int,
    every: Sequence[int] = (),
) -> Iterator[Chunk]:
    """Yields chunks of about `CHUNK_SECONDS` from one update to another, both included.

    A chunk ends at each multiple of the numbers in ``every``, where the host has work to do.
    """
    done, length = first_update - 1, 1
    while done < last_update:
        start = time.perf_counter()
        count = min(length, last_update - done, *(number - done % number for number in every))
        state, log = program.advance(state, count)
        metrics = {name: np.asarray(value)[:count] for name, value in log.items()}
        seconds = max(time.perf_counter() - start, 1e-6)
        length = next_length(count, seconds, program.capacity)
        yield Chunk(state, done + 1, metrics)
        done += count


def next_length(count: int, seconds: float, capacity: int) -> int:
    """Returns how many updates to do next, given how long ``count`` of them took.

    >>> next_length(1, seconds=0.1, capacity=256)
    4
    """
    wanted = int(CHUNK_SECONDS * count / seconds)
    return max(1, min(wanted, 4 * count, capacity))


class NonFinite(NamedTuple):
    """The first quantity that is no number any more."""

    point: int
    seed: int
    update: int
    name: str


def find_non_finite(chunk: Chunk) -> NonFinite | None:
    """Returns the first non-finite metric by update, point and seed; None if all are finite.

    A mean over episodes is NaN where no episode ended.
    """
    ended = chunk.metrics["episode/count"] > 0
    found = []
    for name, value in chunk.metrics.items():
        bad = ~np.isfinite(value).reshape(*ended.shape, -1).all(axis=-1)
        if name.startswith("episode/"):
            bad &= ended | np.isinf(value)
        if bad.any():
            update, point, seed = np.argwhere(bad)[0].tolist()
            found.append((update, point, seed, name))
    if not found:
        return None
    update, point, seed, name = min(found)
    return NonFinite(point, seed, chunk.first_update + update, name)
