"""Which device trains which lane: a function of a lane, done for all lanes on all devices.

A lane is a grid point and a seed.  Lanes have nothing to tell each other, so that every device goes
through its block of them alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from experiments.training.errors import UsageError
from experiments.training.surroundings import Devices
from oatrpo_jax.devices import ENVS, LANES, make_mesh
from oatrpo_jax.train import TrainState
from oatrpo_jax.types import MultiAgentEnv, PyTree

OfBlock = Callable[..., Any]
"""(number of lanes, what is the same for all, *of each lane ``[B]``) -> of each lane ``[B]``."""


@dataclass(frozen=True)
class Placement:
    """Lanes on the devices of a mesh, each device's in a block of slots.

    Attributes:
        mesh: of devices, ``[lanes, envs]``.
        num_lanes: L.
    """

    mesh: Mesh
    num_lanes: int

    @property
    def everywhere(self) -> NamedSharding:
        """Where arrays lie of which every device has all."""
        return NamedSharding(self.mesh, PartitionSpec())

    @property
    def is_cpu(self) -> bool:
        """Whether lanes go one after another on each device."""
        return self.mesh.devices.flat[0].platform == "cpu"

    @property
    def counts(self) -> np.ndarray:
        """``[D]`` int32, how many lanes each device of the axis ``lanes`` has."""
        devices = self.mesh.shape[LANES]
        return np.array([len(x) for x in np.array_split(np.arange(self.num_lanes), devices)], "i4")

    @property
    def block(self) -> int:
        """Slots of each device, as many for all.

        Two at least on a CPU: a loop over one would be no loop any more, and compute other last
        digits.
        """
        return max(2 if self.is_cpu else 1, int(self.counts.max()))

    def spread(self, tree: PyTree) -> PyTree:
        """Returns arrays that every process has all of, on all devices."""
        if self.everywhere.is_fully_addressable:
            return tree

        def spread(leaf: jax.Array) -> jax.Array:
            if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
                return jax.random.wrap_key_data(spread(jax.random.key_data(leaf)))
            array = np.asarray(leaf)
            return jax.make_array_from_callback(array.shape, self.everywhere, lambda at: array[at])

        return jax.tree.map(spread, tree)

    def of_block(self, function: Callable[..., Any]) -> OfBlock:
        """Returns what does a function of one lane for those of a block, as suits the device.

        Side by side on an accelerator, one after another within the program on a CPU.  There a
        batch of small matrix products is slow, and memory would grow with the lanes; besides,
        lanes side by side all wait for the one that has most sources or the longest line search.
        """
        return in_turn(function) if self.is_cpu else side_by_side(function)

    def slots(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns the lane of each slot, ``[D B]``, and the slot of each lane, ``[L]``, int32.

        Slots left over are given the first lane, whatever becomes of it there.
        """
        within = np.arange(self.block, dtype=np.int32)
        is_used = within < self.counts[:, None]
        first = np.cumsum(self.counts, dtype=np.int32) - self.counts
        lane = np.where(is_used, first[:, None] + within, 0)
        return lane.ravel(), np.flatnonzero(is_used).astype(np.int32)


