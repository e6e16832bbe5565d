"""The figures as data: which runs each takes, how it is drawn, and which claims it bears on."""

from __future__ import annotations

from typing import Literal, get_args

from experiments.analysis.paper.claims import (
    Claim,
    cheaper,
    ends_higher,
    falls_short,
    faster,
    gain_grows,
    reaches,
    takes_at_most,
)
from experiments.analysis.paper.plans import Figure, Plan, team_label

MapName = Literal["3m", "2s3z", "6h_vs_8z", "3s5z_vs_3s6z", "MMM2"]

FigureName = Literal[
    "figure-3b",
    "figure-3c",
    "figure-3d",
    "figure-4",
    "figure-5b",
    "figure-agents",
    "table-6b",
    "all-maze",
]

ScenarioName = Literal[
    "academy_pass_and_shoot_with_keeper",
    "academy_3_vs_1_with_keeper",
    "academy_counterattack_easy",
    "academy_counterattack_hard",
]

# Three colours take longer: without reuse up to 145,000 steps.
MATRIX_STEPS = 240_000


def _compared(*algorithms: str) -> tuple[Plan, ...]:
    return tuple(Plan(name, name) for name in algorithms)


FIGURE_3B = Figure(
    name="figure-3b",
    title="Black and Red: algorithms",
    env="maze:black-red",
    plans=_compared(
        *("oappo", "oatrpo", "happo", "mappo"),
        *("hatrpo", "ippo", "seps", "seac", "oappo-auto", "oatrpo-auto"),
    ),
    claims=(
        Claim(1, "MAPPO ends suboptimal on Black and Red.", (falls_short("mappo"),)),
        Claim(
            2,
            "HAPPO reaches the optimum, but slower.",
            (reaches("happo"), faster("oappo", "happo")),
        ),
        Claim(
            3,
            "OAPPO and OATRPO beat both HAPPO and MAPPO.",
            tuple(faster(a, b) for a in ("oappo", "oatrpo") for b in ("happo", "mappo")),
        ),
        Claim(4, "OATRPO is faster than OAPPO.", (faster("oatrpo", "oappo"),)),
    ),
)


def _sweep(name: str, title: str, symbol: str, values: tuple[str, ...], claim: Claim) -> Figure:
    """Returns the figure of OAPPO on Black and Red with several values of a coefficient."""
    plan = Plan(f"oappo, {symbol}", "oappo", (f"--reuse-{symbol}", *values))
    title = f"Black and Red: {title}"
    return Figure(name, title, "maze:black-red", (plan,), (claim,), swept=symbol)


FIGURE_3C = _sweep(
    "figure-3c",
    "the threshold sigma of OAPPO (lambda = 0.7)",
    "sigma",
    ("0.01", "0.1", "1", "10"),
    Claim(
        5,
        "Sigma = 0.1 is best; 0.01 is slow; 1 and 10 are harmful.",
        (
            *(faster("sigma = 0.1", f"sigma = {bad}") for bad in ("0.01", "1", "10")),
            *(ends_higher("sigma = 0.1", f"sigma = {bad}") for bad in ("1", "10")),
        ),
    ),
)

FIGURE_3D = _sweep(
    "figure-3d",
    "the weight lambda of own experience in OAPPO (sigma = 0.1)",
    "lambda",
    ("0.2", "0.4", "0.7", "1"),
    Claim(
        6,
        "Lambda = 0.7 and 0.4 beat 0.2 and 1.",
        tuple(
            faster(f"lambda = {good}", f"lambda = {bad}")
            for good in ("0.7", "0.4")
            for bad in ("0.2", "1")
        ),
    ),
)

FIGURE_5B = Figure(
    name="figure-5b",
    title="Black, Blue and Red: reuse matrices set by hand",
    env="maze:black-blue-red",
    kind="bars",
    plans=tuple(
        Plan(name.upper(), "fixed", ("--reuse-matrix", name), MATRIX_STEPS)
        for name in ("nr", "ur", "rr", "ar")
    ),
    claims=(
        Claim(
            7,
            "Unreasonable (UR) and all reuse (AR) get stuck; reasonable (RR) and no reuse (NR) "
            "reach the optimum.",
            (falls_short("UR"), falls_short("AR"), reaches("RR"), reaches("NR")),
        ),
    ),
)

