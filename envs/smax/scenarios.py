"""Names and rosters of the SMAX scenarios, as data: nothing here imports jaxmarl or jax."""

from __future__ import annotations

from typing import NamedTuple

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
