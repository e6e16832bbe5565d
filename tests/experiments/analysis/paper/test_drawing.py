"""What the pictures of a reproduction say about their numbers."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from experiments.analysis.paper.claims import Measured
from experiments.analysis.paper.drawing import save_figure
from experiments.analysis.paper.evidence import Outcome
from experiments.analysis.paper.figures import FIGURE_3B, FIGURE_AGENTS


def outcome_of(num_missed: int) -> Outcome:
    """Returns teams of which so many seeds of HAPPO with 8 agents never reached the threshold."""
    series: list[Any] = []
    for size, labels in FIGURE_AGENTS.pairs:
        for label, steps in zip(labels, (10_000, 20_000), strict=True):
            reached = np.ones(5, bool)
            if (size, label) == (8, "happo, 8 agents"):
                reached[:num_missed] = False
            each = np.where(reached, steps * size + np.arange(5.0), 400_000)
            measured = Measured(np.ones(5), each, reached, 400_000)
            series.append(SimpleNamespace(label=label, measured=measured))
    return Outcome(FIGURE_AGENTS, tuple(series), (), 5)


@pytest.fixture
def drawn(monkeypatch, tmp_path):
    """Returns (legend, axis labels, caption) of the picture of an outcome."""

    def draw(outcome: Outcome) -> tuple[list[str], list[str], str]:
        canvases = []
        monkeypatch.setattr(
            "matplotlib.figure.Figure.savefig", lambda canvas, *_, **__: canvases.append(canvas)
        )
        save_figure(outcome, tmp_path)
        panels = canvases[0].axes
        legend = [text.get_text() for text in panels[0].get_legend().get_texts()]
        return legend, [axes.get_ylabel() for axes in panels], canvases[0].get_supxlabel()

    return draw


def test_each_panel_over_team_sizes_names_its_statistic(drawn):
    _, (steps, gain), caption = drawn(outcome_of(0))
    assert "(IQM)" in steps
    assert "ratio of means" in gain
    assert caption == (
        "Interquartile mean (of the gain: ratio of means) and 95% interval over 5 seeds."
    )
    assert "ratio" not in Outcome(FIGURE_3B, (), (), 5).caption


def test_a_triangle_is_explained_where_there_is_one(drawn):
    assert drawn(outcome_of(0))[0] == ["oappo", "happo"]
    assert drawn(outcome_of(1))[0] == ["oappo", "happo", "a seed did not reach it"]
