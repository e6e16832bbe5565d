"""Which tests every change needs: few rows of the table that together show every column of it."""

from collections.abc import Iterable
from typing import Any

import pytest

from oatrpo_jax import Algorithm

DAILY = ("oappo", "oatrpo-auto", "oappo-ess", "happo", "mappo", "seps", "seac", "fixed")
"""Rows of the table of algorithms whose contract is tested every day; the others are thorough."""


def in_tiers(values: Iterable[Any], daily: Iterable[Any]) -> list[Any]:
    """Returns the values of a parametrised test; all but the daily ones are thorough."""
    daily = tuple(daily)
    return [
        value if value in daily else pytest.param(value, marks=pytest.mark.thorough)
        for value in values
    ]


def columns(row: Algorithm) -> dict[str, object]:
    """Returns what a row chooses, by column of the table."""
    return {
        "reuse rule": row.reuse.weights.__qualname__,
        "shares": row.reuse.shares,
        "averages": row.reuse.averages,
        "policy step": row.policy_step.apply,
        "is sequential": row.is_sequential,
        "ownership": row.ownership,
        "central critic": row.has_central_critic,
        "shared values": row.shares_values,
        "clusters": row.finds_clusters,
    }
