"""From NAME=VALUE to an environment: what is understood, refused, and handed on to another."""

import re

import pytest

from envs.options import make_with_options, options_taken, parse_options
from oatrpo_jax.env_spec import EnvSpec


@pytest.mark.parametrize("text", ["false", "False", "FALSE"])
def test_false_switches_an_option_of_the_environment_off(text: str):
    options = parse_options([f"observe_agent_id={text}", "num_per_colour=1", "step_cost=0"])
    assert options == {"observe_agent_id": False, "num_per_colour": 1, "step_cost": 0}
    off, default = (
        EnvSpec.from_env(make_with_options("maze", each))
        for each in (options, {"num_per_colour": 1})
    )
    assert off.view_size == default.view_size
    on = make_with_options("maze", {**options, **parse_options(["observe_agent_id=true"])})
    assert EnvSpec.from_env(on).view_size > off.view_size


@pytest.mark.parametrize(
    ("name", "option", "expected"),
    [
        ("maze", "num_per_colour=1.5", "num_per_colour to be a whole number, got 1.5"),
        ("maze", "observe_agent_id=1", "observe_agent_id to be true or false, got 1"),
        ("football:academy_3_vs_1_with_keeper", "time_limit=True", "a whole number, got True"),
        ("jumanji:LevelBasedForaging-v0", "grid_size=6.5", "a whole number, got 6.5"),
        ("jumanji:LevelBasedForaging-v0", "force_coop=2", "to be true or false, got 2"),
        ("jumanji:LevelBasedForaging-v0", "penalty=x", "to be a number, got x"),
        ("jumanji:LevelBasedForaging-v0", "agent_id=yes", "to be true or false, got yes"),
    ],
)
def test_an_option_of_another_type_is_refused_by_name(name: str, option: str, expected: str):
    with pytest.raises(ValueError, match=re.escape(expected)):
        make_with_options(name, parse_options([option]))


@pytest.mark.parametrize("assignments", [["num_per_colour"], ["=1"], ["a b=1"], ["a=1", "a=1"]])
def test_what_is_no_assignment_or_stands_twice_is_refused(assignments: list[str]):
    with pytest.raises(ValueError, match=r"^env_option: expected"):
        parse_options(assignments)


@pytest.mark.parametrize("options", [{}, {"time_limit": 5}])
def test_an_unknown_environment_is_no_matter_of_its_options(options: dict[str, int]):
    with pytest.raises(ValueError, match=r"^Expected the name of an environment"):
        make_with_options("maz", options)


def test_another_environment_takes_over_what_it_has_as_well():
    inherited = {"max_engines": 4, "time_limit": 50}
    taken = options_taken("football:academy_3_vs_1_with_keeper", inherited)
    assert taken == {"time_limit": 50} and options_taken("no such name", {}) == {}
