"""Averages over episodes, bins of updates, and when a threshold is reached."""

import numpy as np
import pytest

from experiments.analysis.estimates import IQM, MEAN, average, estimate
from experiments.analysis.statistics import (
    Curve,
    bin_ends,
    bin_means,
    episode_mean,
    even_means,
    first_passage,
    tail_means,
)


def test_episodes_weigh_alike_whichever_update_they_ended_in():
    # (1 x 3 + 5 x 1) / 4 = 2; the NaN of an update without episodes does not count.
    value = np.array([1.0, 5.0, np.nan])[:, None]
    assert episode_mean(value, np.array([3.0, 1.0, 0.0])[:, None]) == pytest.approx(2.0)
    assert np.isnan(episode_mean(value[2:], np.zeros((1, 1))))


@pytest.mark.parametrize(("num_updates", "expected"), [(1, 0), (10, 9), (11, 9.5), (40, 37.5)])
def test_the_end_of_a_run_is_its_last_tenth(num_updates: int, expected: float):
    # Update i has value i: the last ceil(U / 10) of them are 0; 9; 9 and 10; 36 to 39.
    value = np.arange(float(num_updates))[:, None, None]
    assert tail_means(value, np.ones_like(value)).item() == expected


def test_a_bin_closes_when_every_seed_ended_as_many_episodes_as_environments():
    count = np.array([[1, 2], [1, 0], [2, 2], [2, 1], [0, 0]])
    # Seed 1 has 2 after update 1 but seed 0 only then 1 + 1; update 3 fills one alone; then never.
    ends = bin_ends(count, num_envs=2)
    assert ends.tolist() == [2, 3]
    value = np.array([[1.0, 2.0], [3.0, np.nan], [5.0, 6.0], [0.0, 0.0], [0.0, 0.0]])
    # Seed 0: (1 + 3) / 2; seed 1: update 1 alone had episodes.
    np.testing.assert_array_equal(bin_means(value, count, ends), [[2, 2], [5, 6]])
    assert bin_means(value, count, ends[:0]).shape == (0, 2)


@pytest.mark.parametrize("seed", range(20))
def test_bins_close_as_early_as_they_can(seed):
    rng = np.random.default_rng(seed)
    count = rng.integers(0, 4, size=(rng.integers(0, 200), rng.integers(1, 4)))
    num_envs, max_bins = rng.integers(1, 9), rng.integers(1, 61)
    shortest, expected, start = -(-len(count) // max_bins), [], 0
    for end in range(1, len(count) + 1):
        is_full = (count[start:end].sum(axis=0) >= num_envs).all()
        if is_full and end - start >= shortest:
            expected.append(end)
            start = end
    assert bin_ends(count, num_envs, max_bins).tolist() == expected


def test_bins_of_float32_are_means_in_float64():
    # In float32 the sum of 2^24 ones and more stays where it is.
    values = np.ones((2**14, 2), np.float32) * 2**11
    values[-1] = 2**11 + 2**14
    ends, means = even_means(values, max_bins=1)
    assert ends.tolist() == [2**14]
    np.testing.assert_array_equal(means, [[2**11 + 1, 2**11 + 1]])
    assert even_means(values[:0], 5)[1].shape == (0, 2)


def test_the_band_of_one_seed_has_no_width():
    curve = Curve(np.array([10, 20]), *average(np.array([[1.0], [2.0]]), MEAN))
    np.testing.assert_array_equal(curve.mean, curve.low)
    np.testing.assert_array_equal(curve.mean, curve.high)


@pytest.mark.parametrize("trim", [MEAN, IQM])
def test_a_curve_and_a_table_have_the_same_interval(trim):
    seeds = np.array([0.1, 0.5, 0.6, 0.9])
    curve = Curve(np.array([10]), *average(seeds[None], trim))
    expected = estimate(seeds, trim)
    assert (curve.mean[0], curve.low[0], curve.high[0]) == pytest.approx(expected[:3])


def test_the_curve_of_a_run_without_a_bin_is_empty():
    assert Curve(np.zeros(0), *average(np.zeros((0, 5)), MEAN)).low.shape == (0,)


def test_a_plateau_below_the_threshold_does_not_reach_it_by_noise():
    """Of 40,000 episodes, 64 an update, a share of 0.8 or 0.85 succeeds."""
    rng = np.random.default_rng(0)
    for share in (0.8, 0.85):
        runs = rng.binomial(64, share, size=(200, 625)) / 64
        passed = [first_passage(run, np.full(625, 64.0), 0.9) < np.inf for run in runs]
        # 0 of 4,000 and 0.001 of 4,000; a window alone would let 0.27 of the latter pass.
        assert np.mean(passed) <= 0.01


@pytest.mark.parametrize(
    ("per_update", "threshold", "expected"),
    [
        # The step comes after 1,000 episodes.  Windows of four updates hold 1/4, 2/4, 3/4, 4/4 of
        # what comes after it.
        (100, 0.9, 14),
        (100, 0.5, 12),
        # Of eight: 8/8, after as many episodes.
        (50, 0.9, 28),
        # Of two updates of 250, more than are needed.
        (250, 0.9, 6),
        (1000, 0.9, 2),
    ],
)
def test_a_step_is_passed_with_the_first_window_that_holds_enough_of_it(
    per_update, threshold, expected
):
    before = 1000 // per_update
    value = np.array([0.0] * before + [1.0] * 4 * before)
    count = np.full(value.shape, float(per_update))
    assert first_passage(value, count, threshold) == expected


def test_updates_without_episodes_belong_to_no_window():
    # 400 episodes of 1 after 400 of 0, with gaps: the window is full after update 6.
    value = np.array([np.nan, 0.0, np.nan, 1.0, np.nan, 1.0, np.nan])
    count = np.array([0, 400, 0, 200, 0, 200, 0.0])
    assert first_passage(value, count, 0.9) == 6
    # Episodes weigh alike: 300 of 1 and 100 of 0.5 are 0.875.
    value, count = np.array([1.0, 0.5]), np.array([300.0, 100.0])
    assert first_passage(value, count, 0.87) == 2 and first_passage(value, count, 0.88) == np.inf


def test_fewer_episodes_than_a_window_show_nothing():
    assert first_passage(np.ones(3), np.full(3, 133.0), 0.5) == np.inf
    assert first_passage(np.ones(4), np.full(4, 100.0), 0.5) == 4
    assert first_passage(np.full(3, np.nan), np.zeros(3), 0.5) == np.inf
    assert first_passage(np.ones(0), np.zeros(0), 0.5) == np.inf


def test_a_window_that_luck_filled_does_not_count_unless_the_rest_is_as_good():
    count = np.full(20, 400.0)
    value = np.full(20, 0.85)
    value[3] = 1.0
    # From update 4 on the mean is (1 + 16 x 0.85) / 17 = 0.859.
    assert first_passage(value, count, 0.9) == np.inf
    value[4:] = 0.95
    assert first_passage(value, count, 0.9) == 4


def test_all_is_reached_by_all_whatever_the_rounding():
    count = np.full(1000, 7.0)
    assert first_passage(np.ones(1000), count, 1.0) == 58  # 58 x 7 = 406
    assert first_passage(np.full(1000, np.float32(0.9), float), count, 0.9) == 58
