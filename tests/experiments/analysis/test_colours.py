"""Who has which colour, and that lines can be told apart."""

from typing import get_args

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from experiments.analysis.colours import (
    ALGORITHMS,
    MATRICES,
    STYLES,
    Look,
    in_order,
    look_of,
    tell_apart,
)
from experiments.training.settings.defaults import AlgorithmName
from experiments.training.settings.reuse_matrix import NAMES


def test_every_algorithm_and_every_matrix_with_a_name_has_a_look_of_its_own():
    assert set(ALGORITHMS) == set(get_args(AlgorithmName)) and set(MATRICES) == set(NAMES)
    looks = [*ALGORITHMS.values(), *MATRICES.values()]
    assert len(set(looks)) == len(looks)


def test_a_variant_has_the_colour_of_what_it_is_a_variant_of():
    for name, look in ALGORITHMS.items():
        assert look.colour == ALGORITHMS[name.rpartition("-")[0] or name].colour


def test_colours_are_far_apart_and_away_from_white():
    colours = {look.colour for look in (*ALGORITHMS.values(), *MATRICES.values())}
    found = np.array([to_rgb(colour) for colour in (*colours, "white")])
    apart = np.linalg.norm(found[:, None] - found[None], axis=-1)
    assert apart[~np.eye(len(found), dtype=bool)].min() > 0.2


def test_the_first_with_a_look_keeps_it_whoever_stands_before():
    plain, auto = look_of("oappo"), look_of("oappo-auto")
    first, second, third = tell_apart([plain, plain, auto])
    assert (first, third) == (plain, auto)
    assert second.colour == plain.colour and second.style not in (plain.style, auto.style)


@pytest.mark.parametrize("count", [1, 5, 6, 40])
def test_lines_of_one_algorithm_are_all_different(count):
    found = tell_apart([look_of("oappo")] * count)
    assert len(set(found)) == count
    assert len({look.colour for look in found}) == -(-count // len(STYLES))


def test_values_in_order_get_lighter_and_stay_legible():
    lightness = [np.dot(to_rgb(colour), (0.2126, 0.7152, 0.0722)) for colour in in_order(12)]
    assert np.all(np.diff(lightness) > 0) and lightness[-1] < 0.8


def test_a_name_that_the_table_lacks_is_drawn():
    assert look_of("mine") == Look("#7F7F7F")
