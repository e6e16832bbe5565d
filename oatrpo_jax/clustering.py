"""Points in clusters: k-means and the Davies-Bouldin index, for any number of clusters at once.

The number of clusters is a traced value below a static bound, so that one program tries them all.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from oatrpo_jax.advantages import divisor
from oatrpo_jax.ranges import TINY

_NUM_RESTARTS = 10
_NUM_ITERATIONS = 50
"""Of Lloyd's algorithm; as many points as there are agents settle within a few."""


class Clusters(NamedTuple):
    """Points in clusters.

    Attributes:
        labels: ``[M]`` int32, the cluster of each point.
        inertia: ``[]`` sum of squared distances of the points from their clusters' means.
    """

    labels: jax.Array
    inertia: jax.Array


def k_means(key: jax.Array, points: jax.Array, count: jax.Array | int, max_count: int) -> Clusters:
    """Returns the best of several runs of Lloyd's algorithm, each from k-means++ seeds.

    Args:
        key: consumed.
        points: ``[M, D]``; with fewer distinct ones than clusters, some clusters stay empty.
        count: ``[]`` number of clusters, from 1 to ``max_count``.
        max_count: C.
    """
    exists = jnp.arange(max_count) < count

    def run(key: jax.Array) -> Clusters:
        centers = _seeds(key, points, max_count)
        centers = jax.lax.fori_loop(0, _NUM_ITERATIONS, lambda _, c: improve(c), centers)
        return assign(centers)

    def assign(centers: jax.Array) -> Clusters:
        distance = jnp.where(exists, _squared_distance(points, centers), jnp.inf)
        labels = jnp.argmin(distance, axis=1).astype(jnp.int32)
        return Clusters(labels, jnp.sum(jnp.min(distance, axis=1)))

    def improve(centers: jax.Array) -> jax.Array:
        means, sizes = _means(points, assign(centers).labels, max_count)
        return jnp.where(sizes[:, None] > 0, means, centers)

    runs = jax.vmap(run)(jax.random.split(key, _NUM_RESTARTS))
    return jax.tree.map(lambda x: x[jnp.argmin(runs.inertia)], runs)


def davies_bouldin(points: jax.Array, labels: jax.Array, max_count: int) -> jax.Array:
    """Returns the mean over clusters of ``max_j (s_i + s_j) / d_ij`` (Davies and Bouldin 1979).

    s_i is the mean distance of cluster i's points from their mean, d_ij the distance of two means.

    Args:
        points: ``[M, D]``.
        labels: ``[M]`` from 0 to ``max_count - 1``; empty clusters do not count.
        max_count: C.
    """
    means, sizes = _means(points, labels, max_count)
    from_mean = jnp.linalg.norm(points - means[labels], axis=1)
    spread, _ = _means(from_mean[:, None], labels, max_count)
    apart = jnp.sqrt(_squared_distance(means, means))
    is_used = sizes > 0
    is_pair = is_used[:, None] & is_used & ~jnp.eye(max_count, dtype=bool)
    likeness = jnp.where(is_pair, (spread + spread.T) / jnp.maximum(apart, TINY), 0.0)
    return jnp.sum(jnp.max(likeness, axis=1)) / divisor(jnp.sum(is_used))


def in_order(labels: jax.Array) -> jax.Array:
    """Returns ``[M]`` the labels renumbered by first appearance.

    >>> in_order(jnp.array([2, 0, 2, 1])).tolist()
    [0, 1, 0, 2]
    """
    first = jnp.argmax(labels[:, None] == labels, axis=1)  # The first point of the same label.
    is_first = first == jnp.arange(len(labels))
    return (jnp.cumsum(is_first) - 1)[first].astype(jnp.int32)


def num_distinct(points: jax.Array) -> jax.Array:
    """Returns how many of ``[M, D]`` points differ from all before them."""
    is_same = jnp.all(points[:, None] == points, axis=-1)
    return jnp.sum(jnp.argmax(is_same, axis=1) == jnp.arange(len(points)))


def _seeds(key: jax.Array, points: jax.Array, max_count: int) -> jax.Array:
    """Returns points as first centers, far ones likelier (Arthur and Vassilvitskii 2007)."""

    def pick(nearest: jax.Array, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        chosen = points[jax.random.categorical(key, jnp.log(nearest))]
        distance = jnp.sum(jnp.square(points - chosen), axis=1)
        return jnp.minimum(nearest, distance), chosen

    anywhere = jnp.full(len(points), jnp.finfo(points.dtype).max)
    return jax.lax.scan(pick, anywhere, jax.random.split(key, max_count))[1]


def _means(points: jax.Array, labels: jax.Array, max_count: int) -> tuple[jax.Array, jax.Array]:
    """Returns ``[C, D]`` means of clusters, zeros for empty ones, and ``[C]`` their sizes."""
    is_member = (labels == jnp.arange(max_count)[:, None]).astype(points.dtype)
    sizes = jnp.sum(is_member, axis=1)
    sums = jnp.matmul(is_member, points, precision=jax.lax.Precision.HIGHEST)
    return sums / jnp.maximum(sizes, 1)[:, None], sizes


def _squared_distance(left: jax.Array, right: jax.Array) -> jax.Array:
    """Returns ``[L, R]`` squared distances between points and points."""
    return jnp.sum(jnp.square(left[:, None] - right), axis=-1)