def place(
    env: MultiAgentEnv, num_lanes: int, devices: Devices = 1, env_devices: int = 1
) -> Placement:
    """Returns where lanes go: on as many devices as are asked for, but none without a lane.

    Args:
        devices: how many, of those that are here.
        env_devices: over how many of them the environments of each lane are spread, a divisor.

    Raises:
        UsageError: if it is no divisor, or if the environment computes on the host.
    """
    count = jax.device_count() if devices == "all" else devices
    if count % env_devices:
        raise UsageError(
            f"devices: expected a multiple of env_devices = {env_devices}, got {count}; choose "
            "another number for one of the two"
        )
    mesh = make_mesh(min(count // env_devices, num_lanes), env_devices)
    if hasattr(env, "check_episodes") and mesh.size > 1:
        raise UsageError(
            f"devices: expected 1, as {env!r} computes on the host, got {mesh.size}; leave out "
            "--devices and --env-devices"
        )
    there_are = jax.process_count()
    of_each = Counter(device.process_index for device in jax.devices())
    if len(set(of_each.values())) > 1:
        raise UsageError(
            "distributed: expected as many devices in each process, got "
            f"{', '.join(map(str, of_each.values()))}; give all as many, or leave processes out"
        )
    used = len({device.process_index for device in mesh.devices.flat})
    if used < there_are:
        raise UsageError(
            f"distributed: expected work for all {there_are} processes, got some for {used} "
            f"(lanes: {num_lanes}, devices: {mesh.size}); start fewer processes, or leave out "
            "--devices and choose another --env-devices"
        )
    return Placement(mesh, num_lanes)


def hint(placement: Placement, num_envs: int) -> str | None:
    """Returns how many devices a run leaves idle, and what would use more; None if it uses all.

    Args:
        num_envs: of a minibatch, which have to be spread evenly.
    """
    used, of_env, lanes = placement.mesh.size, placement.mesh.shape[ENVS], placement.num_lanes
    if (idle := jax.device_count() - used) == 0:
        return None
    there_are = used + idle

    def would_use(env_devices: int) -> int:
        fits = there_are % env_devices == num_envs % env_devices == 0
        return min(there_are // env_devices, lanes) * env_devices if fits else 0

    if (more := would_use(of_env)) > used:
        advice = f"; --devices all uses {more}"
    elif (more := max(map(would_use, range(of_env, there_are + 1)))) > used:
        fewest = min(each for each in range(of_env, there_are + 1) if would_use(each) == more)
        advice = f"; --devices all --env-devices {fewest} uses {more}"
    else:
        advice = ""
    return f"{lanes} lane{'' if lanes == 1 else 's'}, {there_are} devices: {idle} idle{advice}"


def in_turn(function: Callable[..., Any]) -> OfBlock:
    """Returns what does a function of one lane for those of a block, one after another."""
    # Traced once, for its shapes and for the program.
    function = jax.jit(function, inline=True)

    def of_block(count: jax.Array, common: Any, *lanes: PyTree) -> Any:
        def one(place: jax.Array | int) -> Any:
            return function(common, *jax.tree.map(lambda x: x[place], lanes))

        def visit(place: jax.Array, made: Any) -> Any:
            return jax.tree.map(lambda all_, new: all_.at[place].set(new), made, one(place))

        size = len(jax.tree.leaves(lanes)[0])
        shapes = jax.eval_shape(one, 0)
        none = jax.tree.map(lambda x: jnp.zeros((size, *x.shape), x.dtype), shapes)
        return jax.lax.fori_loop(0, count, visit, none)

    return of_block


def side_by_side(function: Callable[..., Any]) -> OfBlock:
    """Returns what does a function of one lane for a whole block at once, left over slots too."""

    def of_block(_: jax.Array, common: Any, *lanes: PyTree) -> Any:
        return jax.vmap(lambda *lane: function(common, *lane))(*lanes)

    return of_block


def over_devices(of_block: OfBlock, placement: Placement) -> Callable[..., Any]:
    """Returns (counts ``[D]``, common, *of each lane ``[L]``) -> of each lane ``[L]``.

    The counts are those of the placement, as an argument: they must be no constant, lest a loop
    over one lane be unrolled.
    """
    lane_of_slot, slot_of_lane = placement.slots()
    of_lanes, of_all = PartitionSpec(LANES), PartitionSpec()

    def shared(*given: Any) -> Any:
        def of_device(counts: jax.Array, common: Any, *lanes: PyTree) -> Any:
            return of_block(counts[0], common, *lanes)

        specs = (of_lanes, of_all, *[of_lanes] * (len(given) - 2))
        # Loops begin with zeros, of which `check_vma` would have to be told where they lie.
        return jax.shard_map(
            of_device,
            mesh=placement.mesh,
            in_specs=specs,
            out_specs=of_lanes,
            axis_names={LANES},
            check_vma=False,
        )(*given)

    def of_all_lanes(counts: jax.Array, common: Any, *lanes: PyTree) -> Any:
        in_slots = jax.tree.map(lambda x: x[lane_of_slot], lanes)
        return jax.tree.map(lambda x: x[slot_of_lane], shared(counts, common, *in_slots))

    return of_all_lanes


def lanes_of(grid: PyTree) -> PyTree:
    """Returns ``[L, ...]`` of ``[P, K, ...]``."""
    return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), grid)


def grid_of(lanes: PyTree, num_points: int) -> PyTree:
    """Returns ``[P, K, ...]`` of ``[L, ...]``."""
    return jax.tree.map(lambda x: x.reshape(num_points, -1, *x.shape[1:]), lanes)


def keep_apart(state: TrainState, num_devices: int) -> TrainState:
    """Returns a lane's state, with its environments on the devices of the axis ``envs``."""
    if num_devices == 1:
        return state
    rollout = jax.lax.with_sharding_constraint(state.rollout, PartitionSpec(ENVS))
    return state._replace(rollout=rollout)
