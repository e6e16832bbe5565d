"""Chunks, the guard against numbers that are not finite, columns, statistics, bins."""

import json

import jax.numpy as jnp
import numpy as np
import pytest

from experiments.analysis.curves import bin_ends, interval
from experiments.analysis.summary import (
    confidence_interval,
    describe,
    episode_mean,
    finite_json,
    tail_means,
)
from experiments.training.folder.metrics import as_text, flatten
from experiments.training.program import (
    Chunk,
    NonFinite,
    find_non_finite,
    make_advance,
    next_length,
)


def make_chunk(**changes: np.ndarray) -> Chunk:
    """Returns 2 updates, 1 point, 2 seeds, one matrix; no episode ended in the first update."""
    count = np.array([[[0, 0]], [[3, 1]]], float)
    metrics = {
        "episode/count": count,
        "episode/return": np.where(count > 0, 1.0, np.nan),
        "critic/loss": np.ones((2, 1, 2)),
        "reuse/weight": np.ones((2, 1, 2, 2, 2)),
    }
    return Chunk(state=None, first_update=5, metrics=metrics | changes)  # type: ignore[arg-type]


def test_advance_takes_as_many_steps_as_asked_and_says_what_each_did():
    advance = make_advance(lambda x, add: (x + add, {"x": x}), capacity=4)
    state, metrics = advance(jnp.float32(1), jnp.float32(2), jnp.int32(3))
    assert state == 7
    np.testing.assert_array_equal(metrics["x"], [1, 3, 5, 0])


def test_chunks_follow_the_clock_within_bounds():
    assert next_length(10, seconds=2.0, capacity=256) == 5
    assert next_length(1, seconds=30.0, capacity=256) == 1
    assert next_length(2, seconds=1e-6, capacity=256) == 8
    assert next_length(200, seconds=1e-6, capacity=256) == 256


def test_missing_episodes_are_no_fault():
    assert find_non_finite(make_chunk()) is None


def test_the_first_fault_is_named_by_update_point_seed_and_quantity():
    loss, weight = np.ones((2, 1, 2)), np.ones((2, 1, 2, 2, 2))
    loss[1, 0, 0] = np.inf
    weight[0, 0, 1, 1, 0] = np.nan
    chunk = make_chunk(**{"critic/loss": loss, "reuse/weight": weight})
    assert find_non_finite(chunk) == NonFinite(point=0, seed=1, update=5, name="reuse/weight")


def test_a_nan_where_episodes_ended_is_a_fault():
    chunk = make_chunk(**{"episode/return": np.full((2, 1, 2), np.nan)})
    assert find_non_finite(chunk) == NonFinite(point=0, seed=0, update=6, name="episode/return")


def test_matrices_become_one_column_per_entry_learner_first():
    matrix = np.arange(4.0).reshape(1, 1, 1, 2, 2)
    columns = flatten({"reuse/weight": matrix, "episode/return": np.zeros((1, 1, 1))})
    assert list(columns) == ["episode/return", *(f"reuse/weight/{ij}" for ij in
                             ("0/0", "0/1", "1/0", "1/1"))]  # fmt: skip
    assert columns["reuse/weight/1/0"].item() == 2


def test_cells_read_back_as_the_same_number():
    values = np.array([1 / 3, 1e-30, 3e7, np.nan], np.float32)
    text = as_text(values)
    assert text[3] == ""
    np.testing.assert_array_equal(text[:3].astype(np.float32), values[:3])


def test_episodes_weigh_alike_whichever_update_they_ended_in():
    # (1 x 3 + 5 x 1) / 4 = 2; the NaN of an update without episodes does not count.
    value = np.array([1.0, 5.0, np.nan])[:, None]
    assert episode_mean(value, np.array([3.0, 1.0, 0.0])[:, None]) == pytest.approx(2.0)
    assert np.isnan(episode_mean(value[2:], np.zeros((1, 1))))


@pytest.mark.parametrize(("num_updates", "expected"), [(1, 0), (10, 9), (11, 9.5), (40, 37.5)])
def test_the_summary_looks_at_the_last_tenth(num_updates: int, expected: float):
    # Update i has value i: the last ceil(U / 10) of them are 0; 9; 9 and 10; 36 to 39.
    value = np.arange(float(num_updates))[:, None, None]
    assert tail_means(value, np.ones_like(value)).item() == expected


def test_statistics_of_five_seeds():
    described = describe(np.array([1.0, 2.0, 3.0, 4.0, 10.0]))
    assert described["mean"] == 4
    # Squared deviations 9 + 4 + 1 + 0 + 36 = 50, over n - 1 = 4.
    assert described["sd"] == pytest.approx(np.sqrt(12.5))
    # Cutting int(0.25 x 5) = 1 value at each end leaves 2, 3, 4.
    assert described["iqm"] == 3
    low, high = described["ci95"]
    assert 1 < low < 4 < high < 10


def test_intervals_of_few_or_equal_seeds():
    assert confidence_interval(np.array([0.5])) is None
    assert confidence_interval(np.array([0.5, 0.5, 0.5])) == [0.5, 0.5]
    low, high = confidence_interval(np.array([0.0, 1.0, 1.0]))  # type: ignore[misc]
    assert 0 <= low < high <= 1


def test_seeds_without_episodes_are_left_out():
    described = finite_json(describe(np.array([np.nan, 1.0])))
    assert described == {"per_seed": [None, 1.0], "mean": 1.0, "sd": None, "iqm": 1.0, "ci95": None}
    assert finite_json(describe(np.array([np.nan])))["mean"] is None
    json.dumps(described, allow_nan=False)


def test_a_bin_closes_when_every_seed_ended_as_many_episodes_as_environments():
    count = np.array([[1, 2], [1, 0], [2, 2], [2, 1], [0, 0]])
    # Seed 1 has 2 after update 1 but seed 0 only then 1 + 1; update 3 fills one alone; then never.
    assert bin_ends(count, num_envs=2) == [2, 3]


def test_the_band_of_one_seed_has_no_width():
    mean, low, high = interval(np.array([[1.0], [2.0]]))
    np.testing.assert_array_equal(mean, low)
    np.testing.assert_array_equal(mean, high)
