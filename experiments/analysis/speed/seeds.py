"""Many seeds and grid points in one program: what they cost beside one."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

import envs
from experiments.analysis.speed.section import Effort, Section
from experiments.analysis.speed.timing import Program, in_turns, median
from experiments.training.program import over_lanes
from oatrpo_jax import Hyperparams, make_trainer


def measure(effort: Effort) -> Section:
    """Returns the rate of a program with many lanes over that of one lane, per lane and in all."""
    trainer = make_trainer(envs.make("maze"), "oappo", effort.config())
    shapes = {"1 seed": (1, 1), "8 seeds": (1, 8), "32 seeds": (1, 32)}
    if effort.largest == 1:
        shapes |= {"1 point x 5 seeds": (1, 5), "16 points x 5 seeds": (16, 5)}
    sides = {name: Program(*lanes(trainer, *shape)) for name, shape in shapes.items()}
    rounds = in_turns(sides, effort.repeats)
    steps = effort.num_envs * effort.rollout_length
    rates = {
        name: points * seeds * steps / median(rounds, name)
        for name, (points, seeds) in shapes.items()
    }
    rows = tuple(
        {
            "lanes": name,
            "steps/s of all": rates[name],
            "rate over one seed's": rates[name] / rates["1 seed"],
            "compile, s": sides[name].compile_seconds,
            "temporaries, MB": sides[name].temporary_bytes / 1e6,
        }
        for name in shapes
    )
    title = "Seeds and grids: OAPPO on the maze, all lanes in one program"
    return Section("seeds", title, rows, "lanes", ("rate over one seed's",))


def lanes(trainer, num_points: int, num_seeds: int) -> tuple[Callable, Callable]:
    """Returns ``init(key)`` and ``advance(state)`` of a grid, as experiments/run.py runs it."""
    sigma = jnp.linspace(0.05, 0.2, num_points)
    hparams = Hyperparams.create(reuse_sigma=sigma)
    step = over_lanes(trainer.step, jax.default_backend())

    def init(key: jax.Array):
        return jax.vmap(jax.vmap(trainer.init))(jax.random.split(key, (num_points, num_seeds)))

    return init, lambda state: step(state, hparams)
