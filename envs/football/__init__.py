"""Academy football in pure JAX: physics, rules and opponents calibrated on the original engine."""

from __future__ import annotations

from typing import Any

from envs.football.env import Football
from envs.football.scenarios import SCENARIO_NAMES

__all__ = ["SCENARIO_NAMES", "Football", "make"]


def make(scenario: str, **options: Any) -> Football:
    """Returns the academy scenario of that name; `options` are those of `Football`."""
    return Football(scenario, **options)
