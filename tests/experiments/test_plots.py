"""Pictures that must hold whatever is drawn: one point, one seed, many names."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from experiments.analysis.curves import Curve, draw_curve, save_curves
from experiments.analysis.legends import draw_legend, with_legend
from experiments.analysis.reuse import save_reuse
from experiments.training.settings.experiment import build
from experiments.training.settings.options import parse
from tests.experiments.made_up_runs import make_history


@pytest.mark.parametrize(("num_points", "marker"), [(1, "o"), (2, "None")])
def test_a_single_point_is_marked(num_points, marker):
    values = np.arange(1.0, num_points + 1)
    axes = Figure().subplots()
    draw_curve(axes, Curve(values, values, values - 0.5, values + 0.5), 0)
    assert axes.lines[0].get_marker() in (marker, "")
    assert (axes.lines[0].get_marker() == "o") == (num_points == 1)


@pytest.mark.parametrize("num_curves", [2, 7, 60])
@pytest.mark.parametrize("length", [2, 30, 140])
def test_a_legend_is_whole_and_leaves_the_panels_their_room(num_curves, length):
    labels = [f"{index:0{length}d}" for index in range(num_curves)]  # No letter is much wider.
    width, height = with_legend(8.4, 4.0, labels)
    figure = Figure(figsize=(width, height), layout="constrained", dpi=50)
    axes = figure.subplots()
    for label in labels:
        axes.plot([0, 1], label=label)
    draw_legend(figure, axes, labels, width)
    figure.draw_without_rendering()
    box = figure.legends[0].get_window_extent().transformed(figure.dpi_scale_trans.inverted())
    assert box.x0 >= 0 and box.x1 <= width and box.y0 >= 0
    assert axes.get_window_extent().height / figure.dpi > 3.0


@pytest.mark.parametrize("seeds", ["1", "2"])
def test_the_title_speaks_of_intervals_only_over_several_seeds(seeds, tmp_path, monkeypatch):
    argv = ["--env", "maze", "--total-steps", "4096", "--seeds", seeds]
    experiment = build(parse(argv))
    history = make_history(experiment, lambda *_: 3.0)
    history |= {
        "reuse/effective_sample_size": history["reuse/weight"],
        "reuse/num_admitted": history["episode/success"],
    }
    titles = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: titles.append(figure))
    save_curves(experiment, history, tmp_path / "curves.png")
    save_reuse(experiment, history, tmp_path / "reuse.png")
    curves, reuse = (figure.get_suptitle() for figure in titles)
    if seeds == "1":
        assert curves == reuse == "maze, oappo, 1 seed"
    else:
        assert curves == "maze, oappo, 2 seeds (mean and 95% interval over seeds)"
        assert reuse == "maze, oappo, 2 seeds (mean over seeds)"
