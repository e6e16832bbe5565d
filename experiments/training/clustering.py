"""How many kinds of agents there are, and who is of which: k-means and the Davies-Bouldin index."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from oatrpo_jax.identity import Embeddings

NUM_DRAWS = 200
"""Draws from each agent's embedding, on which the index is computed."""

APART = 2.0
"""Index of two clusters whose centres are as far apart as their draws lie from them on average."""


_K_MEANS: dict[str, Any] = {"n_init": 10, "random_state": 0}


class Partition(NamedTuple):
    """Agents in clusters.

    Attributes:
        labels: ``[N]`` int, clusters numbered in the order of their first agents.
        scores: Davies-Bouldin index by number of clusters; less is better.
    """

    labels: np.ndarray
    scores: dict[int, float]


def choose_partition(embeddings: Embeddings) -> Partition:
    """Returns the clusters of agents whose embeddings lie together.

    k-means on the N means for every number of clusters from 2 to N - 1, of which the one with the
    least Davies-Bouldin index is taken (Christianos et al. 2021, section 3.2).  Two departures:

    - The index is that of draws from the embeddings, labelled as their agents are, and not that of
      the bare means.  A cluster of one mean has no spread, so that the index of the means takes
      two pairs for three clusters, whatever their distance.
    - Two agents leave nothing to choose from.  They are told apart if their means are farther from
      each other than their draws are from them, on average: if their index is below 2.

    Args:
        embeddings: of the N agents of one seed.
    """
    from sklearn.cluster import KMeans  # Takes seconds to import.
    from sklearn.metrics import davies_bouldin_score

    num_agents, size = embeddings.mean.shape
    together = np.zeros(num_agents, int)
    if num_agents == 1:
        return Partition(together, {})
    noise = np.random.default_rng(0).standard_normal((NUM_DRAWS, num_agents, size))
    draws = (embeddings.mean + embeddings.deviation * noise).reshape(-1, size)
    labels, scores = {}, {}
    distinct = len(np.unique(embeddings.mean, axis=0))
    for count in range(2, min(max(num_agents - 1, 2), distinct) + 1):
        found = KMeans(count, **_K_MEANS).fit_predict(embeddings.mean)
        labels[count] = _in_order(found)
        scores[count] = float(davies_bouldin_score(draws, np.tile(found, NUM_DRAWS)))
    best = min(scores, key=scores.__getitem__, default=1)
    if best == 1 or (num_agents == 2 and scores[best] >= APART):
        return Partition(together, scores)
    return Partition(labels[best], scores)


def _in_order(labels: np.ndarray) -> np.ndarray:
    """Returns the labels renumbered by first appearance.

    >>> _in_order(np.array([2, 0, 2, 1])).tolist()
    [0, 1, 0, 2]
    """
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse]
