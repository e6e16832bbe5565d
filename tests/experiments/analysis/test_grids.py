"""How the points of a run are told apart."""

import itertools

import pytest

from experiments.analysis.colours import REST, look_of
from experiments.analysis.grids import MAX_NAMED, point_looks
from experiments.analysis.reading import read_result
from tests.experiments.made_up_runs import SIZES, change_json, let_diverge, write_run

SIGMAS = ["0.01", "0.02", "0.05", "0.1", "0.2", "0.5", "1", "2"]


def looks_of(directory, *options, algorithm="oappo", **config):
    argv = ["--env", "maze", *SIZES, "--algorithm", algorithm, *options]
    # The smaller sigma, the sooner; the larger lambda as well.
    write_run(argv, directory, lambda _, p, __: 20 + p["reuse_sigma"] * 20 - p["reuse_lambda"])
    if config:
        change_json(directory / "config.json", **config)
    return point_looks(read_result(directory))


def test_a_single_point_has_its_algorithms_colour_and_no_legend(tmp_path):
    drawn = looks_of(tmp_path / "run", algorithm="oappo-auto")
    (look,) = drawn.looks.values()
    assert look.colour == look_of("oappo").colour and look.style == "-"
    assert not drawn.legend


def test_one_coefficient_is_told_by_colour_in_its_order(tmp_path):
    drawn = looks_of(tmp_path / "run", "--reuse-sigma", "10", "0.1", "1")
    assert [name for name, _ in drawn.legend] == [f"reuse_sigma={v}" for v in ("0.1", "1", "10")]
    assert [look for _, look in drawn.legend] == [*drawn.looks.values()]
    assert [point.number for point in drawn.looks] == [1, 2, 0]
    assert len({look.colour for look in drawn.looks.values()}) == 3


def test_many_values_are_not_all_named(tmp_path):
    values = [f"{value / 100:g}" for value in range(1, 31)]
    drawn = looks_of(tmp_path / "run", "--reuse-sigma", *values)
    names = [name for name, _ in drawn.legend]
    assert (len(names), names[0], names[-1]) == (MAX_NAMED, "reuse_sigma=0.01", "reuse_sigma=0.3")
    assert (
        "18 not named" in drawn.remark and len({look.colour for look in drawn.looks.values()}) == 30
    )


@pytest.mark.parametrize("sigma_first", [True, False])
def test_of_two_coefficients_one_is_colour_and_one_is_style(sigma_first, tmp_path):
    grid = [["--reuse-sigma", *SIGMAS], ["--reuse-lambda", "0.2", "0.4", "0.6", "0.8", "1"]]
    drawn = looks_of(tmp_path / "run", *itertools.chain(*(grid if sigma_first else grid[::-1])))
    looks = [*drawn.looks.values()]
    assert len(set(looks)) == 40
    assert len({look.colour for look in looks}) == 8
    assert len({look.style for look in looks}) == 5
    names = [name for name, _ in drawn.legend]
    assert names[:8] == [f"reuse_sigma={value}" for value in SIGMAS]
    assert names[8:] == [f"reuse_lambda={value}" for value in ("0.2", "0.4", "0.6", "0.8", "1")]
    # Point 7 of the grid has the second sigma and the third lambda: lambda varies the fastest.
    assert looks[7].colour == drawn.legend[1][1].colour
    assert looks[7].style == drawn.legend[8 + 2][1].style
    # Bands of so many would hide each other.
    assert not drawn.has_bands


def test_of_three_coefficients_the_best_points_are_named(tmp_path):
    grid = ["--reuse-sigma", "0.01", "1", "--reuse-lambda", "0.4", "0.7", "--actor-lr", "1e-3"]
    drawn = looks_of(tmp_path / "run", *grid, "0.0005")
    names = [name for name, _ in drawn.legend]
    assert names[0].startswith("1. actor_lr=0.001, reuse_sigma=0.01, reuse_lambda=0.7")
    assert names[-1] == "the other 3" and len(names) == 6
    # Those in grey are drawn first.
    assert [look.colour == REST for look in drawn.looks.values()] == [True] * 3 + [False] * 5


def test_two_coefficients_that_were_drawn_at_random_are_no_grid(tmp_path):
    grid = ["--reuse-sigma", "0.01", "1", "--reuse-lambda", "0.4", "0.7"]
    points = [{"reuse_sigma": s, "reuse_lambda": s / 2} for s in (0.1, 0.2, 0.3, 0.4)]
    drawn = looks_of(tmp_path / "grid", *grid)
    assert len({look.style for look in drawn.looks.values()}) == 2
    config = read_result(tmp_path / "grid").config["points"]
    searched = [{**one, **two} for one, two in zip(config, points, strict=True)]
    change_json(tmp_path / "grid" / "config.json", points=searched)
    drawn = point_looks(read_result(tmp_path / "grid"))
    assert len({look.style for look in drawn.looks.values()}) == 1
    assert drawn.remark == "the best 4 of 4 have a colour"


def test_a_point_that_diverged_is_named_so(tmp_path):
    looks_of(tmp_path / "run", "--reuse-sigma", "0.1", "1")
    let_diverge(tmp_path / "run", {1: 4})
    drawn = point_looks(read_result(tmp_path / "run"))
    assert [name for name, _ in drawn.legend] == ["reuse_sigma=0.1", "reuse_sigma=1, diverged"]
