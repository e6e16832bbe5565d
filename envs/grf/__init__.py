"""Google Research Football itself: the academy's scenarios, played by the original engine."""

from __future__ import annotations

from typing import Any

from envs.football.scenarios import SCENARIO_NAMES
from envs.grf.env import GoogleFootball

__all__ = ["SCENARIO_NAMES", "GoogleFootball", "make"]


def make(scenario: str, **options: Any) -> GoogleFootball:
    """Returns the scenario of that name; `options` are those of `GoogleFootball`.

    Raises:
        ImportError: if the engine is not installed, saying how to install it.
    """
    return GoogleFootball(scenario, **options)
