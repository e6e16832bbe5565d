"""Averages over episodes, bins of updates, estimates over seeds."""

import numpy as np
import pytest

from experiments.analysis import statistics
from experiments.analysis.statistics import (
    bin_ends,
    bin_means,
    bootstrap_interval,
    curve_over_seeds,
    episode_mean,
    estimate,
    iqm,
    probability_of_improvement,
    show,
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
    assert ends == [2, 3]
    value = np.array([[1.0, 2.0], [3.0, np.nan], [5.0, 6.0], [0.0, 0.0], [0.0, 0.0]])
    # Seed 0: (1 + 3) / 2; seed 1: update 1 alone had episodes.
    np.testing.assert_array_equal(bin_means(value, count, ends), [[2, 2], [5, 6]])
    assert bin_means(value, count, []).shape == (0, 2)


def test_the_band_of_one_seed_has_no_width():
    curve = curve_over_seeds(np.array([10, 20]), np.array([[1.0], [2.0]]))
    np.testing.assert_array_equal(curve.mean, curve.low)
    np.testing.assert_array_equal(curve.mean, curve.high)


def test_a_curve_and_a_table_have_the_same_interval():
    seeds = np.array([0.1, 0.5, 0.6, 0.9])
    curve = curve_over_seeds(np.array([10]), seeds[None], np.mean)
    expected = estimate(seeds, statistic=np.mean)
    assert (curve.mean[0], curve.low[0], curve.high[0]) == pytest.approx(expected[:3])


@pytest.mark.parametrize("shape", [(5,), (3, 5)])
def test_the_interval_of_one_sample_is_the_same_in_batches_of_any_size(shape, monkeypatch):
    seeds = np.random.default_rng(0).normal(size=shape)
    # At once, as 5 x 2000 numbers are few, or nearly; then by the hundred.
    expected = bootstrap_interval(seeds, statistic=iqm)
    monkeypatch.setattr(statistics, "BATCH_NUMBERS", 0)
    np.testing.assert_array_equal(bootstrap_interval(seeds, statistic=iqm), expected)


def test_intervals_of_few_or_equal_seeds():
    assert not estimate(np.array([0.5])).has_interval
    assert estimate(np.array([0.5, 0.5, 0.5]), statistic=np.mean)[:3] == (0.5, 0.5, 0.5)
    found = estimate(np.array([0.0, 1.0, 1.0]), statistic=np.mean)
    assert 0 <= found.low < found.high <= 1


def test_seeds_that_are_not_finite_are_left_out():
    assert show(estimate(np.array([np.nan, 1.0, np.inf]))) == "1.000"
    assert show(estimate(np.array([np.nan]))) == "no episode ended"


def test_ties_count_half_in_the_probability_of_improvement():
    # Pairs (2, 1), (2, 2), (3, 1), (3, 2), each twice: three are won and one is tied.
    first, second = np.array([2.0, 3.0]), np.array([1.0, 2.0, np.nan])
    assert probability_of_improvement(first, second) == 3.5 / 4
    assert probability_of_improvement(second, first) == 0.5 / 4
    assert np.isnan(probability_of_improvement(first, second[2:]))
