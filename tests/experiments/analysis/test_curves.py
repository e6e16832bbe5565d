"""Pictures that must hold whatever is drawn: one point, one seed, many names."""

import itertools

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from experiments.analysis.colours import (
    DASHED,
    MAX_SIGNED,
    REST,
    SIGNS,
    STYLES,
    Look,
    look_of,
    tell_apart,
)
from experiments.analysis.curves import (
    add_legend,
    draw_curve,
    draw_curves,
    draw_lines,
    signed_looks,
)
from experiments.analysis.panels import save_curves
from experiments.analysis.reading import read_result
from experiments.analysis.reuse import has_reuse, save_reuse
from experiments.analysis.statistics import Curve
from tests.experiments.made_up_runs import (
    SIZES,
    let_diverge,
    write_clusters,
    write_run,
)

RISE = np.array([1.0, 2.0])
CURVE = Curve(RISE, RISE, RISE - 0.5, RISE + 0.5)


@pytest.mark.parametrize(("num_points", "marker"), [(1, "o"), (2, "None")])
def test_a_single_point_is_marked(num_points, marker):
    axes = Figure().subplots()
    draw_curve(axes, Curve(*(values[:num_points] for values in CURVE)), Look("red"))
    assert axes.lines[0].get_marker() in (marker, "")
    assert (axes.lines[0].get_marker() == "o") == (num_points == 1)


def painted(lines) -> np.ndarray:
    """Returns ``[H, W, 3]`` uint8: a panel with these lines and nothing else."""
    figure = Figure(figsize=(4, 3))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    draw_lines(axes, lines, signed_looks(lines))
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.array(canvas.buffer_rgba())[..., :3]


def num_pixels(picture, colour) -> int:
    """Returns how many pixels have just this colour."""
    return int((picture == np.round(255 * np.array(to_rgb(colour)))).all(axis=-1).sum())


def test_of_curves_alike_to_the_bit_every_colour_is_seen():
    names = ["oappo", "oatrpo", "happo", "hatrpo", "mappo", "ippo", "seps"]
    for count in (2, len(names)):
        looks = [look_of(name)._replace(has_band=False) for name in names[:count]]
        picture = painted([(CURVE, look) for look in looks])
        # Each has three signs of 4.5 points, which are 6 pixels with their white edge.
        assert min(num_pixels(picture, look.colour) for look in looks) >= 3 * 4 * 4


def test_of_curves_alike_a_variant_of_the_same_colour_is_seen():
    plain, variant = look_of("oappo"), look_of("oappo-auto")
    other = look_of("oappo-ess")
    with_one, with_other = (painted([(CURVE, plain), (CURVE, look)]) for look in (variant, other))
    assert (plain.colour, variant.style) == (other.colour, DASHED)
    assert (with_one != with_other).any(axis=-1).sum() > 3 * 5
    assert len({SIGNS[style] for style in STYLES}) == len(STYLES)


def test_signs_stand_on_their_curves_and_none_where_another_has_one():
    shorter = Curve(*(np.array([1.5, 1.75]) for _ in CURVE))
    axes = Figure().subplots()
    lines = [(CURVE, Look("red")), (shorter, Look("blue"))]
    draw_lines(axes, lines, signed_looks(lines))
    bands = 2
    red, blue = (np.ma.getdata(signs.get_offsets()) for signs in axes.collections[bands:])
    # A quarter into each third of the panel is a sign of red, three quarters into it one of blue.
    np.testing.assert_allclose(red, np.array([[13, 13], [17, 17], [21, 21]]) / 12)
    np.testing.assert_allclose(blue, [[19 / 12, 19 / 12]])


