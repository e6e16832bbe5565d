"""Which panels curves.png has, and what is in them."""

import numpy as np
from matplotlib.figure import Figure

from experiments.analysis.panels import save_curves
from experiments.analysis.reading import read_result
from tests.experiments.made_up_runs import SIZES, change_json, let_diverge, write_run

TINY = ["--env", "maze", *SIZES]


SIGMAS = ["0.01", "0.02", "0.05", "0.1", "0.2"]


def drawn(directory, figures) -> Figure:
    """Returns the picture of a run."""
    save_curves(read_result(directory), directory / "curves.png")
    return figures[0]


def titles(figure: Figure) -> list[str]:
    return [axes.get_title().removeprefix("episode ") for axes in figure.axes]


def test_what_never_changes_is_left_out_and_said(tmp_path, figures):
    constant = {"episode__length": 25.0, "episode__optimality": 0.0}
    write_run(TINY, tmp_path / "run", lambda *_: 5, **constant)
    figure = drawn(tmp_path / "run", figures)
    assert titles(figure) == ["success", "return"]
    assert figure.get_suptitle().endswith("\nnever changing: length 25, optimality 0")


def test_where_all_is_constant_the_return_is_drawn(tmp_path, figures):
    names = ("success", "return", "length", "optimality")
    constant = {f"episode__{name}": 0.5 for name in names}
    write_run(TINY, tmp_path / "run", lambda *_: 5, **constant)
    figure = drawn(tmp_path / "run", figures)
    assert titles(figure) == ["return"]
    assert figure.get_suptitle().endswith("never changing: success 0.5, length 0.5, optimality 0.5")


def test_what_is_constant_along_each_point_but_differs_between_them_is_drawn(tmp_path, figures):
    # At the optimum from the first update on, or never anywhere near it.
    argv = [*TINY, "--reuse-sigma", "0.1", "1"]
    write_run(argv, tmp_path / "run", lambda _, p, __: 1 if p["reuse_sigma"] < 1 else 1e9)
    assert "success" in titles(drawn(tmp_path / "run", figures))


def test_where_no_episode_ended_a_single_panel_says_so(tmp_path, figures):
    write_run(TINY, tmp_path / "run", lambda *_: 5, episode__count=0.0)
    figure = drawn(tmp_path / "run", figures)
    assert titles(figure) == ["return"]
    assert figure.axes[0].texts[0].get_text() == "too few episodes to draw"


def test_of_a_single_update_everything_is_drawn(tmp_path, figures):
    argv = [*TINY, "--total-steps", "32", "--seeds", "1"]
    write_run(argv, tmp_path / "run", lambda *_: 5)
    assert titles(drawn(tmp_path / "run", figures)) == [
        "success",
        "return",
        "length",
        "optimality",
    ]


def test_evaluations_stand_beside_training(tmp_path, figures):
    write_run([*TINY, "--eval-every", "4"], tmp_path / "run", lambda *_: 10)
    figure = drawn(tmp_path / "run", figures)
    training, evaluation = figure.axes[0].lines
    assert training.get_color() == evaluation.get_color() and evaluation.get_marker() == "o"
    # After 4 and 8 of 10 updates of 32 steps, half of 4/10 and of 8/10.
    steps, values = evaluation.get_data()
    assert list(steps) == [128, 256]
    np.testing.assert_allclose(values, [0.2, 0.4], rtol=1e-6)
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["training", "evaluation, likeliest actions"]


def test_evaluations_that_change_where_training_does_not_are_drawn(tmp_path, figures):
    write_run([*TINY, "--eval-every", "4"], tmp_path / "run", lambda *_: 10)
    path = tmp_path / "run" / "metrics.csv"
    rows = [line.split(",") for line in path.read_text().splitlines()]
    place = rows[0].index("episode/length")
    lines = [[*row[:place], "100.0", *row[place + 1 :]] for row in rows[1:]]
    path.write_text("\n".join(map(",".join, [rows[0], *lines])) + "\n")
    assert "length" in titles(drawn(tmp_path / "run", figures))


