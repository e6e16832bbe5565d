"""k-means and the Davies-Bouldin index against scikit-learn's."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from oatrpo_jax.clustering import davies_bouldin, in_order, k_means, num_distinct

MAX_COUNT = 8
find = jax.jit(lambda key, points, count: k_means(key, points, count, MAX_COUNT))
index = jax.jit(lambda points, labels: davies_bouldin(points, labels, MAX_COUNT))


def separated(seed, count=4, each=6):
    """Points in tight clusters far from each other, and the cluster of each."""
    rng = np.random.default_rng(seed)
    centers = 10.0 * rng.permutation(np.eye(5))[:count]
    truth = rng.permutation(np.repeat(np.arange(count), each))
    return (centers[truth] + 0.3 * rng.normal(size=(len(truth), 5))).astype(np.float32), truth


def scattered(seed):
    return np.random.default_rng(seed).normal(size=(20, 3)).astype(np.float32)


def inertia(points, labels):
    means = np.stack([points[labels == label].mean(axis=0) for label in labels])
    return np.sum((points - means) ** 2)


@pytest.mark.parametrize("seed", range(5))
def test_clusters_that_lie_apart_are_found(seed):
    from sklearn.metrics import adjusted_rand_score

    points, truth = separated(seed)
    found = find(jax.random.key(seed), points, 4)
    assert adjusted_rand_score(truth, found.labels) == 1
    np.testing.assert_allclose(found.inertia, inertia(points, truth), rtol=1e-3)


@pytest.mark.parametrize("count", [2, 3, 5, 8])
@pytest.mark.parametrize("seed", range(3))
def test_on_scattered_points_clusters_are_as_tight_as_scikit_learns(seed, count):
    from sklearn.cluster import KMeans

    points = scattered(seed)
    found = find(jax.random.key(seed), points, count)
    theirs = KMeans(count, n_init=10, random_state=0).fit(points)
    assert len(np.unique(found.labels)) == count
    np.testing.assert_allclose(found.inertia, inertia(points, np.asarray(found.labels)), rtol=1e-4)
    # Both are the best of ten runs from random seeds, neither is exact.
    assert found.inertia <= 1.05 * theirs.inertia_


def test_points_that_coincide_share_a_label_and_leave_clusters_empty():
    points = jnp.array([[0.0], [1.0], [0.0], [1.0]])
    found = find(jax.random.key(0), points, 3)
    assert in_order(found.labels).tolist() == [0, 1, 0, 1]
    assert found.inertia == 0
    assert num_distinct(points) == 2


@pytest.mark.parametrize("seed", range(3))
def test_the_index_is_scikit_learns_jitted_and_not(seed):
    from sklearn.metrics import davies_bouldin_score

    for points, labels in (
        separated(seed),
        (scattered(seed), np.arange(20) % 3),
        (scattered(seed), np.random.default_rng(seed).permutation(np.arange(20) % 7)),
    ):
        expected = davies_bouldin_score(points, labels)
        for found in (index(points, labels), davies_bouldin(points, labels, MAX_COUNT)):
            np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_the_index_by_hand():
    # Means 0.1 and 5.1, spread 0.1 each, 5 apart: (0.1 + 0.1) / 5 = 0.04.
    points = jnp.array([[0.0], [0.2], [5.0], [5.2]])
    np.testing.assert_allclose(davies_bouldin(points, jnp.array([0, 0, 1, 1]), 2), 0.04, rtol=1e-5)


def test_side_by_side_is_as_alone():
    sets = np.stack([scattered(seed) for seed in range(3)])
    keys = jax.random.split(jax.random.key(0), 3)
    together = jax.vmap(find, (0, 0, None))(keys, sets, 3)
    for lane, (key, points) in enumerate(zip(keys, sets, strict=True)):
        np.testing.assert_array_equal(together.labels[lane], find(key, points, 3).labels)
