"""What the pictures of a reproduction say about their numbers."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure as Canvas

from experiments.analysis.paper.claims import Measured
from experiments.analysis.paper.drawing import save_figure
from experiments.analysis.paper.figures import FIGURE_AGENTS
from experiments.analysis.paper.outcome import Outcome
from experiments.analysis.paper.plans import team_label

STEPS = {"happo": 4_000, "weighted": 2_000, "paired": 2_100, "sampled": 2_500}
"""To the threshold per agent."""

SECONDS = {"happo": 1e-3, "weighted": 8e-3, "paired": 1.5e-3, "sampled": 1e-3}
"""Per step."""


def outcome_of(num_missed: int, num_seeds: int = 5) -> Outcome:
    """Returns teams of which so many seeds of HAPPO with 8 agents never reached the threshold."""
    series: list[Any] = []
    for size in FIGURE_AGENTS.sizes:
        for method in FIGURE_AGENTS.methods:
            reached = np.ones(num_seeds, bool)
            if (size, method) == (8, "happo"):
                reached[:num_missed] = False
            steps = np.where(reached, STEPS[method] * size + np.arange(num_seeds), 150_000)
            seconds = steps * SECONDS[method]
            measured = Measured(np.ones(num_seeds), steps, reached, 150_000, seconds)
            series.append(SimpleNamespace(label=team_label(method, size), measured=measured))
    return Outcome(FIGURE_AGENTS, tuple(series), (), num_seeds)


@pytest.fixture
def draw(monkeypatch, tmp_path):
    """Returns what draws an outcome and gives the picture."""

    def draw(outcome: Outcome) -> Canvas:
        canvases = []
        monkeypatch.setattr(
            "matplotlib.figure.Figure.savefig", lambda canvas, *_, **__: canvases.append(canvas)
        )
        save_figure(outcome, tmp_path)
        return canvases[0]

    return draw


def legend_of(canvas: Canvas) -> list[str]:
    return [text.get_text() for text in canvas.legends[0].get_texts()]


def test_over_team_sizes_there_are_steps_and_seconds_of_every_method(draw):
    canvas = draw(outcome_of(0))
    steps, seconds = canvas.axes
    assert [axes.get_ylabel().split()[0] for axes in canvas.axes] == ["steps", "seconds"]
    assert all("(IQM)" in axes.get_ylabel() for axes in canvas.axes)
    assert canvas.get_supxlabel() == "Interquartile mean and 95% interval over 5 seeds."
    # The middle one of five seeds, 2 steps above the first.
    heights = [[2 + STEPS[method] * size for size in (4, 8, 16)] for method in STEPS]
    drawn = [line.get_ydata() for line in steps.lines]
    np.testing.assert_allclose(drawn, heights, atol=0.01)
    took = np.array(heights) * np.array([*SECONDS.values()])[:, None]
    np.testing.assert_allclose([line.get_ydata() for line in seconds.lines], took, rtol=1e-5)
    names = ["HAPPO", "OAPPO, weighted", "OAPPO, paired", "OAPPO, sampled"]
    assert legend_of(canvas) == names
    colours = [line.get_color() for line in steps.lines]
    assert colours == [handle.get_color() for handle in canvas.legends[0].get_lines()]
    assert len({*colours}) == 4


def test_a_triangle_is_explained_where_there_is_one(draw):
    assert "a seed did not reach it" not in legend_of(draw(outcome_of(0)))
    canvas = draw(outcome_of(1))
    assert legend_of(canvas)[-1] == "a seed did not reach it"
    assert [[line.get_marker() for line in axes.lines].count("^") for axes in canvas.axes] == [1, 1]


def test_a_method_that_lacks_a_size_is_drawn_at_the_others(draw):
    whole = outcome_of(0)
    outcome = Outcome(FIGURE_AGENTS, whole.series[:-1], ("sampled, 16 agents",), 5)
    assert [len(line.get_xdata()) for line in draw(outcome).axes[0].lines] == [3, 3, 3, 2]
    outcome = Outcome(FIGURE_AGENTS, whole.series[:3], (), 5)
    assert [len(line.get_xdata()) for line in draw(outcome).axes[0].lines] == [1, 1, 1, 0]
