"""What reuse adds to an update, with more and more agents."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

import envs
from experiments.analysis.speed.section import Effort, Section
from experiments.analysis.speed.share import OPEN_GATE
from experiments.analysis.speed.timing import (
    Program,
    checksum,
    first_rollout,
    in_turns,
    median,
    median_ratio,
)
from oatrpo_jax import Hyperparams, make_trainer
from oatrpo_jax.reuse.experience import Experience, make_slots
from oatrpo_jax.reuse.planning import make_plan
from oatrpo_jax.train import Trainer, TrainState


def measure(effort: Effort) -> Section:
    """Returns the time of an update alone, by number of agents, all of them admitted."""
    rows = []
    for num_agents in effort.series(2, 4, 8, 16):
        env = envs.make("maze", num_per_colour=num_agents // 2)

        happo = make_trainer(env, "happo", effort.config())
        oappo = make_trainer(env, "oappo", effort.config())
        sampled = make_trainer(env, "oappo", effort.config(estimator="sampled"))
        sides = {
            "happo": Program(*frozen_rollout(happo, update)),
            "oappo": Program(*frozen_rollout(oappo, update)),
            "sampled": Program(*frozen_rollout(sampled, update)),
            "plan": Program(*frozen_rollout(oappo, plan)),
        }
        rounds = in_turns(sides, effort.repeats)
        rows.append(
            {
                "agents = sources": num_agents,
                "HAPPO, seconds": median(rounds, "happo"),
                "OAPPO / HAPPO": median_ratio(rounds, "oappo", "happo"),
                "sampled / HAPPO": median_ratio(rounds, "sampled", "happo"),
                "pairwise KL / OAPPO": median_ratio(rounds, "plan", "oappo"),
            }
        )
    title = "Cost of reuse: time per update (no rollout) on the maze, everybody admitted"
    drawn = ("OAPPO / HAPPO", "sampled / HAPPO")
    return Section("reuse-cost", title, tuple(rows), "agents = sources", drawn, "lines")


def frozen_rollout(trainer: Trainer, part: Callable) -> tuple[Callable, Callable]:
    """Returns ``init(key)``, which collects one rollout, and ``advance``, which learns from it."""

    def advance(carry: tuple) -> tuple[tuple, jax.Array]:
        state, trajectory = carry
        key, part_key = jax.random.split(state.key)
        return (state._replace(key=key), trajectory), part(trainer, state, trajectory, part_key)

    return lambda key: first_rollout(trainer, key), advance


def update(trainer: Trainer, state: TrainState, trajectory, key: jax.Array) -> jax.Array:
    """Returns a number that depends on everything that an update makes."""
    hparams = Hyperparams.create(reuse_sigma=OPEN_GATE)
    learner, _ = trainer.learner.update(state.learner, trajectory, hparams, key)
    return checksum(*jax.tree.leaves((learner.policies.params, learner.critics.params)))


def plan(trainer: Trainer, state: TrainState, trajectory, key: jax.Array) -> jax.Array:
    """Returns a number that depends on the order and on the reuse matrix."""
    learner, params = trainer.learner, state.learner.policies.params
    seen = trajectory.observation
    logits = learner.logits(params, seen.agents_view, seen.action_mask)
    slots = make_slots(trajectory, logits, trajectory.reward[..., None])
    made, _ = make_plan(
        learner.actor,
        learner.algorithm.reuse,
        params,
        Experience(slots, jnp.asarray(learner.own)),
        Hyperparams.create(reuse_sigma=OPEN_GATE),
        key,
    )
    return checksum(made.weights, made.order)