def legend(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def updates_of_grid(_, point, __) -> float:
    return 20 + 20 * point["reuse_sigma"] - point["reuse_lambda"]


def test_evaluations_of_a_grid_have_the_colour_and_style_of_their_training(tmp_path, figures):
    grid = ["--reuse-sigma", "0.1", "1", "--reuse-lambda", "0.4", "0.7", "--eval-every", "4"]
    write_run([*TINY, *grid], tmp_path / "run", updates_of_grid)
    figure = drawn(tmp_path / "run", figures)
    lines = figure.axes[0].lines
    training, evaluation = lines[:4], lines[4:]
    looks = [
        [(one.get_color(), one.get_linestyle()) for one in each] for each in (training, evaluation)
    ]
    assert looks[0] == looks[1] and len(set(looks[0])) == 4
    assert all(one.get_marker() == "o" for one in evaluation)
    assert max(one.get_linewidth() for one in evaluation) < training[0].get_linewidth()
    assert legend(figure)[-1] == "evaluation, likeliest actions"


def test_of_many_points_only_the_best_has_its_evaluations_drawn(tmp_path, figures):
    grid = ["--reuse-sigma", *SIGMAS, "--reuse-lambda", "0.4", "0.7", "--eval-every", "4"]
    write_run([*TINY, *grid], tmp_path / "run", updates_of_grid)
    figure = drawn(tmp_path / "run", figures)
    *training, evaluation = figure.axes[0].lines
    assert len(training) == 10 and all(one.get_marker() != "o" for one in training)
    best = max(training, key=lambda one: one.get_ydata()[-1])
    assert evaluation.get_marker() == "o" and evaluation.get_color() == best.get_color()
    assert legend(figure)[-1] == "evaluation of the best: reuse_sigma=0.01, reuse_lambda=0.7"


def test_of_a_run_that_diverged_at_once_the_picture_is_empty_and_true(tmp_path, figures):
    write_run([*TINY, "--eval-every", "4"], tmp_path / "run", lambda *_: 10)
    let_diverge(tmp_path / "run", {0: 1})
    figure = drawn(tmp_path / "run", figures)
    # Episodes ended; but those of no sound update.
    assert figure.axes[0].texts[0].get_text() == "too few episodes to draw"
    assert not figure.legends


def test_a_point_of_a_grid_that_has_no_curve_is_named_so(tmp_path, figures):
    write_run([*TINY, "--reuse-sigma", "0.1", "1"], tmp_path / "run", lambda *_: 10)
    let_diverge(tmp_path / "run", {1: 1})
    figure = drawn(tmp_path / "run", figures)
    assert legend(figure) == ["reuse_sigma=0.1", "reuse_sigma=1, diverged, no curve"]


def test_the_title_names_an_environments_file_without_its_folder(tmp_path, figures):
    write_run(TINY, tmp_path / "run", lambda *_: 10)
    change_json(tmp_path / "run" / "config.json", environment="/home/me/agree.py:Agree")
    title = drawn(tmp_path / "run", figures).get_suptitle()
    assert title.startswith("agree.py:Agree, oappo, 2 seeds")


def test_an_evaluation_after_a_point_diverged_is_not_drawn(tmp_path, figures):
    argv = [*TINY, "--eval-every", "2", "--reuse-sigma", "0.1", "1"]
    write_run(argv, tmp_path / "run", lambda *_: 10)
    let_diverge(tmp_path / "run", {1: 6})
    result = read_result(tmp_path / "run")
    for point, updates in ((0, [2, 4, 6, 8, 10]), (1, [2, 4])):
        curve = result.points[point].evaluation_curve("return")
        assert curve is not None and (curve.env_steps // 32).tolist() == updates
    figure = drawn(tmp_path / "run", figures)
    cross = next(line for line in figure.axes[0].lines if line.get_marker() == "X")
    assert cross.get_xdata() == [5 * 32]
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names[-1] == "diverged there"


def test_a_run_without_evaluations_has_no_curve_of_them(tmp_path):
    write_run(TINY, tmp_path / "run", lambda *_: 5)
    assert read_result(tmp_path / "run").points[0].evaluation_curve("return") is None
