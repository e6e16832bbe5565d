"""What SMAX's unit types can do, and the medivac that it lacks.

Arrays are indexed by unit type, in SMAX's order with the medivac appended.
"""

from __future__ import annotations

import numpy as np

NAMES = ("marine", "marauder", "stalker", "zealot", "zergling", "hydralisk", "medivac")
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
