"""How much of the environment's own speed is left when somebody learns."""

from __future__ import annotations

import envs
from experiments.analysis.speed.section import Effort, Section
from experiments.analysis.speed.timing import (
    Program,
    in_turns,
    median,
    median_ratio,
    our_rollout,
    training,
)

OPEN_GATE = 1e6
"""A sigma that admits everybody: the most that reuse can cost."""

SIDES = {
    "happo": ("happo", "weighted"),
    "mappo": ("mappo", "weighted"),
    "oappo, weighted": ("oappo", "weighted"),
    "oappo, sampled": ("oappo", "sampled"),
    "oappo-auto": ("oappo-auto", "weighted"),
    "hatrpo": ("hatrpo", "weighted"),
    "oatrpo": ("oatrpo", "weighted"),
}


def measure(effort: Effort) -> Section:
    """Returns training's environment steps per second over those of random legal actions."""
    rows = []
    for name in ("maze", "smax:3m"):
        env = envs.make(name)
        shape = (effort.num_envs, effort.rollout_length)
        sides = {"random actions": Program(*our_rollout(env, *shape, 8))}
        for label, (algorithm, estimator) in SIDES.items():
            config = effort.config(estimator=estimator)
            sides[label] = Program(*training(env, algorithm, config, reuse_sigma=OPEN_GATE))
        rounds = in_turns(sides, effort.repeats)
        rows += [
            {
                "environment": name,
                "what": label,
                "steps/s": effort.num_envs * effort.rollout_length / median(rounds, label),
                "share of raw": median_ratio(rounds, "random actions", label),
                "of trainings": f"{name}, {label}",
            }
            for label in sides
        ]
    title = "Share of the raw rate: training, everybody admitted, over random legal actions"
    return Section("share", title, tuple(rows), "of trainings", ("share of raw",))
