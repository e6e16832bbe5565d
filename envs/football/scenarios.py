"""The four academy scenarios as data: who stands where, and whom the agents control at first."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from envs.choices import check_choice

LENGTH_SCALE = np.array([54.4, 83.6], np.float32)
"""Metres per environment unit along the pitch (x) and across it (y, growing downward)."""
GOAL_LINE, SIDE_LINE = 55.0, 36.0
"""Metres from the centre spot."""
EPISODE_STEPS = 400
"""Steps of 0.1 s until the engine's clock runs out; it shows that one step later."""

PLACEMENT_SCALE = np.array([55.0, 83.6 * 1.0163], np.float32)
"""The engine places players, but not the ball, a little farther out than it is told to."""


class Scenario(NamedTuple):
    """A start.  Positions are those of the engine's scenario files, in the left team's frame.

    Attributes:
        left: (x, y) of each player of ours; player 0 keeps the goal.
        right: the same for the opponents.
        ball: (x, y).
        active: the player that each agent controls at the start.
        home: of each opponent in metres, see `Formation`.
    """

    left: tuple[tuple[float, float], ...]
    right: tuple[tuple[float, float], ...]
    ball: tuple[float, float]
    active: tuple[int, ...]
    home: tuple[tuple[float, float], ...]


_COUNTERATTACKERS = (
    (-1.0, 0.0),
    (-0.672, -0.19576),
    (-0.75, -0.06356),
    (-0.75, 0.063559),
    (-0.672, 0.19576),
    (-0.434, -0.10568),
    (-0.434, 0.10568),
    (0.5, -0.3161),
    (0.25, -0.1),
    (0.25, 0.1),
    (0.35, 0.316102),
)


_LONE_DEFENDER = ((52.0, 0.0), (21.0, 0.0))
_FOUR_THREE_THREE = (
    (52.0, 0.0),
    (15.0, 16.0),
    (22.0, 4.0),
    (23.0, -5.0),
    (12.0, -13.0),
    (0.0, 8.0),
    (5.0, -1.0),
    (5.0, -10.0),
    (-10.0, 21.0),
    (-19.0, 0.0),
    (-10.0, -21.0),
)
"""Where the opponents are in the recordings of random play, for a ball in the middle."""


def _opponents(second_centre_back: tuple[float, float]) -> tuple[tuple[float, float], ...]:
    return (
        (1.0, 0.0),
        (-0.128, 0.19576),
        second_centre_back,
        (0.4, -0.063559),
        (-0.128, 0.19576),
        (-0.365, 0.10568),
        (-0.282, 0.0),
        (-0.365, -0.10568),
        (-0.54, 0.31610),
        (-0.51, 0.0),
        (-0.54, -0.316102),
    )


SCENARIOS = {
    "academy_pass_and_shoot_with_keeper": Scenario(
        left=((-1.0, 0.0), (0.7, 0.0), (0.7, -0.3)),
        right=((1.0, 0.0), (0.75, -0.3)),
        ball=(0.7, -0.28),
        active=(0, 2),
        home=_LONE_DEFENDER,
    ),
    "academy_3_vs_1_with_keeper": Scenario(
        left=((-1.0, 0.0), (0.6, 0.0), (0.7, 0.2), (0.7, -0.2)),
        right=((1.0, 0.0), (0.75, 0.0)),
        ball=(0.62, 0.0),
        active=(0, 2, 3),
        home=_LONE_DEFENDER,
    ),
    "academy_counterattack_easy": Scenario(
        left=_COUNTERATTACKERS,
        right=_opponents((-0.4, 0.06356)),
        ball=(0.26, -0.11),
        active=(5, 6, 7, 8),
        home=_FOUR_THREE_THREE,
    ),
    "academy_counterattack_hard": Scenario(
        left=_COUNTERATTACKERS,
        right=_opponents((0.4, 0.06356)),
        ball=(0.26, -0.11),
        active=(5, 6, 7, 8),
        home=_FOUR_THREE_THREE,
    ),
}
"""By the names of Google Research Football."""

SCENARIO_NAMES = tuple(SCENARIOS)


def get_scenario(name: str) -> Scenario:
    """Returns the scenario of that name; a ValueError lists the names there are."""
    check_choice("the academy's scenario", name, SCENARIO_NAMES)
    return SCENARIOS[name]
