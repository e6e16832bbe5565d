"""The critics' turn: each learns returns from its slots, after the policies."""

from __future__ import annotations

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

from oatrpo_jax.advantages import masked_mean
from oatrpo_jax.config import Config
from oatrpo_jax.critics.critic import Critic, ValueNorm, explained_variance, value_loss
from oatrpo_jax.hyperparams import Hyperparams
from oatrpo_jax.optimiser import Learning, adam_step
from oatrpo_jax.reuse.experience import PerLearner
from oatrpo_jax.reuse.sources import Sources
from oatrpo_jax.steps.gradient_passes import one_pass
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
    config: Config,
    hparams: Hyperparams,
    key: jax.Array,
) -> tuple[Learning, dict[str, jax.Array]]:
    """Returns one critic after ``critic_epochs`` passes of Adam over its slots, and metrics."""

    def loss(params: PyTree, batch: CriticBatch) -> tuple[jax.Array, dict[str, jax.Array]]:
        output = jnp.asarray(critic.apply(params, batch.features))
        loss = value_loss(output, batch.old_output, batch.target, config, hparams)
        total = jnp.sum(batch.weight * loss)
        return total, {"loss": total}

    gradient = jax.grad(loss, has_aux=True)
    descend = functools.partial(
        adam_step, learning_rate=hparams.critic_lr, max_grad_norm=hparams.max_grad_norm
    )

    def epoch(learning: Learning, key: jax.Array):
        return one_pass(gradient, learning, sources, descend, config.num_minibatches, key)

    learning, sums = jax.lax.scan(epoch, learning, jax.random.split(key, config.critic_epochs))
    return learning, {f"critic/{name}": jnp.mean(each) for name, each in sums.items()}


def update_critics(
    critic: Critic,
    critics: Learning,
    norm: ValueNorm,
    seen: Returns,
    *,
    config: Config,
    hparams: Hyperparams,
    key: jax.Array,
) -> tuple[Learning, ValueNorm, dict[str, jax.Array]]:
    """Returns all critics after each has learnt once, the value statistics, and metrics.

    Args:
        critic: the module of one critic.
        critics: parameters and optimiser states with a leading ``[C]`` axis.
        norm: statistics of the returns so far.
        seen: the returns.
        config: static settings.
        hparams: coefficients.
        key: consumed.
    """
    slot_weights, value = seen.slot_weights, norm.denormalise(seen.output)
    if config.normalise_values:
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
        weighed = batch._replace(weight=weight)
        sources = Sources.of(
            lambda slot: jax.tree.map(lambda x: x[slot], weighed), slot_weights[index] > 0
        )
        return critic_update(critic, learning, sources, config, hparams, key)

    keys = jax.random.split(key, len(slot_weights))
    critics, metrics = jax.lax.map(one_critic, (jnp.arange(len(keys)), critics, keys))
    is_used = jnp.any(slot_weights > 0, axis=1)
    metrics = {name: masked_mean(value, is_used) for name, value in metrics.items()}
    metrics["critic/explained_variance"] = explained_variance(value, seen.returns)
    return critics, norm, metrics
