"""A run as two compiled programs: one makes the first state, the other does updates.

One program serves any number of updates, because that number is an argument: chunks can follow the
clock, a checkpoint or a raised number of steps without changing a bit of the result.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.training.placement import (
    OfBlock,
    Placement,
    grid_of,
    in_turn,
    keep_apart,
    lanes_of,
    over_devices,
    place,
)
from experiments.training.settings.experiment import Experiment
from oatrpo_jax.devices import ENVS
from oatrpo_jax.grouping import Grouping
from oatrpo_jax.hyperparams import Hyperparams
from oatrpo_jax.train import Metrics, TrainState
from oatrpo_jax.types import MultiAgentEnv

CACHE_BYTES = 2**30
"""Size of the cache of compiled programs; those not used for longest go first."""

CAPACITY = 256
"""Updates whose metrics the device keeps at most until the host takes them."""


class Traced(NamedTuple):
    """The two programs before compilation: shapes are known to fit.

    Attributes:
        init: (counts of seeds, keys ``[K]``) -> state ``[P, K]``, and how agents were grouped
            ``[K]``, if they are.
        advance: (state, coefficients, counts, number of updates) -> state and metrics
            ``[CAPACITY, P, K, ...]``, of which only the first ones are filled.
        hparams: the coefficients, ``[P]``.
        keys: ``[K]``.
        placement: of the lanes ``P K``.
        seconds: what tracing took.
    """

    init: Any
    advance: Any
    hparams: Any
    keys: jax.Array
    placement: Placement
    seconds: float

    @property
    def state(self) -> TrainState:
        """Shapes and dtypes of the state, ``[P, K]``."""
        return self.init.out_info[0]

    @property
    def metrics(self) -> dict[str, jax.ShapeDtypeStruct]:
        """Shapes and dtypes of the metrics, ``[CAPACITY, P, K, ...]``."""
        return self.advance.out_info[1]


@dataclass(frozen=True)
class Compiled:
    """A run as compiled functions.

    Attributes:
        init: () -> state ``[P, K]``, and how agents were grouped ``[K]``, if they are.
        advance: (state, number of updates) -> state and metrics; the state given is consumed.
        compile_seconds: what tracing and compiling took.
    """

    init: Callable[[], tuple[TrainState, Grouping | None]]
    advance: Callable[[TrainState, int], tuple[TrainState, dict[str, jax.Array]]]
    compile_seconds: float


def use_compilation_cache() -> None:
    """Lets JAX keep compiled programs in the user's cache directory, unless told where.

    A user without a home has none.
    """
    root = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ and root.parts[0] != "~":
        jax.config.update("jax_compilation_cache_dir", str(root / "oatrpo_jax/programs"))
        jax.config.update("jax_compilation_cache_max_size", CACHE_BYTES)


def check_episodes(env: MultiAgentEnv, side_by_side: Mapping[str, int]) -> None:
    """Raises a ValueError if an environment cannot hold so many episodes in progress.

    One whose episodes take room on the host says so by a method ``check_episodes(number)``.

    Args:
        side_by_side: by name, the numbers whose product they are.
    """
    check = getattr(env, "check_episodes", None)
    if check is None:
        return
    try:
        check(math.prod(side_by_side.values()))
    except ValueError as error:
        product = " x ".join(map(str, side_by_side.values()))
        raise ValueError(f"{' x '.join(side_by_side)} = {product}: {error}") from error


def trace(experiment: Experiment) -> Traced:
    """Returns the programs of a run, traced; shapes that do not fit raise a ValueError here.

    So do more devices than there are, and more episodes than a new run's environment can hold.
    """
    env, run = experiment.trainer.env, experiment.options.run
    num_points, num_seeds = experiment.lanes
    if run.resume is None:
        numbers = {"num_envs": experiment.config.num_envs, "points": num_points, "seeds": num_seeds}
        check_episodes(env, numbers)
    placement = place(env, num_points * num_seeds, run.devices_asked[0], run.env_devices)
    of_seeds = dataclasses.replace(placement, num_lanes=num_seeds)
    start = time.perf_counter()
    hparams, keys = experiment.hparams, make_keys(experiment)
    jit = functools.partial(
        jax.jit, in_shardings=placement.everywhere, out_shardings=placement.everywhere
    )
    init = jit(make_init(experiment, of_seeds)).trace(of_seeds.counts, keys)
    advance = jit(make_advance(experiment, placement), donate_argnums=0).trace(
        init.out_info[0], hparams, placement.counts, np.int32(0)
    )
    return Traced(init, advance, hparams, keys, placement, time.perf_counter() - start)


def compile_program(traced: Traced) -> Compiled:
    """Returns the run's compiled functions."""
    start = time.perf_counter()
    init = traced.init.lower().compile()
    advance = traced.advance.lower().compile()
    seconds = traced.seconds + time.perf_counter() - start
    counts, num_seeds = traced.placement.counts, len(traced.keys)
    of_seeds = dataclasses.replace(traced.placement, num_lanes=num_seeds).counts
    keys, hparams = traced.placement.spread((traced.keys, traced.hparams))
    return Compiled(
        init=lambda: init(of_seeds, keys),
        advance=lambda state, count: advance(state, hparams, counts, np.int32(count)),
        compile_seconds=seconds,
    )


