"""The figures as data: which runs each takes, how it is drawn, and which claims it bears on."""

from __future__ import annotations

from typing import Literal

from experiments.analysis.paper.claims import (
    Claim,
    ends_higher,
    falls_short,
    faster,
    gain_grows,
    reaches,
)
from experiments.analysis.paper.figure import MAZE_STEPS, Figure, Plan, compared
from experiments.training.settings.defaults import get_preset

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
MapName = Literal["3m", "2s3z", "6h_vs_8z", "3s5z_vs_3s6z", "MMM2"]

ScenarioName = Literal[
    "academy_pass_and_shoot_with_keeper",
    "academy_3_vs_1_with_keeper",
    "academy_counterattack_easy",
    "academy_counterattack_hard",
]

# Three colours take longer: without reuse up to 145,000 steps.
MATRIX_STEPS = 240_000


def _swept(name: str, values: tuple[float, ...]) -> tuple[Plan, ...]:
    option = "--" + name.replace("_", "-")
    options = (option, *(f"{value:g}" for value in values))
    return (Plan(f"oappo, {name}", "oappo", options),)


FIGURE_3B = Figure(
    name="figure-3b",
    title="Black and Red: algorithms",
    env="maze:black-red",
    plans=compared(
        *("oappo", "oatrpo", "happo", "mappo"),
        *("hatrpo", "ippo", "seps", "seac", "oappo-auto", "oatrpo-auto"),
    ),
    kind="curves",
    metric="path_optimality",
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

FIGURE_3C = Figure(
    name="figure-3c",
    title="Black and Red: the threshold sigma of OAPPO (lambda = 0.7)",
    env="maze:black-red",
    plans=_swept("reuse_sigma", (0.01, 0.1, 1, 10)),
    kind="curves",
    metric="path_optimality",
    claims=(
        Claim(
            5,
            "Sigma = 0.1 is best; 0.01 is slow; 1 and 10 are harmful.",
            (
                faster("sigma = 0.1", "sigma = 0.01"),
                faster("sigma = 0.1", "sigma = 1"),
                faster("sigma = 0.1", "sigma = 10"),
                ends_higher("sigma = 0.1", "sigma = 1"),
                ends_higher("sigma = 0.1", "sigma = 10"),
            ),
        ),
    ),
    swept=("reuse_sigma", "sigma"),
)

FIGURE_3D = Figure(
    name="figure-3d",
    title="Black and Red: the weight lambda of own experience in OAPPO (sigma = 0.1)",
    env="maze:black-red",
    plans=_swept("reuse_lambda", (0.2, 0.4, 0.7, 1)),
    kind="curves",
    metric="path_optimality",
    claims=(
        Claim(
            6,
            "Lambda = 0.7 and 0.4 beat 0.2 and 1.",
            tuple(
                faster(f"lambda = {good}", f"lambda = {bad}")
                for good in ("0.7", "0.4")
                for bad in ("0.2", "1")
            ),
        ),
    ),
    swept=("reuse_lambda", "lambda"),
)

FIGURE_5B = Figure(
    name="figure-5b",
    title="Black, Blue and Red: reuse matrices set by hand",
    env="maze:black-blue-red",
    plans=tuple(
        Plan(name.upper(), "fixed", ("--reuse-matrix", name), MATRIX_STEPS)
        for name in ("nr", "ur", "rr", "ar")
    ),
    kind="bars",
    metric="path_optimality",
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
_STEPS = {2: MAZE_STEPS, 4: MAZE_STEPS, 8: MAZE_STEPS, 16: 200_000}
_PAIRS = {number: (f"oappo, {number} agents", f"happo, {number} agents") for number in _STEPS}


def _teams() -> tuple[Plan, ...]:
    """Returns OAPPO and HAPPO with teams of all sizes; four agents are what the maze has anyway."""
    return tuple(
        Plan(
            label,
            label.split(",")[0],
            () if number == 4 else ("--env-option", f"num_per_colour={number // 2}"),
            _STEPS[number],
        )
        for number, pair in _PAIRS.items()
        for label in pair
    )


FIGURE_AGENTS = Figure(
    name="figure-agents",
    title="Black and Red with more agents",
    env="maze:black-red",
    plans=_teams(),
    kind="sizes",
    metric="path_optimality",
    claims=(Claim(8, "The gain of reuse grows with the number of agents.", (gain_grows(_PAIRS),)),),
    pairs=tuple(_PAIRS.items()),
)


def figure_4(map_name: MapName) -> Figure:
    """Returns the comparison on a SMAX map, with the map's own number of steps."""
    env = f"smax:{map_name}"
    total_steps = get_preset(env, "oappo").total_steps or 0
    rivals = ("happo", "mappo", "seps", "seac")
    others = ("oatrpo", "hatrpo", "ippo", "oappo-auto")
    plans = compared("oappo", *rivals, *others, total_steps=total_steps)
    present = {plan.label for plan in plans}
    return Figure(
        name=f"figure-4-{map_name}",
        title=f"SMAX {map_name}: win rate",
        env=env,
        plans=plans,
        kind="curves",
        metric="success",
        claims=(
            Claim(
                9,
                f"OAPPO wins more battles than the others on {map_name}.",
                tuple(ends_higher("oappo", rival) for rival in rivals if rival in present),
            ),
        ),
    )


def table_6b(scenario: ScenarioName) -> Figure:
    """Returns the comparison on a scenario of academy (JAX), by greedy score rates."""
    env = f"football:{scenario}"
    total_steps = get_preset(env, "oappo").total_steps or 0
    ours, rivals = ("oappo", "oatrpo"), ("mappo", "happo", "seac", "seps")
    return Figure(
        name=f"table-6b-{scenario.removeprefix('academy_')}",
        title=f"academy (JAX), {scenario}: score rate",
        env=env,
        plans=compared(*ours, *rivals, total_steps=total_steps),
        kind="curves",
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


def get_figures(name: FigureName, map_name: MapName, scenario: ScenarioName) -> tuple[Figure, ...]:
    """Returns the figures that a command asks for."""
    if name == "figure-4":
        return (figure_4(map_name),)
    if name == "table-6b":
        return (table_6b(scenario),)
    if name == "all-maze":
        return MAZE_FIGURES
    return tuple(figure for figure in MAZE_FIGURES if figure.name == name)