# HAPPO needs the longer the more agents there are: 55,000 steps with 4, over 100,000 with 16.
_STEPS = {4: None, 8: None, 16: 200_000}
_ESTIMATORS = ("weighted", "paired", "sampled")
_METHODS = ("happo", *_ESTIMATORS)
_GAINS = {size: (team_label("weighted", size), team_label("happo", size)) for size in _STEPS}


def _team(number: int, method: str) -> Plan:
    """Returns the run of a team: HAPPO's, or OAPPO's with an estimator.

    Four agents are what the maze has anyway.
    """
    size = () if number == 4 else ("--env-option", f"num_per_colour={number // 2}")
    is_reuse = method in _ESTIMATORS
    algorithm = "oappo" if is_reuse else method
    options = (*size, "--estimator", method) if is_reuse else size
    return Plan(team_label(method, number), algorithm, options, _STEPS[number])


FIGURE_AGENTS = Figure(
    name="figure-agents",
    title="Black and Red with more agents",
    env="maze:black-red",
    plans=tuple(_team(number, method) for number in _STEPS for method in _METHODS),
    claims=(
        Claim(8, "The gain of reuse grows with the number of agents.", (gain_grows(_GAINS),)),
        Claim(
            11,
            "With 16 agents paired reuse takes at most 1.05 of weighted's steps, and fewer seconds "
            "than HAPPO.",
            (
                takes_at_most(1.05, "paired, 16 agents", "weighted, 16 agents"),
                cheaper("paired, 16 agents", "happo, 16 agents"),
            ),
        ),
    ),
    kind="sizes",
    sizes=tuple(_STEPS),
    methods=_METHODS,
)


def figure_4(map_name: MapName) -> Figure:
    """Returns the comparison on a SMAX map, with the map's own number of steps."""
    rivals = ("happo", "mappo", "seps", "seac")
    return Figure(
        name=f"figure-4-{map_name}",
        title=f"SMAX {map_name}: win rate",
        env=f"smax:{map_name}",
        plans=_compared("oappo", *rivals, "oatrpo", "hatrpo", "ippo", "oappo-auto"),
        metric="success",
        claims=(
            Claim(
                9,
                f"OAPPO wins more battles than the others on {map_name}.",
                tuple(ends_higher("oappo", rival) for rival in rivals),
            ),
        ),
    )


def table_6b(scenario: ScenarioName) -> Figure:
    """Returns the comparison on a scenario of academy (JAX), by greedy score rates."""
    ours, rivals = ("oappo", "oatrpo"), ("mappo", "happo", "seac", "seps")
    return Figure(
        name=f"table-6b-{scenario.removeprefix('academy_')}",
        title=f"academy (JAX), {scenario}: score rate",
        env=f"football:{scenario}",
        longest_episode=401,
        plans=_compared(*ours, *rivals),
        metric="success",
        claims=(
            Claim(
                10,
                f"OAPPO and OATRPO score more often than the others in {scenario}.",
                tuple(ends_higher(mine, rival) for mine in ours for rival in rivals),
            ),
        ),
        evaluated=True,
    )


MAZE_FIGURES = (FIGURE_3B, FIGURE_3C, FIGURE_3D, FIGURE_5B, FIGURE_AGENTS)

FIGURES = {
    figure.name: figure
    for figure in (
        *MAZE_FIGURES,
        *map(figure_4, get_args(MapName)),
        *map(table_6b, get_args(ScenarioName)),
    )
}
"""All figures, by the name of their folder."""


def get_figures(name: FigureName, map_name: MapName, scenario: ScenarioName) -> tuple[Figure, ...]:
    """Returns the figures that a command asks for."""
    if name == "figure-4":
        return (figure_4(map_name),)
    if name == "table-6b":
        return (table_6b(scenario),)
    return MAZE_FIGURES if name == "all-maze" else (FIGURES[name],)