def test_a_line_alone_so_many_and_those_with_marks_have_no_signs():
    red, grey, dots, blue = Look("red"), Look(REST), Look("blue", marker="o"), Look("blue")
    nothing, point = (Curve(*(values[:size] for values in CURVE)) for size in (0, 1))

    def signed(*looks):
        return signed_looks((CURVE, look) for look in looks)

    assert signed(red, red, grey, dots) == []
    assert signed(red, grey, dots, blue) == [red, blue]
    assert signed_looks([(CURVE, red), (nothing, blue), (point, Look("black"))]) == []
    assert signed(*tell_apart([red] * MAX_SIGNED)) != []
    assert signed(*tell_apart([red] * (MAX_SIGNED + 1))) == []


def test_panels_of_a_figure_agree_on_the_signs():
    red, blue = Look("red"), Look("blue")
    lines = {"return": [(CURVE, red)], "success": [(CURVE, blue)]}
    figure = draw_curves(lines, [("red", red), ("blue", blue)], title="")
    assert [line.get_marker() for line in figure.legends[0].get_lines()] == ["s", "s"]
    for axes in figure.axes:
        band, signs = axes.collections
        assert len(np.ma.getdata(signs.get_offsets())) == 3


def test_a_legend_shows_the_signs_that_its_lines_have():
    looks = [look_of("oappo"), look_of("oappo-auto"), Look("black", marker="X")]
    for num_lines, expected in ((3, ["s", "^", "X"]), (1, ["", "", "X"])):
        lines = {"return": [(CURVE, look) for look in looks[:num_lines]]}
        figure = draw_curves(lines, [(look.colour, look) for look in looks], title="")
        handles = figure.legends[0].get_lines()
        assert [line.get_marker() for line in handles] == expected


@pytest.mark.parametrize(
    ("length", "num_curves"),
    [
        *itertools.product((2, 30, 140), (2, 7)),
        (140, 60),
        *(pytest.param(length, 60, marks=pytest.mark.thorough) for length in (2, 30)),
    ],
)
def test_a_legend_is_whole_and_leaves_the_panels_their_room(num_curves, length):
    looks = tell_apart([Look("red")] * num_curves)
    entries = [(f"{index:0{length}d}", look) for index, look in enumerate(looks)]
    lines = {name: [(CURVE, look) for look in looks] for name in ("return", "length")}
    figure = draw_curves(lines, entries, title="title")
    figure.draw_without_rendering()
    box = figure.legends[0].get_window_extent().transformed(figure.dpi_scale_trans.inverted())
    width, height = figure.get_size_inches()
    slack = 1e-6  # The widest fills the figure, whose size is rounded.
    assert box.x0 >= -slack and box.x1 <= width + slack and box.y0 >= 0 and box.y1 < height - 3
    assert figure.axes[0].get_window_extent().height / figure.dpi > 2.5


def test_without_names_there_is_no_legend():
    figure = Figure(figsize=(4, 3))
    add_legend(figure, [])
    assert not figure.legends and tuple(figure.get_size_inches()) == (4, 3)


def test_a_title_is_whole_above_a_single_panel():
    lines = {"return": [(CURVE, Look("red"))]}
    figure = draw_curves(lines, [], title="a title of many words that one panel is too narrow for")
    figure.draw_without_rendering()
    (title,) = (text for text in figure.texts if text.get_text().startswith("a title"))
    box = title.get_window_extent()
    assert box.x0 > 0 and box.x1 < figure.bbox.width


def test_a_panel_without_a_curve_says_why():
    nothing = Curve(*(values[:0] for values in CURVE))
    figure = draw_curves({"return": [(nothing, Look("red"))]}, [], title="")
    assert [text.get_text() for text in figure.axes[0].texts] == ["too few episodes to draw"]
    figure = draw_curves({"return": [(CURVE, Look("red"))]}, [], title="")
    assert not figure.axes[0].texts


def titles_of(directory, figures) -> list[str]:
    """Returns the titles of curves.png and reuse.png."""
    result = read_result(directory)
    save_curves(result, directory / "curves.png")
    save_reuse(result.points[0], directory / "reuse.png")
    return [figure.get_suptitle() for figure in figures]


