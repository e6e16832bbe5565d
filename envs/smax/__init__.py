"""SMAX, the StarCraft micromanagement analogue of JaxMARL, and MMM2 with its healers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from envs.choices import check_choice
from envs.smax.units import SCENARIO_NAMES

if TYPE_CHECKING:
    from envs.smax.env import Smax

__all__ = ["SCENARIO_NAMES", "make"]


def make(scenario: str, **kwargs: Any) -> Smax:
    """Returns the SMAX environment of that name; jaxmarl is imported here, not before.

    Args:
        scenario: one of ``SCENARIO_NAMES``, such as ``"3m"`` or ``"MMM2"``.
        **kwargs: keyword arguments of :class:`envs.smax.env.Smax`.

    Raises:
        ValueError: no scenario has that name.
        ImportError: jaxmarl is missing or older than 0.2.
    """
    check_choice("the SMAX scenario", scenario, SCENARIO_NAMES)
    from envs.smax.env import from_name

    return from_name(scenario, **kwargs)
