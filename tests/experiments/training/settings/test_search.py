"""Which settings a sweep tries."""

import numpy as np
import pytest

from experiments.training.errors import UsageError
from experiments.training.settings.search import search_points


def test_a_grid_takes_all_combinations_evenly_on_the_scale_of_each_range():
    points = search_points(["actor_lr=log:1e-4:1e-2", "gamma=uniform:0.9:0.98"], 3, "grid", 0)
    # Factors of 10, and steps of 0.04.
    expected = [(lr, gamma) for lr in (1e-4, 1e-3, 1e-2) for gamma in (0.9, 0.94, 0.98)]
    assert [(point["actor_lr"], point["gamma"]) for point in points] == expected


def test_random_points_are_in_range_repeatable_and_even_in_the_logarithm():
    searches = ["reuse_sigma=log:0.01:1", "gamma=0.9,0.99"]
    points = search_points(searches, 400, "random", 0)
    assert points == search_points(searches, 400, "random", 0)
    assert points != search_points(searches, 400, "random", 1)
    sigma = np.array([point["reuse_sigma"] for point in points])
    assert sigma.min() >= 0.01 and sigma.max() <= 1
    # Half of them below the geometric mean: 200 with standard deviation 10.
    assert abs(np.sum(sigma < 0.1) - 200) < 40
    assert {point["gamma"] for point in points} == {0.9, 0.99}


def test_names_may_be_written_with_dashes():
    assert search_points(["actor-lr=1e-3,1e-4"], 1, "grid", 0) == (
        {"actor_lr": 1e-3},
        {"actor_lr": 1e-4},
    )
    with pytest.raises(UsageError, match=r"unknown coefficient 'actor-l'.*Did you mean actor_lr"):
        search_points(["actor-l=1"], 1, "grid", 0)


LISTS = ["gamma=0.9,0.95,0.99", "ent_coef=0,0.01"]


def test_lists_that_are_tried_at_random_are_tried_without_repeats():
    everything = search_points(LISTS, 1, "grid", 0)
    assert len(everything) == 6  # 3 x 2.
    assert search_points(LISTS, 6, "random", 0) == everything
    assert search_points(LISTS, 5000, "random", 0) == everything
    some = search_points(LISTS, 5, "random", 0)
    assert len({tuple(point.values()) for point in some}) == len(some) == 5
    assert all(point in everything for point in some)
    assert some != search_points(LISTS, 5, "random", 1)


BAD_SEARCHES = {
    "nothing": ([], "expected at least one"),
    "no range": (["gamma"], "NAME=log:LOW:HIGH"),
    "unknown name": (["learning_rate=log:1:2"], "actor_lr"),
    "unknown scale": (["gamma=cubic:0.1:0.2"], "scale log or uniform"),
    "no numbers": (["gamma=log:a:b"], "NAME=log:LOW:HIGH"),
    "one bound": (["gamma=log:0.1"], "NAME=log:LOW:HIGH"),
    "empty range": (["gamma=uniform:0.9:0.9"], "LOW < HIGH"),
    "log of zero": (["ent_coef=log:0:1"], "LOW above 0"),
    "endless": (["ent_coef=uniform:0:inf"], "LOW < HIGH"),
    "twice": (["gamma=0.9,0.99", "gamma=0.5,0.6"], "gamma again"),
    "equal values": (["gamma=0.9,0.9"], "values that differ"),
    "too many": ([f"{n}=uniform:0.1:0.2" for n in ("gamma", "actor_lr", "ent_coef")], "at most"),
}


@pytest.mark.parametrize(("searches", "expected"), BAD_SEARCHES.values(), ids=BAD_SEARCHES.keys())
def test_a_search_that_makes_no_sense_is_refused(searches, expected):
    with pytest.raises(UsageError, match=expected):
        search_points(searches, 20, "grid", 0)
