"""The guard against numbers that are not finite."""

import numpy as np

from experiments.training.position import NonFinite, find_diverged


def make_metrics(**changes: np.ndarray) -> dict[str, np.ndarray]:
    """Returns 2 updates, 1 point, 2 seeds, one matrix; no episode ended in the first update."""
    count = np.array([[[0, 0]], [[3, 1]]], float)
    metrics = {
        "episode/count": count,
        "episode/return": np.where(count > 0, 1.0, np.nan),
        "critic/loss": np.ones((2, 1, 2)),
        "reuse/weight": np.ones((2, 1, 2, 2, 2)),
    }
    return metrics | changes


def diverged(metrics: dict[str, np.ndarray], **known) -> dict[int, NonFinite]:
    return find_diverged(metrics, first_update=5, seeds=(3, 4), **known)


def test_missing_episodes_are_no_fault():
    assert diverged(make_metrics()) == {}


def test_the_first_fault_is_named_by_update_seed_and_quantity():
    loss, weight = np.ones((2, 1, 2)), np.ones((2, 1, 2, 2, 2))
    loss[1, 0, 0] = np.inf
    weight[0, 0, 1, 1, 0] = np.nan
    metrics = make_metrics(**{"critic/loss": loss, "reuse/weight": weight})
    assert diverged(metrics) == {0: NonFinite(point=0, seed=4, update=5, metric="reuse/weight")}


def test_a_nan_where_episodes_ended_is_a_fault():
    metrics = make_metrics(**{"episode/return": np.full((2, 1, 2), np.nan)})
    assert diverged(metrics) == {0: NonFinite(point=0, seed=3, update=6, metric="episode/return")}


def test_every_point_that_diverges_is_named_once():
    metrics = {k: np.concatenate([v] * 3, axis=1) for k, v in make_metrics().items()}
    metrics["critic/loss"][1, 0, 1] = metrics["critic/loss"][0, 2, 0] = np.nan
    found = {0: NonFinite(0, 6, 4, "critic/loss"), 2: NonFinite(2, 5, 3, "critic/loss")}
    assert diverged(metrics) == found
    assert diverged(metrics, known={2}) == {0: found[0]}
