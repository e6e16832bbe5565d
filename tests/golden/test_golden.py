"""No number of the maze changes unnoticed; the other problems are in the suite of the contract."""

import pytest

from tests.golden.record import assert_as_recorded, cases, make
from tests.tiers import in_tiers

DAILY_MAZE = ("oatrpo", "hatrpo", "ippo", "seac-ppo")
"""Rows that the messy problem leaves to the thorough tests."""


@pytest.mark.parametrize("case", in_tiers(cases("maze"), DAILY_MAZE))
def test_metrics_are_those_recorded(case: str):
    assert_as_recorded("maze", case, make("maze", case))
