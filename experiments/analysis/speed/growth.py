"""How time and memory grow with agents, environments and the length of a rollout."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import envs
from experiments.analysis.speed.section import Effort, Section
from experiments.analysis.speed.share import OPEN_GATE
from experiments.analysis.speed.timing import Program, in_turns, median, training
from oatrpo_jax import Config


def measure(effort: Effort) -> Section:
    """Returns seconds per update and memory of OAPPO and OATRPO, each with its exponent."""
    rows = [
        *_series(
            "agents",
            effort.series(2, 4, 8, 16, 32),
            lambda size: ({"num_per_colour": size // 2}, effort.config(num_envs=16)),
            effort,
        ),
        *_series(
            "environments",
            effort.series(16, 64, 256, 1024),
            lambda size: ({}, effort.config(num_envs=size, rollout_length=16)),
            effort,
        ),
        *_series(
            "rollout length",
            effort.series(16, 64, 256, 1024),
            lambda size: ({}, effort.config(num_envs=16, rollout_length=size)),
            effort,
        ),
    ]
    title = "Growth: one rollout and update on the maze; exponents are slopes of log over log"
    return Section("growth", title, tuple(rows), "size", ("OAPPO, s", "OATRPO, s"), "lines", "of")


def _series(
    name: str,
    sizes: Sequence[int],
    setting: Callable[[int], tuple[dict[str, Any], Config]],
    effort: Effort,
) -> list[dict[str, Any]]:
    rows = []
    for size in sizes:
        options, config = setting(size)
        env = envs.make("maze", **options)
        sides = {
            algorithm: Program(*training(env, algorithm, config, reuse_sigma=OPEN_GATE))
            for algorithm in ("oappo", "oatrpo")
        }
        rounds = in_turns(sides, effort.repeats)
        seconds = {algorithm: median(rounds, algorithm) for algorithm in sides}
        rows.append(
            {
                "of": name,
                "size": size,
                "OAPPO, s": seconds["oappo"],
                "OATRPO, s": seconds["oatrpo"],
                "OATRPO / OAPPO": seconds["oatrpo"] / seconds["oappo"],
                "temporaries, MB": sides["oappo"].temporary_bytes / 1e6,
            }
        )
    slopes = {
        f"exponent, {column}": exponent(sizes, [row[column] for row in rows])
        for column in ("OAPPO, s", "OATRPO, s", "temporaries, MB")
    }
    return [row | slopes for row in rows]


def exponent(sizes: Sequence[float], values: Sequence[float]) -> float:
    """Returns the slope of log(value) over log(size) by least squares.

    >>> round(exponent([1, 2, 4], [3, 12, 48]), 6)
    2.0
    """
    return float(np.polyfit(np.log(sizes), np.log(values), 1)[0])
