"""What a figure is: its runs, how it is drawn, and what is checked on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from experiments.analysis.paper.claims import Claim


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
    """Returns how the curve of a method with a number of agents is called.

    >>> team_label("paired", 8)
    'paired, 8 agents'
    """
    return f"{method}, {num_agents} agents"
