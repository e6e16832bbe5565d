"""The critics' turn: each learns returns from its slots, after the policies."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from oatrpo_jax.advantages import masked_mean
from oatrpo_jax.critics.critic import Critic, ValueNorm, explained_variance, value_loss
from oatrpo_jax.hyperparams import Hyperparams
from oatrpo_jax.optimiser import Learning, adam_step
from oatrpo_jax.reuse.experience import PerLearner
from oatrpo_jax.reuse.rows import minibatch_places, take_minibatch
from oatrpo_jax.reuse.sources import Sources, fold_sources
from oatrpo_jax.types import PyTree


class Returns(NamedTuple):
    """What the critics are to learn, by critic slot: rows have leading axes ``[T, E, M]``.

    Attributes:
        features: ``[..., F]`` what the critic sees.
        output: ``[...]`` the critic's output before this update.
        returns: ``[...]`` what it should have said.
        slot_weights: ``[C, M]`` how much each critic learns from each slot.
        ratio_of: number of a critic -> ``[M, T, E]`` importance ratios that its rows are weighted
            with; None for ones.
    """

    features: jax.Array
    output: jax.Array
    returns: jax.Array
    slot_weights: jax.Array
    ratio_of: PerLearner | None = None


class CriticBatch(NamedTuple):
    """Rows of one critic slot; fields have leading axes ``[T, E]`` (``[M, T, E]`` for all slots).

    Attributes:
        features: ``[..., F]`` what the critic sees.
        target: ``[...]`` returns in units of the critic's output.
        old_output: ``[...]`` the critic's output before this update.
        weight: ``[...]`` of each row in the critic's loss.
    """

    features: jax.Array
    target: jax.Array
    old_output: jax.Array
    weight: jax.Array


def critic_update(
    critic: Critic,
    learning: Learning,
    sources: Sources[CriticBatch],
    hparams: Hyperparams,
    key: jax.Array,
) -> tuple[Learning, dict[str, jax.Array]]:
    """Returns one critic after ``critic_epochs`` passes of Adam over its slots, and metrics."""
    config = critic.config

    def loss(params: PyTree, batch: CriticBatch) -> jax.Array:
        output = jnp.asarray(critic.apply(params, batch.features))
        return jnp.sum(
            batch.weight * value_loss(output, batch.old_output, batch.target, config, hparams)
        )

    def minibatch_step(learning: Learning, places: jax.Array | None):
        value, grads = fold_sources(
            lambda batch: jax.value_and_grad(loss)(learning.params, take_minibatch(batch, places)),
            sources,
        )
        value, grads = jax.tree.map(lambda x: x * config.num_minibatches, (value, grads))
        learning = adam_step(learning, grads, hparams.critic_lr, hparams.max_grad_norm)
        return learning, (value, optax.tree.norm(grads))

    def epoch(learning: Learning, key: jax.Array):
        places = minibatch_places(key, sources.num_envs, config.num_minibatches)
        return jax.lax.scan(minibatch_step, learning, places, length=config.num_minibatches)

    learning, (value, norm) = jax.lax.scan(
        epoch, learning, jax.random.split(key, config.critic_epochs)
    )
    return learning, {"critic/loss": jnp.mean(value), "critic/grad_norm": jnp.mean(norm)}


def update_critics(
    critic: Critic,
    critics: Learning,
    norm: ValueNorm,
    seen: Returns,
    hparams: Hyperparams,
    key: jax.Array,
) -> tuple[Learning, ValueNorm, dict[str, jax.Array]]:
    """Returns all critics after each has learnt once, the value statistics, and metrics.

    Args:
        critic: the module of one critic.
        critics: parameters and optimiser states with a leading ``[C]`` axis.
        norm: statistics of the returns so far.
        seen: the returns.
        hparams: coefficients.
        key: consumed.
    """
    slot_weights, value = seen.slot_weights, norm.denormalise(seen.output)
    if critic.config.normalise_values:
        norm = norm.update(seen.returns, hparams.value_norm_decay)
    batch = CriticBatch(
        features=seen.features,
        target=norm.normalise(seen.returns),
        old_output=seen.output,
        weight=jnp.full_like(seen.returns, 1.0 / seen.returns[..., 0].size),
    )
    batch = jax.tree.map(lambda x: jnp.moveaxis(x, 2, 0), batch)

    def one_critic(now: tuple[jax.Array, Learning, jax.Array]):
        index, learning, key = now
        weight = batch.weight * slot_weights[index][:, None, None]
        if seen.ratio_of is not None:
            weight = weight * seen.ratio_of(index)
        used = slot_weights[index] > 0
        weighed, order = batch._replace(weight=weight), jnp.argsort(~used)
        sources = Sources(
            lambda position: jax.tree.map(lambda x: x[order[position]], weighed), jnp.sum(used)
        )
        return critic_update(critic, learning, sources, hparams, key)

    keys = jax.random.split(key, len(slot_weights))
    critics, metrics = jax.lax.map(one_critic, (jnp.arange(len(keys)), critics, keys))
    is_used = jnp.any(slot_weights > 0, axis=1)
    metrics = {name: masked_mean(value, is_used) for name, value in metrics.items()}
    metrics["critic/explained_variance"] = explained_variance(value, seen.returns)
    return critics, norm, metrics
