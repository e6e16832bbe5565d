"""What a figure is: its runs, how long they take, how it is drawn, and what is checked on it."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from experiments.analysis.paper.claims import Claim
from experiments.training.errors import UsageError
from experiments.training.settings.command_line import parse

EPISODES = 20
"""Episodes per seed of an evaluation; 200 new ones follow, from which the ends are taken."""


@dataclass(frozen=True)
class Plan:
    """One run of experiments/run.py: all seeds, and all points of a grid, in one program.

    Attributes:
        label: how its curve is called; the points of a grid are called by what is swept.
        algorithm: as on the command line.
        options: further options on the command line.
        total_steps: environment steps per seed at the whole budget; None takes the environment's.
    """

    label: str
    algorithm: str
    options: tuple[str, ...] = ()
    total_steps: int | None = None


@dataclass(frozen=True)
class Figure:
    """A figure of the paper, or one that the paper lacks.

    Attributes:
        name: also its folder.
        title: what it shows.
        env: the environment of all its runs.
        plans: its runs.
        claims: what is checked on it.
        kind: learning curves, bars of how they end, or steps and seconds to the threshold over
            the number of agents.
        metric: the episode metric in which 1 is the optimum.
        swept: the symbol of the coefficient of reuse that its grid varies.
        sizes: with the kind ``sizes``: the numbers of agents.
        methods: what is compared at each of them; `team_label` names the curves.
        longest_episode: steps after which every episode of the environment has ended.
        evaluated: whether ends are those of the likeliest actions in new episodes at the end,
            instead of the last tenth of training.
    """

    name: str
    title: str
    env: str
    plans: tuple[Plan, ...]
    claims: tuple[Claim, ...]
    kind: Literal["curves", "bars", "sizes"] = "curves"
    metric: str = "path_optimality"
    swept: str | None = None
    sizes: tuple[int, ...] = ()
    methods: tuple[str, ...] = ()
    longest_episode: int = 100
    evaluated: bool = False


def team_label(method: str, num_agents: int) -> str:
    """Returns how the curve of a method with a number of agents is called."""
    return f"{method}, {num_agents} agents"


class Size(NamedTuple):
    """What a run takes per seed, in environment steps; the rollout per environment."""

    whole_budget: int
    update: int
    rollout: int


@functools.cache
def size_of(figure: Figure, plan: Plan) -> Size:
    """Returns what a run of a plan takes."""
    options = parse(_program(figure, plan))
    rollout = options.config["rollout_length"]
    whole_budget = plan.total_steps or options.run.total_steps
    return Size(whole_budget, options.config["num_envs"] * rollout, rollout)


def _program(figure: Figure, plan: Plan) -> tuple[str, ...]:
    """Returns the options of experiments/run.py that say what a plan trains, but not how long."""
    return ("--env", figure.env, "--algorithm", plan.algorithm, *plan.options)


def total_steps(figure: Figure, plan: Plan, budget: float) -> int:
    """Returns the environment steps per seed of a plan with a budget: one update at least."""
    size = size_of(figure, plan)
    return max(size.update, round(size.whole_budget * budget))


def arguments(figure: Figure, plan: Plan, seeds: int, budget: float) -> tuple[str, ...]:
    """Returns the options of experiments/run.py that train a plan."""
    steps = total_steps(figure, plan, budget)
    options = (*_program(figure, plan), "--seeds", str(seeds), "--total-steps", str(steps))
    if not figure.evaluated:
        return options
    # Evaluated once, at the end; what is found there plays ten times as many new episodes.
    num_updates = steps // size_of(figure, plan).update
    return (*options, "--eval-every", str(num_updates), "--eval-episodes", str(EPISODES))


def least_budget(figure: Figure) -> float:
    """Returns the smallest budget, in two digits, with which an episode ends in each environment.

    Each has then stepped for as long as its longest episode takes.
    """
    sizes = [size_of(figure, plan) for plan in figure.plans]
    return _rounded_up(
        max(
            math.ceil(figure.longest_episode / size.rollout) * size.update / size.whole_budget
            for size in sizes
        )
    )


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
