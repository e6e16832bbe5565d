"""Which tests every change needs: few rows of the table that together show every column of it."""

from collections.abc import Iterable
from typing import Any, NamedTuple

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


class Case(NamedTuple):
    """What the name of a case says.

    Attributes:
        row: the name in the table of algorithms.
        remembers: whether policies remember.
        is_normalised: whether inputs are standardised.
        is_continuous: whether actions are continuous.
        recorded: the name of the case among the golden ones of its problem.
    """

    row: str
    remembers: bool
    is_normalised: bool
    is_continuous: bool
    recorded: str


def parse_case(name: str) -> Case:
    """Returns what a name says: a row, "memory", "normalised" and the like, then "continuous".

    Raises:
        ValueError: if anything stands behind "continuous", as a case has one name only.
    """
    row, *settings = name.split(", ")
    is_continuous = settings[-1:] == ["continuous"]
    if "continuous" in settings[:-1]:
        raise ValueError(f'expected "continuous" at the end, got {name!r}; move it there')
    recorded = name.removesuffix(", continuous")
    return Case(row, "memory" in settings, "normalised" in settings, is_continuous, recorded)


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
