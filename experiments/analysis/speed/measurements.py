"""What bench.py measures in one process: sides that are timed in turns, a section each."""

from __future__ import annotations

from dataclasses import replace

import envs
from experiments.analysis.speed.sides import (
    MPE,
    learning,
    mpe_problem,
    pairwise_kl,
    random_actions,
    stock_smax,
    training,
    training_lanes,
    update,
)
from experiments.analysis.speed.timing import Effort, Section, compare_rates, time_in_turns
from oatrpo_jax import make_trainer


def share(effort: Effort) -> Section:
    """Returns training's environment steps per second over those of random legal actions."""
    config, rows = effort.config, []
    algorithms = ("happo", "mappo", "oappo-auto", "hatrpo", "oatrpo")
    cases = {name: (name, config) for name in algorithms}
    for estimator in ("weighted", "paired", "sampled"):
        cases[f"oappo, {estimator}"] = "oappo", replace(config, estimator=estimator)
    for name in ("maze", "smax:3m"):
        env = envs.make(name)
        sides = {"random actions": random_actions(env, config)}
        sides |= {what: training(env, *case) for what, case in cases.items()}
        rows += compare_rates(name, sides, effort.repeats)
    title = "Share of the raw rate: training, everybody admitted, over random legal actions"
    return Section(title, rows)


MOST_WEIGHTED = 16
"""Agents with which weighted reuse is timed at most: it costs as many times HAPPO's update."""


def reuse_cost(effort: Effort) -> Section:
    """Returns the time of an update alone, by number of agents, all of them admitted.

    Pairwise KL is what the gate asks for, as a program of its own.
    """
    rows = []
    for num_agents in effort.series(2, 4, 8, 16, 32):
        env = envs.make("maze", num_per_colour=num_agents // 2)
        trainers = {
            estimator: make_trainer(env, "oappo", replace(effort.config, estimator=estimator))
            for estimator in ("weighted", "paired", "sampled")
            if estimator != "weighted" or num_agents <= MOST_WEIGHTED
        }
        happo = learning(make_trainer(env, "happo", effort.config), update)
        sides = {name: learning(trainer, update) for name, trainer in trainers.items()}
        sides["pairwise KL"] = learning(trainers["paired"], pairwise_kl)
        time_in_turns([happo, *sides.values()], effort.repeats)
        ratios = {f"{name} / HAPPO": side.over(happo) for name, side in sides.items()}
        head = {"agents = sources": num_agents, "HAPPO, seconds": happo.median}
        rows.append(head | {"weighted / HAPPO": "-"} | ratios)
    title = "Cost of reuse: time per update (no rollout) on the maze, everybody admitted"
    return Section(title, rows)


def recurrence(effort: Effort) -> Section:
    """Returns the time of a rollout and update with a GRU over that without, 128 units wide."""
    rows, width = [], 128
    config, env = replace(effort.config, hidden_sizes=(width, width)), envs.make("smax:3m")
    for name in ("happo", "mappo", "oappo", "hatrpo", "oatrpo"):
        plain = training(env, name, config)
        recurrent = training(env, name, replace(config, memory_size=width))
        time_in_turns([plain, recurrent], effort.repeats)
        rows.append(
            {
                "what": name,
                "without, steps/s": plain.rate()["steps/s"],
                "with, steps/s": recurrent.rate()["steps/s"],
                "with / without, time": recurrent.over(plain),
                "with / without, temporaries": recurrent.temporaries / plain.temporaries,
            }
        )
    return Section("Recurrence: a GRU after the hidden layers, SMAX 3m, everybody admitted", rows)


def seeds(effort: Effort) -> Section:
    """Returns the rate of many lanes in one program, all of them counted, over one lane's."""
    trainer = make_trainer(envs.make("maze"), "oappo", effort.config)
    sides = {
        f"{num_points} x {num_seeds}": training_lanes(trainer, num_points, num_seeds)
        for num_points, num_seeds in ((1, 1), (1, 5), (1, 8), (1, 32), (16, 5))
        if num_points * num_seeds <= 80 * effort.largest
    }
    rows = compare_rates("maze", sides, effort.repeats)
    for row in rows:
        side = sides[row["what"]]
        row |= {"compile, s": side.compile_seconds, "temporaries, MB": side.temporaries}
    return Section("Grid points x seeds: OAPPO, all lanes in one program", rows)


def stock(effort: Effort) -> Section:
    """Returns the rate of our SMAX over that of jaxmarl's own, which resets in every step."""
    rows = []
    for name in ("3m", "6h_vs_8z", "3s5z_vs_3s6z"):
        sides = {
            "stock": stock_smax(name, effort.config),
            "ours": random_actions(envs.make(f"smax:{name}"), effort.config),
        }
        rows += compare_rates(f"smax:{name}", sides, effort.repeats)
    return Section("Stock: SMAX under random legal actions, ours over jaxmarl's own", rows)


def mpe(effort: Effort) -> Section:
    """Returns the rate of IPPO on MPE over that of random actions.

    The settings are JaxMARL's, so that the figure of its script can be put beside this one.
    """
    env = envs.make(MPE)
    config, coefficients = mpe_problem(effort)
    sides = {
        "random actions": random_actions(env, config),
        "ippo": training(env, "ippo", config, **coefficients),
    }
    # A run takes some hundredths of a second.
    rows = compare_rates(MPE, sides, 20 * effort.repeats)
    return Section("MPE: IPPO over random actions, settings of the preset", rows)


ORIGINAL_FOOTBALL = {
    "academy_pass_and_shoot_with_keeper": 260,
    "academy_3_vs_1_with_keeper": 260,
    "academy_counterattack_easy": 130,
    "academy_counterattack_hard": 130,
}
"""Steps per second of the original engine on one core, measured by itself elsewhere."""


def football(effort: Effort) -> Section:
    """Returns the rate of each scenario under random actions beside the original engine's."""
    config = replace(effort.config, reset_interval=1)
    sides = {
        name: random_actions(envs.make(f"football:{name}"), config) for name in ORIGINAL_FOOTBALL
    }
    time_in_turns(sides.values(), effort.repeats)
    rows = [
        {"environment": name} | side.rate() | {"original steps/s": ORIGINAL_FOOTBALL[name]}
        for name, side in sides.items()
    ]
    return Section("Football: academy (JAX) under random actions, the original on one core", rows)
