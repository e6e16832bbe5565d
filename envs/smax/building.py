"""jaxmarl's Scenario: made from our rosters, and checked."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from envs.smax import units
from envs.smax.library import Scenario
from envs.smax.scenarios import Roster


def check_scenario(scenario: Scenario) -> None:
    """Raises a ValueError that says what is wrong with the scenario, if anything is."""
    for team, count in (("allies", scenario.num_allies), ("enemies", scenario.num_enemies)):
        if count < 1:
            raise ValueError(f"Expected num_{team} >= 1, got {count}. Give each team a unit.")
    types = np.asarray(scenario.unit_types)
    num_units = scenario.num_allies + scenario.num_enemies
    if types.shape != (num_units,) or (types >= len(units.NAMES)).any():
        raise ValueError(
            f"Expected unit_types to be {num_units} indices (allies, then enemies) of "
            f"{', '.join(units.NAMES)}, got {types.tolist()}."
        )


def build_scenario(roster: Roster) -> Scenario:
    """Returns jaxmarl's form of a roster."""
    types = [
        units.NAMES.index(name) for name, n in roster.allies + roster.enemies for _ in range(n)
    ]
    return Scenario(
        unit_types=jnp.array(types, jnp.uint8),
        num_allies=sum(n for _, n in roster.allies),
        num_enemies=sum(n for _, n in roster.enemies),
        smacv2_position_generation=False,
        smacv2_unit_type_generation=False,
    )
