"""The rules of the tiers: what is tested every day shows each thing that there is at least once."""

import dataclasses
from collections.abc import Sequence
from typing import get_args, get_type_hints

import pytest

import envs
from oatrpo_jax import ALGORITHMS, Algorithm, Config
from tests.envs import test_contract
from tests.golden import record, test_golden
from tests.oatrpo_jax import test_algorithms
from tests.tiers import DAILY, columns, parse_case

ROWS = {row.name: row for row in test_algorithms.ROWS}


def shown(rows: Sequence[Algorithm]) -> dict[str, set[object]]:
    """Returns the entries that occur in each column."""
    tables = [columns(row) for row in rows]
    return {name: {table[name] for table in tables} for name in tables[0]}


def test_every_column_of_the_table_is_one_of_those_compared():
    # A new field of a row needs a column in `columns`, so that days without it are noticed.
    compared = {"reuse", "policy_step", "is_sequential", "ownership", "has_central_critic"}
    compared |= {"shares_values", "finds_clusters"}
    fields = {field.name for field in dataclasses.fields(Algorithm)}
    assert fields - {"name", "description"} == compared


def test_every_row_is_in_the_contract_and_those_of_every_day_cover_every_column():
    assert {*ALGORITHMS, "fixed"} == set(ROWS)
    assert shown([ROWS[name] for name in DAILY]) == shown(list(ROWS.values()))


def test_every_estimator_and_every_row_has_golden_numbers_and_every_estimator_daily_ones():
    assert all({*ALGORITHMS, "fixed"} <= set(record.cases(name)) for name in ("maze", "messy"))
    daily = {*DAILY, *test_algorithms.DAILY_VARIANTS}
    used = {record.VARIANTS.get(case, {}).get("estimator", Config().estimator) for case in daily}
    assert used == set(get_args(get_type_hints(Config)["estimator"]))
    # What the messy problem leaves out on most days, the maze has.
    assert {*ALGORITHMS} - {*DAILY, *test_golden.DAILY_MAZE} == {"oappo-auto", "ippo-separate"}


def test_every_row_is_in_the_contract_with_a_memory_and_days_see_every_step_and_critic_with_one():
    assert {parse_case(name).row for name in test_algorithms.WITH_MEMORY} == set(ROWS)
    names = (*test_algorithms.DAILY_MEMORY, *test_algorithms.DAILY_VARIANTS)
    cases = [parse_case(name) for name in names]
    daily = [ROWS[case.row] for case in cases if case.remembers]
    few, everything = shown(daily), shown(list(ROWS.values()))
    for column in ("policy step", "is sequential", "central critic", "shared values"):
        assert few[column] == everything[column]


def test_every_row_is_in_the_contract_with_continuous_actions_and_days_see_both_kinds_of_policy():
    cases = [parse_case(name) for name in test_algorithms.WITH_CONTINUOUS_ACTIONS]
    daily = [parse_case(name) for name in test_algorithms.DAILY_CONTINUOUS]
    assert {case.row for case in cases} == set(ROWS)
    assert {case.recorded for case in daily} <= {*record.cases("steering")}
    for each in (cases, daily):
        assert all(case.is_continuous for case in each)
        assert {case.remembers for case in each} == {False, True}


def test_a_name_says_what_a_case_is():
    assert parse_case("oatrpo-auto") == ("oatrpo-auto", False, False, False, "oatrpo-auto")
    case = parse_case("seac, memory, normalised")
    assert case == ("seac", True, True, False, "seac, memory, normalised")
    assert parse_case("oappo, memory, continuous") == ("oappo", True, False, True, "oappo, memory")


def test_a_case_has_one_name():
    with pytest.raises(ValueError, match='expected "continuous" at the end, got'):
        parse_case("oappo, continuous, memory")


def test_every_family_of_environments_has_a_daily_one():
    def families(names):
        return {name.partition(":")[0] for name in names}

    daily = [
        name
        for name, marks in test_contract.ENVIRONMENTS.items()
        if not {mark.name for mark in marks} & {"thorough", "slow"}
    ]
    assert families(daily) == families(envs.registered_names())
