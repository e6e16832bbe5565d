"""Running statistics of inputs against numpy in float64, and what they change of a learner."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from oatrpo_jax.input_norm import MAX_DEVIATIONS, MAX_ROWS, RunningMoments

update = jax.jit(RunningMoments.update)


def stream(batches, is_counted=None):
    """The statistics after some batches ``[rows, F]``."""
    moments = RunningMoments.create(batches[0].shape[-1])
    for number, batch in enumerate(batches):
        mask = np.ones(len(batch), bool) if is_counted is None else is_counted[number]
        moments = update(moments, jnp.asarray(batch), jnp.asarray(mask))
    return moments


def test_they_are_those_of_all_rows_together():
    # 0, 2 | 4, 4, 5: mean 3, variance (9 + 1 + 1 + 1 + 4) / 5 = 3.2.
    moments = stream([np.float32([[0], [2]]), np.float32([[4], [4], [5]])])
    assert moments.count == 5
    np.testing.assert_allclose([moments.mean[0], moments.variance[0]], [3, 3.2], rtol=1e-6)
    # (5 - 3) / sqrt(3.2)
    np.testing.assert_allclose(moments.normalise(jnp.float32([5])), [1.1180340], rtol=1e-6)


def test_rows_that_do_not_count_change_no_bit_whatever_they_hold():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(40, 3)).astype(np.float32)
    is_counted = rng.random(40) < 0.5
    spoilt = np.where(is_counted[:, None], rows, np.float32(np.nan))
    found = stream([spoilt, spoilt], [is_counted] * 2)
    expected = stream([np.where(is_counted[:, None], rows, 7)] * 2, [is_counted] * 2)
    jax.tree.map(np.testing.assert_array_equal, found, expected)
    np.testing.assert_allclose(found.mean, rows[is_counted].mean(axis=0), atol=1e-6)
    nothing = update(found, jnp.asarray(rows), jnp.zeros(40, bool))
    jax.tree.map(np.testing.assert_array_equal, nothing, found)
    assert found.count == 2 * is_counted.sum()


@pytest.mark.parametrize("offset", [0.0, 1e4, -1e4])
def test_an_offset_of_ten_thousand_deviations_loses_nothing(offset):
    rng = np.random.default_rng(1)
    # What drifts by three deviations on its way.
    drift = np.linspace(0, 3, 200)[:, None, None]
    batches = (offset + drift + rng.normal(size=(200, 64, 2))).astype(np.float32)
    moments = stream(batches)
    rows = batches.astype(np.float64).reshape(-1, 2)
    exact = np.float64(moments.mean) + np.float64(moments.lost_mean)
    np.testing.assert_allclose(exact, rows.mean(axis=0), rtol=0, atol=1e-5)
    np.testing.assert_allclose(moments.variance, rows.var(axis=0), rtol=1e-5)
    standard = np.asarray(moments.normalise(jnp.asarray(rows, jnp.float32)))
    # The mean itself has no more digits than float32 has: half a unit of 2**-10 at 10,000.
    np.testing.assert_allclose(standard.mean(axis=0), 0, atol=1e-3)
    np.testing.assert_allclose(standard.std(axis=0), 1, rtol=1e-5)


@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_after_a_billion_rows_a_small_batch_still_moves_them(offset):
    """Each of 1000 batches moves the mean by 1e-8 deviations: 1e-4 of a unit of float32 at 1e4."""
    before = RunningMoments.create(1)._replace(
        count=jnp.int32(1_000_000_000),
        mean=jnp.full(1, offset, jnp.float32),
        variance=jnp.ones(1, jnp.float32),
    )
    rows = jnp.asarray(offset + np.tile([[0.25], [1.75]], (5, 1)), jnp.float32)

    def step(moments, _):
        return moments.update(rows, jnp.ones(10, bool)), None

    after, _ = jax.jit(lambda start: jax.lax.scan(step, start, length=1000))(before)
    # 10,000 rows of mean 1 and variance 0.5625 beside 10**9 of mean 0 and variance 1.
    share = 1e4 / (1e9 + 1e4)
    moved = np.float64(after.mean) - offset + np.float64(after.lost_mean)
    assert after.count == 1_000_010_000
    np.testing.assert_allclose(moved, share, rtol=1e-3)
    spread = np.float64(after.variance) - 1 + np.float64(after.lost_variance)
    np.testing.assert_allclose(spread, share * (0.5625 - 1 + 1 - share), rtol=1e-2)


def test_the_count_stays_within_its_bound_and_new_rows_keep_their_share():
    full = RunningMoments.create(1)._replace(count=jnp.int32(MAX_ROWS))
    after = update(full, jnp.ones((1024, 1)), jnp.ones(1024, bool))
    assert after.count == MAX_ROWS
    np.testing.assert_allclose(after.mean, 1024 / (MAX_ROWS + 1024), rtol=1e-6)


def test_the_scale_of_inputs_changes_no_bit_of_what_networks_see():
    rng = np.random.default_rng(2)
    batches = rng.normal(size=(5, 32, 3)).astype(np.float32)
    seen = [
        stream(batches * np.float32(scale)).normalise(batches[0] * np.float32(scale))
        for scale in (1.0, 2.0**-20, 2.0**20)
    ]
    np.testing.assert_array_equal(seen[0], seen[1])
    np.testing.assert_array_equal(seen[0], seen[2])


def test_what_has_never_varied_is_nothing_to_see():
    nothing = RunningMoments.create(2)
    np.testing.assert_array_equal(nothing.normalise(jnp.float32([[3, -4]])), [[0, 0]])
    # The first feature is always 7 and the second always 0.
    constant = stream([np.tile(np.float32([7, 0]), (100, 1))] * 50)
    np.testing.assert_array_equal(constant.variance, [0, 0])
    seen = constant.normalise(jnp.float32([[7, 0], [8, 1], [-8, 1]]))
    # Another 7 is told from it, but counts no more than the most; of 0 there is no scale yet.
    limit = MAX_DEVIATIONS
    np.testing.assert_array_equal(seen, [[0, 0], [limit, 0], [-limit, 0]])


def test_inputs_are_cut_off_at_ten_deviations():
    moments = stream([np.float32([[-1], [1]])])
    np.testing.assert_array_equal(moments.normalise(jnp.float32([[9.5], [1e30]])), [[9.5], [10]])


def test_a_number_that_stands_for_none_spoils_no_feature_for_ever():
    moments = stream([np.float32([[1e30, 1], [0, 2], [np.inf, 3]])] + [np.float32([[0, 4]])] * 3)
    assert all(np.isfinite(leaf).all() for leaf in moments)
    seen = moments.normalise(jnp.float32([[1e30, 4], [0, -9e9]]))
    assert np.isfinite(seen).all() and seen[0, 0] > 0 > seen[1, 0] and seen[1, 1] == -10


def test_lanes_are_those_of_one_after_another_jitted_or_not():
    rng = np.random.default_rng(3)
    rows = jnp.asarray(rng.normal(size=(4, 2, 8, 3)), jnp.float32)
    mask = jnp.asarray(rng.random((4, 2, 8)) < 0.7)
    start = RunningMoments.create(3)
    together = jax.jit(jax.vmap(RunningMoments.update, (None, 0, 0)))(start, rows, mask)
    for lane in range(4):
        alone = start.update(rows[lane], mask[lane])
        jax.tree.map(
            lambda x, y, lane=lane: np.testing.assert_allclose(x[lane], y, rtol=1e-5, atol=1e-6),
            together,
            alone,
        )
