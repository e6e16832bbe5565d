"""SEPS's pre-training: all agents act by one policy, and who fares alike shares parameters.

Christianos et al. 2021, section 3.  It comes before the first update, from a run's key alone.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

from oatrpo_jax.clustering import davies_bouldin, in_order, k_means, num_distinct
from oatrpo_jax.identity import Embeddings, IdentityConfig, embed_agents
from oatrpo_jax.learner import Learner, LearnerState
from oatrpo_jax.rollout import init_rollout, rollout
from oatrpo_jax.types import MultiAgentEnv, Transition

NUM_DRAWS = 200
"""Draws from each agent's embedding, on which the index is computed."""

APART = 2.0
"""Index of two clusters whose centres are as far apart as their draws lie from them on average."""


class Grouping(NamedTuple):
    """Agents in clusters.

    Attributes:
        labels: ``[N]`` int32, clusters numbered in the order of their first agents.
        scores: ``[max(N - 1, 2) - 1]`` Davies-Bouldin index for 2, 3, ... clusters, less is better;
            inf where fewer embeddings than that are distinct.
    """

    labels: jax.Array
    scores: jax.Array


def group_agents(
    env: MultiAgentEnv, learner: Learner, state: LearnerState, key: jax.Array
) -> Grouping:
    """Returns the agents in clusters of those that the world answers alike.

    Args:
        env: where experience is collected: ``grouping_steps`` by ``num_envs`` environments.
        learner: its config says how much.
        state: the learner's, fresh: all agents act by one policy.
        key: consumed.
    """
    rollout_key, embed_key, choice_key = jax.random.split(key, 3)
    embeddings = embed_agents(
        collect(env, learner, state, rollout_key),
        learner.spec.num_actions,
        IdentityConfig(num_epochs=learner.config.grouping_epochs),
        embed_key,
    )[0]
    return choose_grouping(embeddings, choice_key)


def collect(
    env: MultiAgentEnv, learner: Learner, state: LearnerState, key: jax.Array
) -> Transition:
    """Returns the experience by which agents are told apart, ``[T, E]``; see `group_agents`."""
    start_key, rollout_key = jax.random.split(key)
    num_envs = learner.config.num_envs
    start = init_rollout(env, num_envs, start_key, learner.start(num_envs, to_learn=False))
    act = functools.partial(learner.act, state)
    return rollout(env, act, start, learner.config.grouping_length, rollout_key)[1]


def choose_grouping(embeddings: Embeddings, key: jax.Array) -> Grouping:
    """Returns the clusters of agents whose embeddings lie together.

    k-means on the N means for every number of clusters from 2 to N - 1, of which the one with the
    least Davies-Bouldin index is taken (Christianos et al. 2021, section 3.2).  Two departures:

    - The index is that of draws from the embeddings, labelled as their agents are, and not that of
      the bare means.  A cluster of one mean has no spread, so that the index of the means takes
      two pairs for three clusters, whatever their distance.
    - Two agents leave nothing to choose from.  They are told apart if their means are farther from
      each other than their draws are from them, on average: if their index is below 2.

    Agents whose means are all the same are one cluster.

    Args:
        embeddings: of the N agents.
        key: consumed.
    """
    num_agents, size = embeddings.mean.shape
    max_count = max(num_agents - 1, 2)
    draw_key, means_key = jax.random.split(key)
    noise = jax.random.normal(draw_key, (NUM_DRAWS, num_agents, size), jnp.float32)
    draws = (embeddings.mean + embeddings.deviation * noise).reshape(-1, size)
    distinct = num_distinct(embeddings.mean)

    def attempt(now: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        count, key = now
        labels = k_means(key, embeddings.mean, count, max_count).labels
        score = davies_bouldin(draws, jnp.tile(labels, NUM_DRAWS), max_count)
        return labels, jnp.where(count <= distinct, score, jnp.inf)

    counts = jnp.arange(2, max_count + 1)
    labels, scores = jax.lax.map(attempt, (counts, jax.random.split(means_key, len(counts))))
    best = jnp.argmin(scores)
    is_apart = scores[best] < (APART if num_agents == 2 else jnp.inf)
    return Grouping(in_order(jnp.where(is_apart, labels[best], 0)), scores)
