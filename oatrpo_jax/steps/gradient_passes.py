"""Passes of Adam over a learner's sources, for any loss of one slot's rows."""

from __future__ import annotations

import functools
from typing import Protocol

import jax
import jax.numpy as jnp
import optax

from oatrpo_jax.hyperparams import Hyperparams
from oatrpo_jax.optimiser import Learning, adam_step
from oatrpo_jax.policies.policy import Policy
from oatrpo_jax.reuse.rows import minibatch_places, take_minibatch
from oatrpo_jax.reuse.sources import DrawSources, PolicyBatch, Sources, fold_sources
from oatrpo_jax.types import PyTree


class SlotLoss(Protocol):
    """What a policy's parameters cost on one slot's rows."""

    def __call__(
        self, policy: Policy, params: PyTree, batch: PolicyBatch, hparams: Hyperparams
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Returns the loss and sums over rows for the metrics.

        ``loss`` (without the entropy bonus), and, weighted by ``own_weight``: ``ratio``,
        ``own_weight`` itself and whatever else is to be logged as a mean over own rows.
        """
        ...


def gradient_passes(
    loss: SlotLoss,
    policy: Policy,
    learning: Learning,
    draw: DrawSources,
    hparams: Hyperparams,
    key: jax.Array,
) -> tuple[Learning, dict[str, jax.Array]]:
    """Returns the policy after ``num_epochs`` passes of Adam over its sources, and metrics.

    Args:
        loss: summed over the slots used.
        policy: whose parameters they are; its config has the numbers of passes and minibatches.
        learning: parameters and the state of `adam`.
        draw: gives the sources of each pass.
        hparams: coefficients.
        key: consumed.
    """

    config = policy.config

    def epoch(learning: Learning, key: jax.Array):
        draw_key, shuffle_key = jax.random.split(key)
        sources = draw(draw_key)
        places = minibatch_places(shuffle_key, sources.num_envs, config.num_minibatches)
        step = functools.partial(_minibatch_step, loss, policy, hparams, sources)
        return jax.lax.scan(step, learning, places, length=config.num_minibatches)

    learning, sums = jax.lax.scan(epoch, learning, jax.random.split(key, config.num_epochs))
    return learning, _metrics(sums)


def _minibatch_step(
    loss: SlotLoss,
    policy: Policy,
    hparams: Hyperparams,
    sources: Sources[PolicyBatch],
    learning: Learning,
    places: jax.Array | None,
) -> tuple[Learning, dict[str, jax.Array]]:
    """Returns the policy after one Adam step on some environments of all its sources."""
    gradient = jax.grad(loss, argnums=1, has_aux=True)
    grads, sums = fold_sources(
        lambda batch: gradient(policy, learning.params, take_minibatch(batch, places), hparams),
        sources,
    )
    # A row's weight is its share of the whole rollout, of which a minibatch is one part.
    grads, sums = jax.tree.map(lambda x: x * policy.config.num_minibatches, (grads, sums))
    learning = adam_step(learning, grads, hparams.actor_lr, hparams.max_grad_norm)
    return learning, sums | {"grad_norm": optax.tree.norm(grads)}


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
