"""Who fights in SMAX, as data: scenarios, rosters, and what unit types can do.

Nothing here imports jaxmarl or jax.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

NAMES = ("marine", "marauder", "stalker", "zealot", "zergling", "hydralisk", "medivac")
"""Unit types in SMAX's order, with the medivac that it lacks appended; arrays are indexed so."""
MEDIVAC = NAMES.index("medivac")

IS_HEALER = np.array([name == "medivac" for name in NAMES])
IS_FLYING = IS_HEALER
CAN_HIT_AIR = np.array([name in ("marine", "stalker", "hydralisk") for name in NAMES])
IS_BIOLOGICAL = np.array([name not in ("stalker", "medivac") for name in NAMES])

HEAL_PER_SECOND = 12.6
HEALTH_PER_ENERGY = 3.0
ENERGY_PER_SECOND = 0.7875
START_ENERGY = 50.0
MAX_ENERGY = 200.0

# Liberty-of-the-Void numbers at "faster" speed, as SMAX's own table is.  A medivac has no weapon:
# its attack range is the range of its healing and its weapon-cooldown slot holds its energy (SMAC
# puts it there too), so that observations carry energy / MAX_ENERGY where others show a cooldown.
MEDIVAC_STATS = {
    "unit_type_names": "medivac",
    "unit_type_shorthands": "+",
    "unit_type_velocities": 3.5,
    "unit_type_attacks": 0.0,
    "unit_type_attack_ranges": 4.0,
    "unit_type_sight_ranges": 11.0,
    "unit_type_radiuses": 0.75,
    "unit_type_health": 150.0,
    "unit_type_weapon_cooldowns": MAX_ENERGY,
}
"""The medivac's entry in each of SMAX's per-type tables, by the name SMAX gives the table."""

STOCK_NAMES = (
    "3m",
    "2s3z",
    "25m",
    "3s5z",
    "8m",
    "5m_vs_6m",
    "10m_vs_11m",
    "27m_vs_30m",
    "3s5z_vs_3s6z",
    "3s_vs_5z",
    "6h_vs_8z",
    "smacv2_5_units",
    "smacv2_10_units",
    "smacv2_20_units",
)
"""Scenarios that jaxmarl defines; a test compares them with its table."""

STOCK_MAX_STEPS = 100


class Roster(NamedTuple):
    """A scenario of ours: who fights on each side, and for how long.

    Attributes:
        allies: (unit type, count) pairs, in the order of the agents.
        enemies: (unit type, count) pairs.
        max_steps: environment steps of half a second until the episode is cut off.
    """

    allies: tuple[tuple[str, int], ...]
    enemies: tuple[tuple[str, int], ...]
    max_steps: int


# SMAC limits MMM to 150 and MMM2 to 180 steps of 8 frames at 22.4 frames per second, which is
# 53.6 s and 64.3 s; a step here is 0.5 s, so 108 and 129 steps.
ROSTERS = {
    "MMM": Roster(
        allies=(("medivac", 1), ("marauder", 2), ("marine", 7)),
        enemies=(("medivac", 1), ("marauder", 2), ("marine", 7)),
        max_steps=108,
    ),
    "MMM2": Roster(
        allies=(("medivac", 1), ("marauder", 2), ("marine", 7)),
        enemies=(("medivac", 1), ("marauder", 3), ("marine", 8)),
        max_steps=129,
    ),
}
"""Scenarios that SMAX lacks, with the unit counts of the SMAC maps of the same name."""

SCENARIO_NAMES = STOCK_NAMES + tuple(ROSTERS)
