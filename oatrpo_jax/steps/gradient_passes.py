"""Passes of Adam over a learner's sources, for any objective of one slot's rows."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Protocol

import jax
import jax.numpy as jnp
import optax

from oatrpo_jax.config import Config
from oatrpo_jax.hyperparams import Hyperparams
from oatrpo_jax.optimiser import Learning, adam_step
from oatrpo_jax.policies.policy import Policy
from oatrpo_jax.reuse.rows import minibatch_places, take_minibatch
from oatrpo_jax.reuse.sources import Batch, PolicyBatch, Sources, fold_sources
from oatrpo_jax.steps.signature import Scored, Task, score, weighted_sum
from oatrpo_jax.types import PyTree


class Objective(Protocol):
    """What a policy is to make large, row by row."""

    def __call__(
        self, scored: Scored, batch: PolicyBatch, config: Config, hparams: Hyperparams
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Returns ``[T, E]`` values, and what else to log as means over own rows, ``[T, E]``."""
        ...


def slot_loss(
    objective: Objective,
    policy: Policy,
    params: PyTree,
    batch: PolicyBatch,
    config: Config,
    hparams: Hyperparams,
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Returns what a policy's parameters cost on one slot's rows, and sums for the metrics.

    ``- sum policy_weight x objective - ent_coef x sum own_weight x entropy``.  The sums are
    ``loss``, without the entropy, and others weighted by ``own_weight``.
    """
    scored = score(policy, params, batch)
    objectives, measures = objective(scored, batch, config, hparams)
    loss = -weighted_sum(batch.policy_weight, objectives)
    measures = {"approx_kl": scored.ratio - 1.0 - scored.log_ratio, **measures}
    sums = {name: weighted_sum(batch.own_weight, each) for name, each in measures.items()}
    entropy = scored.sums["entropy"]
    return loss - hparams.ent_coef * entropy, {"loss": loss, **scored.sums, **sums}


def gradient_passes(
    objective: Objective,
    policy: Policy,
    learning: Learning,
    task: Task,
    config: Config,
    hparams: Hyperparams,
    key: jax.Array,
) -> tuple[Learning, dict[str, jax.Array]]:
    """Returns the policy after ``num_epochs`` passes of Adam over its sources, and metrics.

    With an objective it is a `StepFunction`.
    """
    loss = functools.partial(slot_loss, objective, policy, config=config, hparams=hparams)
    gradient = jax.grad(loss, has_aux=True)
    descend = functools.partial(
        adam_step, learning_rate=hparams.actor_lr, max_grad_norm=hparams.max_grad_norm
    )

    def epoch(learning: Learning, key: jax.Array):
        draw_key, shuffle_key = jax.random.split(key)
        sources = task.draw(draw_key)
        return one_pass(gradient, learning, sources, descend, config.num_minibatches, shuffle_key)

    learning, sums = jax.lax.scan(epoch, learning, jax.random.split(key, config.num_epochs))
    return learning, _metrics(sums)


def one_pass(
    gradient: Callable[[PyTree, Batch], tuple[PyTree, dict[str, jax.Array]]],
    learning: Learning,
    sources: Sources[Batch],
    descend: Callable[[Learning, PyTree], Learning],
    num_minibatches: int,
    key: jax.Array,
) -> tuple[Learning, dict[str, jax.Array]]:
    """Returns a network after one step for each minibatch of all its sources.

    Args:
        gradient: (parameters, one slot's rows) -> gradient of the loss, and sums for the metrics.
        learning: the network.
        sources: weighed by their share of the whole rollout.
        descend: takes one step down a gradient.
        num_minibatches: of environments.
        key: says which environment is in which; consumed.

    Returns:
        The network, and the sums with ``grad_norm``, ``[num_minibatches]``.
    """

    def step(learning: Learning, places: jax.Array | None):
        grads, sums = fold_sources(
            lambda batch: gradient(learning.params, take_minibatch(batch, places)), sources
        )
        # A row's weight is its share of the whole rollout, of which a minibatch is one part.
        grads, sums = jax.tree.map(lambda x: x * num_minibatches, (grads, sums))
        return descend(learning, grads), sums | {"grad_norm": optax.tree.norm(grads)}

    places = minibatch_places(key, sources.num_envs, num_minibatches)
    return jax.lax.scan(step, learning, places, length=num_minibatches)


def _metrics(sums: dict[str, jax.Array]) -> dict[str, jax.Array]:
    """Returns scalars from ``[num_epochs, num_minibatches]`` sums over the learner's own rows."""
    own = sums["own_weight"]
    per_row = {
        f"policy/{name}": jnp.sum(total) / jnp.maximum(jnp.sum(own), 1e-12)
        for name, total in sums.items()
        if name not in ("loss", "grad_norm", "ratio", "own_weight")
    }
    first = sums["ratio"][0, 0] / jnp.maximum(own[0, 0], 1e-12)
    return {
        "policy/loss": jnp.mean(sums["loss"]),
        "policy/grad_norm": jnp.mean(sums["grad_norm"]),
        "policy/first_ratio": jnp.where(own[0, 0] > 0, first, 1.0),
        **per_row,
    }
