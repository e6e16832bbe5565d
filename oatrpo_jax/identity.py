"""SEPS's encoder of agent identity: agents that act in the world alike get like embeddings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from oatrpo_jax.advantages import masked_mean, normalise
from oatrpo_jax.optimiser import Learning, descend
from oatrpo_jax.policies.layers import Layers
from oatrpo_jax.policies.networks import MLP
from oatrpo_jax.types import PyTree, Transition


@dataclass(frozen=True)
class IdentityConfig:
    """How the autoencoder is built and trained.

    Attributes:
        latent_size: D, dimensions of an embedding.
        hidden_sizes: widths of the decoder's hidden layers.
        num_epochs: passes over the experience.
        batch_size: environment steps per gradient step; each has a row per agent.
        learning_rate: Adam's.
        kl_coef: weight of the divergence from the prior.
    """

    latent_size: int = 10
    hidden_sizes: tuple[int, ...] = (64, 64)
    num_epochs: int = 20
    batch_size: int = 64
    learning_rate: float = 3e-3
    kl_coef: float = 1e-4


class Embeddings(NamedTuple):
    """A diagonal Gaussian per agent.

    Attributes:
        mean: ``[N, D]``.
        deviation: ``[N, D]`` standard deviations.
    """

    mean: jax.Array
    deviation: jax.Array


class _Rows(NamedTuple):
    """Experience as the decoder sees it; fields have leading axes ``[R, N]``."""

    view: jax.Array
    action: jax.Array
    next_view: jax.Array
    reward: jax.Array
    active: jax.Array


def embed_agents(
    trajectory: Transition, num_actions: int, config: IdentityConfig, key: jax.Array
) -> tuple[Embeddings, dict[str, jax.Array]]:
    """Returns an embedding per agent, and the losses of the last pass.

    A variational autoencoder: encoder ``q(z | i)``, decoder ``p(o', r | z, o, a)`` (Christianos et
    al. 2021, section 3.1).  Neither what an agent sees nor what it does reaches the encoder, so z
    can only tell what they do not: how the world answers to this agent.  An encoder of one-hot
    identities is a table, and is one here.  Losses are of the active rows.

    Args:
        trajectory: a Transition with leading axes ``[T, E]``, from agents that act alike.
        num_actions: A, or D.
        config: sizes and training.
        key: consumed.
    """
    rows = _make_rows(trajectory, num_actions)
    num_rows, num_agents, view_size = rows.view.shape
    decoder = MLP(Layers(config.hidden_sizes, "relu"), view_size + 1, 0.01)
    init_key, train_key = jax.random.split(key)
    given = jnp.zeros(config.latent_size + view_size + num_actions)
    params = {
        "mean": jnp.zeros((num_agents, config.latent_size), jnp.float32),
        "log_deviation": jnp.full((num_agents, config.latent_size), -1.0, jnp.float32),
        "decoder": decoder.init(init_key, given),
    }
    optimiser = optax.adam(config.learning_rate)
    batch_size = min(config.batch_size, num_rows)
    num_batches = num_rows // batch_size

    def step(learning: Learning, now: tuple[jax.Array, jax.Array]):
        chosen, key = now
        batch = jax.tree.map(lambda x: x[chosen], rows)
        grads, losses = jax.grad(_loss, argnums=2, has_aux=True)(
            decoder, config, learning.params, batch, key
        )
        return descend(optimiser, learning, grads), losses

    def epoch(learning: Learning, key: jax.Array):
        shuffle_key, noise_key = jax.random.split(key)
        order = jax.random.permutation(shuffle_key, num_rows)[: num_batches * batch_size]
        batches = order.reshape(num_batches, batch_size)
        return jax.lax.scan(step, learning, (batches, jax.random.split(noise_key, num_batches)))

    start = Learning(params, optimiser.init(params))
    learning, losses = jax.lax.scan(epoch, start, jax.random.split(train_key, config.num_epochs))
    trained = learning.params
    embeddings = Embeddings(trained["mean"], jnp.exp(trained["log_deviation"]))
    return embeddings, jax.tree.map(lambda x: jnp.mean(x[-1]), losses)


def _make_rows(trajectory: Transition, num_actions: int) -> _Rows:
    seen = trajectory.observation
    reward = jnp.broadcast_to(trajectory.reward[..., None], seen.active.shape)
    action = trajectory.existing_actions
    if not trajectory.is_continuous:
        action = jax.nn.one_hot(action, num_actions, dtype=jnp.float32)
    rows = _Rows(
        view=seen.active_views,
        action=action,
        next_view=trajectory.next_observation.finite_views,
        # Beside errors of views, those of rewards should not count by their scale.
        reward=normalise(reward, seen.active),
        active=seen.active,
    )
    return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), rows)


def _loss(
    decoder: MLP, config: IdentityConfig, params: PyTree, batch: _Rows, key: jax.Array
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Returns the negative evidence bound of some rows, and its parts."""
    mean, log_deviation = params["mean"], params["log_deviation"]
    noise = jax.random.normal(key, (len(batch.view), *mean.shape), jnp.float32)
    latent = mean + jnp.exp(log_deviation) * noise
    given = jnp.concatenate([latent, batch.view, batch.action], axis=-1)
    output = jnp.asarray(decoder.apply(params["decoder"], given))
    # Most of what an agent sees stays as it was.
    view_error = jnp.sum(jnp.square(batch.view + output[..., :-1] - batch.next_view), axis=-1)
    reward_error = jnp.square(output[..., -1] - batch.reward)
    reconstruction = masked_mean(view_error + reward_error, batch.active)
    variance = jnp.exp(2 * log_deviation)
    prior = jnp.mean(jnp.sum(jnp.square(mean) + variance - 1 - 2 * log_deviation, axis=-1)) / 2
    total = reconstruction + config.kl_coef * prior
    return total, {"reconstruction": reconstruction, "prior": prior}
