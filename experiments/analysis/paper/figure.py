"""What a figure is: runs to train, a way to draw them, claims to check."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from experiments.analysis.paper.claims import Claim
from experiments.training.settings.defaults import AlgorithmName

MAZE_STEPS = 150_000


@dataclass(frozen=True)
class Plan:
    """One run of experiments/run.py: all seeds, and all points of a grid, in one program.

    Attributes:
        label: how its curve is called; the points of a grid are called by what is swept.
        algorithm: as on the command line.
        options: further options on the command line.
        total_steps: environment steps per seed at the whole budget.
    """

    label: str
    algorithm: str
    options: tuple[str, ...] = ()
    total_steps: int = MAZE_STEPS


@dataclass(frozen=True)
class Figure:
    """A figure of the paper, or one that the paper lacks.

    Attributes:
        name: also its folder.
        title: what it shows.
        env: the environment of all its runs.
        plans: its runs.
        kind: learning curves, bars of how they end, or steps to the threshold over a size.
        metric: the episode metric in which 1 is the optimum.
        claims: what is checked on it.
        swept: the coefficient that a grid varies, and its symbol.
        pairs: with ``sizes``: by number of agents, the labels of the fast and the slow curve.
        evaluated: whether ends are those of the likeliest actions in new episodes at the end,
            instead of the last tenth of training.
    """

    name: str
    title: str
    env: str
    plans: tuple[Plan, ...]
    kind: Literal["curves", "bars", "sizes"]
    metric: str
    claims: tuple[Claim, ...]
    swept: tuple[str, str] | None = None
    pairs: tuple[tuple[int, tuple[str, str]], ...] = ()
    evaluated: bool = False


def compared(*algorithms: str, total_steps: int = MAZE_STEPS) -> tuple[Plan, ...]:
    """Returns a run per algorithm that this version has."""
    known = get_args(AlgorithmName)
    return tuple(Plan(name, name, total_steps=total_steps) for name in algorithms if name in known)
