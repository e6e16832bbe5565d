"""Chunks, the guard against numbers that are not finite, columns."""

import jax.numpy as jnp
import numpy as np

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
