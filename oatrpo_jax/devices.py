"""Several devices: a mesh of them, and where a train state lies on it.

Nothing else in this package knows of devices: programs compute the same wherever their arrays lie,
but for last digits.
What lies apart are lanes, which are whole runs such as seeds and have nothing to tell each other,
or the environments of a lane, of which sums over rows (gradients, statistics) are exchanged.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from oatrpo_jax.train import TrainState

LANES, ENVS = "lanes", "envs"
"""The axes of a mesh."""


def make_mesh(lane_devices: int = 1, env_devices: int = 1) -> Mesh:
    """Returns a mesh of the first devices, ``[lane_devices, env_devices]``.

    Of several processes each gives as many, as far as that goes.

    Args:
        lane_devices: over how many lanes are spread.
        env_devices: over how many the environments of each lane are; use a divisor of
            ``num_envs / num_minibatches``.

    Raises:
        ValueError: if a number is below 1, or if there are fewer devices.
    """
    count, there_are = lane_devices * env_devices, jax.device_count()
    if lane_devices < 1 or env_devices < 1 or count > there_are:
        raise ValueError(
            f"lane_devices x env_devices: expected at least 1 x 1, and a product of at most "
            f"{there_are}, the devices that are here, got {lane_devices} x {env_devices}; choose "
            "other numbers"
        )
    # Not `jax.make_mesh`, whose axes would have to be named throughout a program.
    devices = _in_turn(env_devices)[:count]
    return Mesh(np.reshape(devices, (lane_devices, env_devices)), (LANES, ENVS))


def _in_turn(size: int) -> list[Any]:
    """Returns all devices: a group of the first process, one of the second, and so on in turn."""
    before: Counter[int] = Counter()

    def group(device: Any) -> int:
        before[device.process_index] += 1
        return (before[device.process_index] - 1) // size

    return sorted(jax.devices(), key=group)


def spread_lanes(mesh: Mesh) -> NamedSharding:
    """Returns where arrays lie whose first axis counts lanes: keys of seeds, points of a grid."""
    return NamedSharding(mesh, PartitionSpec(LANES))


def spread_environments(state: TrainState, mesh: Mesh) -> TrainState:
    """Returns where each array of a state lies if its environments are spread, for `device_put`.

    The environments are on the devices of ``envs``, everything else is on all of them.

    Args:
        state: of one lane, arrays or shapes.
        mesh: see `make_mesh`.

    Raises:
        ValueError: if the state is of several lanes, or the environments do not divide evenly.
    """
    if state.num_updates.ndim:
        raise ValueError(
            f"state: expected one lane, got axes {state.num_updates.shape} of lanes; give one, or "
            "spread the lanes"
        )
    num_envs, env_devices = len(state.rollout.episode_length), mesh.shape[ENVS]
    if num_envs % env_devices:
        raise ValueError(
            f"env_devices: expected a divisor of the {num_envs} environments, got {env_devices}; "
            "choose another mesh"
        )
    everywhere = jax.tree.map(lambda _: NamedSharding(mesh, PartitionSpec()), state)
    apart = jax.tree.map(lambda _: NamedSharding(mesh, PartitionSpec(ENVS)), state.rollout)
    return everywhere._replace(rollout=apart)
