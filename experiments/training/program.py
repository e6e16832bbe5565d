"""A run as two compiled programs: one makes the first state, the other does updates.

One program serves any number of updates, because that number is an argument: chunks can follow the
clock, a checkpoint or a raised number of steps without changing a bit of the result.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from experiments.training.settings.experiment import Experiment
from oatrpo_jax.grouping import Grouping
from oatrpo_jax.train import TrainState
from oatrpo_jax.types import MultiAgentEnv

CACHE_BYTES = 2**30
"""Size of the cache of compiled programs; those not used for longest go first."""

CAPACITY = 256
"""Updates whose metrics the device keeps at most until the host takes them."""


class Traced(NamedTuple):
    """The two programs before compilation: shapes are known to fit.

    Attributes:
        init: keys ``[K]`` -> state ``[P, K]``, and how agents were grouped ``[K]``, if they are.
        advance: (state, coefficients, number of updates) -> state and metrics
            ``[CAPACITY, P, K, ...]``, of which only the first ones are filled.
        hparams: the coefficients, ``[P]``.
        keys: ``[K]``.
        seconds: what tracing took.
    """

    init: Any
    advance: Any
    hparams: Any
    keys: jax.Array
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
class Program:
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
        env: the environment.
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

    So do more episodes than a new run's environment can hold.
    """
    if experiment.options.run.resume is None:
        num_points, num_seeds = experiment.lanes
        numbers = {"num_envs": experiment.config.num_envs, "points": num_points, "seeds": num_seeds}
        check_episodes(experiment.trainer.env, numbers)
    start = time.perf_counter()
    hparams, keys = experiment.hparams, make_keys(experiment)
    step = over_lanes(experiment.trainer.step, jax.default_backend())
    init = jax.jit(make_init(experiment)).trace(keys)
    advance = jax.jit(make_advance(step, CAPACITY), donate_argnums=0).trace(
        init.out_info[0], hparams, jnp.int32(0)
    )
    return Traced(init, advance, hparams, keys, time.perf_counter() - start)


def compile_program(traced: Traced) -> Program:
    """Returns the run's compiled functions."""
    start = time.perf_counter()
    init = traced.init.lower().compile()
    advance = traced.advance.lower().compile()
    seconds = traced.seconds + time.perf_counter() - start
    return Program(
        init=lambda: init(traced.keys),
        advance=lambda state, count: advance(state, traced.hparams, jnp.int32(count)),
        compile_seconds=seconds,
    )


def make_keys(experiment: Experiment) -> jax.Array:
    """Returns the key of each seed, ``[K]``."""
    return jax.vmap(jax.random.key)(jnp.asarray(experiment.seeds))


def make_init(
    experiment: Experiment,
) -> Callable[[jax.Array], tuple[TrainState, Grouping | None]]:
    """Returns ``init(keys)``: ``[K]`` keys to ``[P, K]`` states, equal at all points."""
    begin, num_points = experiment.trainer.begin, len(experiment.points)
    # Telling agents apart takes more experience than an update: one seed after the other.
    is_large = experiment.algorithm.finds_clusters

    def init(keys: jax.Array) -> tuple[TrainState, Grouping | None]:
        state, grouping = jax.lax.map(begin, keys) if is_large else jax.vmap(begin)(keys)
        state = jax.tree.map(lambda x: jnp.broadcast_to(x, (num_points, *x.shape)), state)
        return state, grouping

    return init


def abstract_state(experiment: Experiment) -> TrainState:
    """Returns shapes and dtypes of a run's state, leading axes ``[P, K]``; computes nothing."""
    return jax.eval_shape(make_init(experiment), make_keys(experiment))[0]


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