def make_keys(experiment: Experiment) -> jax.Array:
    """Returns the key of each seed, ``[K]``."""
    return jax.vmap(jax.random.key)(jnp.asarray(experiment.seeds))


def make_init(
    experiment: Experiment, placement: Placement
) -> Callable[..., tuple[TrainState, Grouping | None]]:
    """Returns ``init(counts, keys)``: ``[K]`` keys to ``[P, K]`` states, equal at all points.

    Args:
        placement: of the seeds; the counts are its own.
    """
    num_points = len(experiment.points)
    # Telling agents apart takes more experience than an update: one seed after the other.
    begin = over_devices(in_turn(lambda _, key: experiment.trainer.begin(key)), placement)

    def init(counts: jax.Array, keys: jax.Array) -> tuple[TrainState, Grouping | None]:
        state, grouping = begin(counts, None, keys)
        state = jax.tree.map(lambda x: jnp.broadcast_to(x, (num_points, *x.shape)), state)
        return state, grouping

    return init


def abstract_state(experiment: Experiment) -> TrainState:
    """Returns shapes and dtypes of a run's state, leading axes ``[P, K]``; computes nothing."""
    keys = jax.eval_shape(lambda: make_keys(experiment))
    state = jax.eval_shape(jax.vmap(experiment.trainer.init), keys)
    num_points = len(experiment.points)
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct((num_points, *x.shape), x.dtype), state)


def make_advance(experiment: Experiment, placement: Placement) -> Callable[..., Any]:
    """Returns ``advance(state, hparams, counts, num_updates)`` of all lanes, see `Traced`."""
    num_points, num_seeds = experiment.lanes
    env_devices = placement.mesh.shape[ENVS]

    def step(_: None, state: TrainState, hparams: Hyperparams) -> tuple[TrainState, Metrics]:
        state, metrics = experiment.trainer.step(keep_apart(state, env_devices), hparams)
        return keep_apart(state, env_devices), metrics

    updates = over_devices(repeat(placement.of_block(step), CAPACITY), placement)

    def advance(
        state: TrainState, hparams: Hyperparams, counts: jax.Array, num_updates: jax.Array
    ) -> tuple[TrainState, Metrics]:
        points = jax.tree.map(lambda x: jnp.repeat(x, num_seeds, axis=0), hparams)
        made = updates(counts, num_updates, lanes_of(state), points)
        state, log = grid_of(made, num_points)
        return state, jax.tree.map(lambda x: jnp.moveaxis(x, 2, 0), log)

    return advance


def repeat(step: OfBlock, capacity: int) -> OfBlock:
    """Returns what takes a number of steps with each lane of a block.

    Args:
        step: (..., None, state, hparams) -> state and metrics.
        capacity: how many at most.

    Returns:
        (..., number, state, hparams) -> state and metrics, ``[B, capacity]``, of which the first
        ``number`` are filled.
    """

    def updates(count: jax.Array, number: jax.Array, state: Any, hparams: Any) -> tuple[Any, Any]:
        _, shapes = jax.eval_shape(step, count, None, state, hparams)
        log = jax.tree.map(lambda x: jnp.zeros((len(x), capacity, *x.shape[1:]), x.dtype), shapes)

        def update(index: jax.Array, carry: tuple[Any, Any]):
            state, metrics = step(count, None, carry[0], hparams)
            log = jax.tree.map(lambda all_, one: all_.at[:, index].set(one), carry[1], metrics)
            return state, log

        return jax.lax.fori_loop(0, number, update, (state, log))

    return updates
