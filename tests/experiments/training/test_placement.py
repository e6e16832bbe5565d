"""Where lanes go, and what is said of devices that have nothing to do."""

import jax
import numpy as np
import pytest
from jax.sharding import Mesh

from experiments.training.placement import Placement, hint
from oatrpo_jax.devices import ENVS, LANES


def placement(lane_devices: int, env_devices: int, num_lanes: int) -> Placement:
    devices = np.array(jax.devices() * lane_devices * env_devices)
    return Placement(Mesh(devices.reshape(lane_devices, env_devices), (LANES, ENVS)), num_lanes)


@pytest.mark.parametrize(
    ("num_lanes", "devices", "counts", "lane_of_slot", "slot_of_lane"),
    [
        (1, 1, [1], [0, 0], [0]),
        (3, 2, [2, 1], [0, 1, 2, 0], [0, 1, 2]),
        (3, 3, [1, 1, 1], [0, 0, 1, 0, 2, 0], [0, 2, 4]),
        (5, 2, [3, 2], [0, 1, 2, 3, 4, 0], [0, 1, 2, 3, 4]),
        (2, 4, [1, 1, 0, 0], [0, 0, 1, 0, 0, 0, 0, 0], [0, 2]),
    ],
)
def test_every_lane_has_a_slot_and_every_device_two_slots_at_least(
    num_lanes, devices, counts, lane_of_slot, slot_of_lane
):
    lanes = placement(devices, 1, num_lanes)
    np.testing.assert_array_equal(lanes.counts, counts)
    slots = lanes.slots()
    np.testing.assert_array_equal(slots[0], lane_of_slot)
    np.testing.assert_array_equal(slots[1], slot_of_lane)


@pytest.mark.parametrize(
    ("used", "num_lanes", "there_are", "num_envs", "said"),
    [
        ((4, 1), 4, 4, 8, None),
        ((1, 1), 1, 1, 8, None),
        ((2, 1), 5, 4, 8, "5 lanes, 4 devices: 2 idle; --devices all uses 4"),
        ((1, 1), 1, 4, 8, "1 lane, 4 devices: 3 idle; --devices all --env-devices 4 uses 4"),
        ((1, 1), 1, 4, 6, "1 lane, 4 devices: 3 idle; --devices all --env-devices 2 uses 2"),
        ((1, 1), 1, 4, 5, "1 lane, 4 devices: 3 idle"),
        ((3, 1), 3, 4, 8, "3 lanes, 4 devices: 1 idle; --devices all --env-devices 2 uses 4"),
        ((1, 2), 1, 4, 8, "1 lane, 4 devices: 2 idle; --devices all --env-devices 4 uses 4"),
        ((1, 2), 2, 4, 8, "2 lanes, 4 devices: 2 idle; --devices all uses 4"),
    ],
)
def test_idle_devices_and_what_would_use_them(
    monkeypatch, used, num_lanes, there_are, num_envs, said
):
    lanes = placement(*used, num_lanes)
    monkeypatch.setattr(jax, "device_count", lambda: there_are)
    assert hint(lanes, num_envs) == said
