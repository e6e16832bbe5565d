"""How near an update comes to what the machine can compute."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

import envs
from experiments.analysis.speed.reuse_cost import frozen_rollout, update
from experiments.analysis.speed.section import Effort, Section
from experiments.analysis.speed.timing import Program, in_turns, median
from oatrpo_jax import make_trainer
from oatrpo_jax.config import Config

MATMUL = 1024
"""Rows and columns of the plain matrix product."""


def measure(effort: Effort) -> Section:
    """Returns operations per second of HAPPO's update beside matrix products'.

    An update's operations are those of its passes: gradients of networks of these widths, as XLA
    counts them for one pass, times the number of passes. Everything else that an update does
    counts as time, not as work.
    """
    config = effort.config()
    rows = config.num_envs * config.rollout_length
    trainer = make_trainer(envs.make("smax:3m"), "happo", config)
    spec = trainer.learner.spec
    actor = Program(*network_pass(spec.view_size, config, spec.num_actions, rows))
    critic = Program(*network_pass(spec.state_size, config, 1, rows))
    sides = {
        "update": Program(*frozen_rollout(trainer, update)),
        "actor pass": actor,
        "critic pass": critic,
        "matmul": Program(*matmul(MATMUL, MATMUL, MATMUL)),
        "layer": Program(*matmul(rows, *config.hidden_sizes)),
    }
    rounds = in_turns(sides, effort.repeats)
    passes = config.num_epochs * spec.num_agents * actor.flops + config.critic_epochs * critic.flops
    work = {
        f"matrix product {MATMUL} x {MATMUL} x {MATMUL}": ("matmul", 2.0 * MATMUL**3),
        f"one hidden layer, {rows} rows": ("layer", 2.0 * rows * math.prod(config.hidden_sizes)),
        "forward and backward through an actor": ("actor pass", actor.flops),
        "forward and backward through the critic": ("critic pass", critic.flops),
        "HAPPO's update on SMAX 3m, its passes counted": ("update", passes),
    }
    rates = {name: flops / median(rounds, side) / 1e9 for name, (side, flops) in work.items()}
    plain = next(iter(rates.values()))
    found = tuple(
        {
            "what": name,
            "GFLOP": work[name][1] / 1e9,
            "GFLOP/s": rate,
            "share of the plain product": rate / plain,
        }
        for name, rate in rates.items()
    )
    title = "Limit: floating-point operations per second"
    return Section("limit", title, found, "what", ("share of the plain product",))


def matmul(rows: int, inner: int, columns: int) -> tuple[Callable, Callable]:
    """Returns ``init(key)`` and ``advance``: one matrix product."""

    def init(key: jax.Array) -> tuple[jax.Array, jax.Array]:
        return jax.random.normal(key, (rows, inner)), jax.random.normal(key, (inner, columns))

    return init, lambda carry: (carry, carry[0] @ carry[1])


def network_pass(
    num_features: int, config: Config, num_outputs: int, rows: int
) -> tuple[Callable, Callable]:
    """Returns ``init(key)`` and ``advance``: a network's gradient on so many rows, nothing else."""
    widths = (num_features, *config.hidden_sizes, num_outputs)

    def init(key: jax.Array):
        keys = jax.random.split(key, len(widths))
        layers = [
            0.1 * jax.random.normal(key, shape)
            for key, shape in zip(keys, itertools.pairwise(widths), strict=False)
        ]
        return layers, jax.random.normal(keys[-1], (rows, num_features))

    def loss(layers, x):
        for layer in layers[:-1]:
            x = jnp.tanh(x @ layer)
        return jnp.sum(jnp.square(x @ layers[-1]))

    return init, lambda carry: (carry, jax.grad(loss)(*carry))