@pytest.mark.parametrize("seeds", ["1", "2"])
def test_the_title_speaks_of_intervals_only_over_several_seeds(seeds, tmp_path, figures):
    argv = ["--env", "maze", "--total-steps", "4096", "--seeds", seeds]
    write_run(argv, tmp_path / "run", lambda *_: 3.0)
    curves, reuse = titles_of(tmp_path / "run", figures)
    if seeds == "1":
        assert curves == reuse == "maze, oappo, 1 seed"
    else:
        assert curves == "maze, oappo, 2 seeds (mean and 95% interval over seeds)"
        assert reuse == "maze, oappo, 2 seeds (mean over seeds)"


def reuse_of(result, point, figures) -> Figure:
    """Returns the picture of a grid point's reuse."""
    save_reuse(result.points[point], result.directory / "reuse.png")
    return figures[0]


def test_of_a_grid_the_matrices_are_those_of_the_point_asked_for(tmp_path, figures):
    argv = ["--env", "maze", "--total-steps", "4096", "--seeds", "2", "--reuse-sigma", "1", "2"]
    write_run(argv, tmp_path / "run", lambda _, point, __: 4.0 * point["reuse_sigma"])
    result = read_result(tmp_path / "run")
    figure = reuse_of(result, 1, figures)
    title = figure.get_suptitle()
    assert title == "maze, oappo, 2 seeds (matrices: reuse_sigma=2, mean over seeds)"
    # After one of eight updates learner 0 gives itself 0.125, at point 0 after one of four 0.25.
    assert figure.axes[0].texts[0].get_text() == "0.125"


def test_matrices_end_before_their_point_diverges_and_count_the_steps_before_training(
    tmp_path, figures
):
    argv = ["--env", "maze", "--total-steps", "10240", "--seeds", "2", "--algorithm", "seps"]
    write_run(argv, tmp_path / "run", lambda *_: 3.0)
    let_diverge(tmp_path / "run", {0: 5})
    write_clusters(tmp_path / "run", [[0, 0, 1, 1]] * 2)
    figure = reuse_of(read_result(tmp_path / "run"), 0, figures)
    titles = [axes.get_title() for axes in figure.axes[:4]]
    # Four sound updates of 1,024 steps each after 8,192.
    assert titles == [f"after {steps} steps" for steps in ("9,216", "10,240", "11,264", "12,288")]
    assert figure.axes[0].get_yticklabels()[0].get_text() == "policy 0"


def test_of_rare_matrices_those_there_are_are_drawn_at_their_updates(tmp_path, figures):
    argv = [*SIZES, "--env", "maze", "--total-steps", "640", "--matrix-every", "6"]
    write_run(argv, tmp_path / "run", lambda *_: 20.0)
    figure = reuse_of(read_result(tmp_path / "run"), 0, figures)
    # Of 20 updates the matrices of 1, 7, 13 and 19 are known, of 32 steps each.
    titles = [axes.get_title() for axes in figure.axes[:4]]
    assert titles == [f"after {steps} steps" for steps in (32, 224, 416, 608)]
    # After the last of them learner 0 gives itself 19 of 20.
    assert [axes.texts[0].get_text() for axes in figure.axes[:4]] == [
        "0.05",
        "0.35",
        "0.65",
        "0.95",
    ]


def test_of_a_point_that_diverges_at_once_no_matrix_is_drawn(tmp_path, figures):
    write_run([*SIZES, "--env", "maze"], tmp_path / "run", lambda *_: 3.0)
    let_diverge(tmp_path / "run", {0: 1})
    figure = reuse_of(read_result(tmp_path / "run"), 0, figures)
    assert [axes.get_title() for axes in figure.axes] == [ADMITTED]


