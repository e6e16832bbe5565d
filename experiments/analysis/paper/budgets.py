"""How many steps a figure's runs take, and the least with which all their episodes end."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import NamedTuple

from experiments.analysis.paper.plans import Figure, Plan
from experiments.training.errors import UsageError
from experiments.training.settings.command_line import parse


class Size(NamedTuple):
    """What a run takes, in environment steps.

    Attributes:
        usual_steps: per seed, if nothing else is said.
        num_envs: environments of a seed.
        rollout_length: per environment and update.
    """

    usual_steps: int
    num_envs: int
    rollout_length: int

    @property
    def update_steps(self) -> int:
        """Steps of one update, per seed."""
        return self.num_envs * self.rollout_length


@functools.cache
def size_of(program: tuple[str, ...]) -> Size:
    """Returns what a run with these options of experiments/run.py takes."""
    options = parse(program)
    config = options.config
    return Size(options.run.total_steps, config["num_envs"], config["rollout_length"])


def program_of(figure: Figure, plan: Plan) -> tuple[str, ...]:
    """Returns the options of experiments/run.py that say what a plan trains, but not how long."""
    return ("--env", figure.env, "--algorithm", plan.algorithm, *plan.options)


def total_steps(figure: Figure, plan: Plan, budget: float) -> int:
    """Returns the environment steps per seed of a plan with a budget: one update at least."""
    size = size_of(program_of(figure, plan))
    return max(size.update_steps, round((plan.total_steps or size.usual_steps) * budget))


def least_budget(figure: Figure) -> float:
    """Returns the smallest budget, in two digits, with which an episode ends in each environment.

    Each has then stepped for as long as its longest episode takes.
    """
    least = 0.0
    for plan in figure.plans:
        size = size_of(program_of(figure, plan))
        num_updates = math.ceil(figure.longest_episode / size.rollout_length)
        usual_steps = plan.total_steps or size.usual_steps
        least = max(least, num_updates * size.update_steps / usual_steps)
    return _rounded_up(least)


def _rounded_up(number: float) -> float:
    """Returns a number of two digits, the next above.

    >>> _rounded_up(0.02731), _rounded_up(0.5), _rounded_up(1.31)
    (0.028, 0.5, 1.4)
    """
    place = 1 - math.floor(math.log10(number))
    # As much as rounding of the quotient may add is none.
    return round(math.ceil(number * 10**place - 1e-9) / 10**place, place)


def check_budget(figures: Sequence[Figure], budget: float) -> None:
    """Raises a UsageError if a budget is too small for an episode to end, before anything runs."""
    least = {figure.name: least_budget(figure) for figure in figures}
    if short := {name: each for name, each in least.items() if budget < each}:
        needs = ", ".join(f"{each:g} for {name}" for name, each in short.items())
        raise UsageError(
            f"budget: expected at least {needs}, got {budget:g}; with less an episode may never "
            f"end, and there is nothing to draw. Give --budget {max(short.values()):g} or more."
        )
