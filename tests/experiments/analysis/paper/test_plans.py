"""Budgets with which episodes end."""

from typing import Any

import pytest

import envs
from experiments.analysis.paper import figures, plans
from experiments.training.errors import UsageError


def test_the_least_budget_is_that_of_the_longest_episode():
    # An episode of the maze ends after 100 steps: four rollouts of 32 in 32 environments, 4,096 of
    # 150,000 steps.
    assert plans.least_budget(figures.FIGURE_3B) == 0.028
    # 4,096 of 240,000 are enough for the three colours.
    assert plans.least_budget(figures.FIGURE_5B) == 0.018


@pytest.mark.parametrize(
    "figure",
    [
        *figures.MAZE_FIGURES,
        figures.table_6b("academy_3_vs_1_with_keeper"),
        # JaxMARL, which SMAX is of, takes seconds to import.
        pytest.param(figures.figure_4("3m"), marks=pytest.mark.thorough),
    ],
    ids=lambda figure: figure.name,
)
def test_at_the_least_budget_every_environment_sees_an_episode_end(figure):
    least = plans.least_budget(figure)
    assert 0 < least < 0.1
    plans.check_budget([figure], least)
    for plan in figure.plans:
        size = plans.size_of(figure, plan)
        num_updates = plans.total_steps(figure, plan, least) // size.update
        assert num_updates * size.rollout >= figure.longest_episode
    env: Any = envs.make(figure.env)
    limit = env.time_limit if hasattr(env, "time_limit") else env.max_steps
    assert figure.longest_episode == limit


def test_a_budget_that_is_too_small_is_refused_with_the_smallest_that_is_not():
    with pytest.raises(
        UsageError, match=r"budget: expected at least 0.028 for figure-3b, got 0.02"
    ):
        plans.check_budget([figures.FIGURE_3B, figures.FIGURE_5B], 0.02)
    with pytest.raises(
        UsageError, match=r"0.018 for figure-5b, got 0.01; .* --budget 0.028 or more"
    ):
        plans.check_budget([figures.FIGURE_3B, figures.FIGURE_5B], 0.01)
