"""Who has which colour, and that lines can be told apart."""

from typing import get_args

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from experiments.analysis.colours import (
    ALGORITHMS,
    GREY,
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


SIGHTS = {
    "all colours": np.eye(3),
    "no green": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
    "no red": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
}
"""What reaches the eye of linear RGB (Machado, Oliveira and Fernandes 2009, severity 1)."""

TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def seen(colours, sight) -> np.ndarray:
    """Returns colours as they are seen, in CIELAB."""
    rgb = np.array([to_rgb(colour) for colour in colours])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    xyz = np.clip(linear @ np.array(sight).T, 0, 1) @ TO_XYZ.T / TO_XYZ.sum(axis=1)
    root = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    x, y, z = root.T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


@pytest.mark.parametrize("sight", SIGHTS.values(), ids=SIGHTS.keys())
def test_every_reader_tells_the_colours_apart(sight):
    colours = {look.colour for look in (*ALGORITHMS.values(), *MATRICES.values())}
    lab = seen([*sorted(colours), "white"], sight)
    apart = np.linalg.norm(lab[:, None] - lab[None], axis=-1)
    # The closest of Okabe and Ito's own are 17.9 apart; what a reader just notices is about 2.
    assert apart[~np.eye(len(lab), dtype=bool)].min() > 17


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
    assert look_of("mine") == Look(GREY)