def test_long_runs_are_drawn_by_means_of_neighbouring_updates(tmp_path, figures):
    argv = [*SIZES, "--env", "maze", "--log-affinity", "--total-steps", str(32 * 1001)]
    write_run(argv, tmp_path / "run", lambda *_: 1001.0)
    figure = reuse_of(read_result(tmp_path / "run"), 0, figures)
    panels = {axes.get_title(): axes for axes in figure.axes}
    for title in (ADMITTED, SAMPLE_SIZE):
        (line,) = panels[title].lines
        env_steps, values = line.get_data()
        # 166 bins of six of 1,001 updates, and one of the other five.
        assert len(env_steps) == 167
        assert (env_steps[0], env_steps[-2], env_steps[-1]) == (6 * 32, 996 * 32, 1001 * 32)
        # Update u has u / 1,001: the first six have 3.5 on average, the last five 999.
        np.testing.assert_allclose(values[[0, -1]] * 1001, [3.5, 999], rtol=1e-6)


WEIGHT, DIVERGENCE = "reuse weight M\nlearner", "divergence D (nats)\nlearner"
ADMITTED = "others admitted per learner"
SAMPLE_SIZE = "effective sample size of others' experience (share)"


@pytest.mark.parametrize(
    ("algorithm", "drawn"),
    [
        ("happo", {WEIGHT, ADMITTED}),
        ("oappo", {WEIGHT, DIVERGENCE, ADMITTED}),
        ("oappo-ess", {WEIGHT, ADMITTED, SAMPLE_SIZE}),
        ("happo --log-affinity", {WEIGHT, DIVERGENCE, ADMITTED, SAMPLE_SIZE}),
        ("mappo --log-affinity", {WEIGHT, DIVERGENCE, ADMITTED}),  # No others to measure.
    ],
)
def test_of_reuse_is_drawn_what_the_run_measured(algorithm, drawn, tmp_path, figures):
    argv = ["--env", "maze", "--total-steps", "4096", "--seeds", "1", "--algorithm"]
    write_run([*argv, *algorithm.split()], tmp_path / "run", lambda *_: 3.0)
    panels = reuse_of(read_result(tmp_path / "run"), 0, figures).axes
    labels = {axes.get_ylabel() for axes in panels} | {axes.get_title() for axes in panels}
    assert labels & {WEIGHT, DIVERGENCE, ADMITTED, SAMPLE_SIZE} == drawn


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("oappo", True),
        ("oappo-auto", True),
        ("fixed --reuse-matrix rr", True),
        ("happo", False),
        ("hatrpo", False),
        ("ippo-separate", False),
        ("mappo", False),
        ("ippo", False),
        ("happo --log-affinity", True),  # It is known how far policies are apart.
        ("mappo --log-affinity", False),  # There is one policy.
    ],
)
def test_reuse_is_drawn_where_experience_is_reused(options, expected, tmp_path):
    argv = ["--env", "maze", *SIZES, "--algorithm", *options.split()]
    write_run(argv, tmp_path / "run", lambda *_: 3.0)
    assert has_reuse(read_result(tmp_path / "run")) == expected


def test_of_a_rule_that_measures_nothing_reuse_is_drawn_once_anybody_is_admitted(tmp_path):
    argv = ["--env", "maze", *SIZES, "--algorithm", "oappo-auto"]
    write_run(argv, tmp_path / "run", lambda *_: 3.0, reuse__num_admitted=0.0)
    assert not has_reuse(read_result(tmp_path / "run"))


@pytest.mark.parametrize("algorithm", ["oappo", "mappo"])
def test_pictures_are_drawn_of_a_single_update(algorithm, tmp_path):
    argv = ["--env", "maze", "--num-envs", "4", "--rollout-length", "8", "--total-steps", "32"]
    write_run([*argv, "--algorithm", algorithm], tmp_path / "run", lambda *_: 3.0)
    result = read_result(tmp_path / "run")
    save_curves(result, tmp_path / "curves.png")
    save_reuse(result.points[0], tmp_path / "reuse.png")
    for name in ("curves.png", "reuse.png"):
        assert (tmp_path / name).stat().st_size > 10_000
