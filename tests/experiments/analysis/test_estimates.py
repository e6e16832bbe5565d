"""Estimates over seeds: how often their intervals hold the truth, and what they are by hand."""

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from experiments.analysis.estimates import (
    IQM,
    MEAN,
    Estimate,
    average,
    estimate,
    improvement,
    log_mean_sum,
    mean_difference,
    mean_ratio,
    probability_of_improvement,
    show,
)

NUM_EXPERIMENTS = 20_000
"""Made-up experiments of five seeds: a share of 0.95 then has a standard deviation of 0.0015."""


def coverage(draw, truth: float, trim: float) -> float:
    """Returns how often an interval of five seeds holds the true average."""
    _, low, high = average(draw(np.random.default_rng(0)), trim)
    return float(np.mean((low <= truth) & (truth <= high)))


def normal(rng):
    return rng.normal(size=(NUM_EXPERIMENTS, 5))


def uniform(rng):
    return rng.uniform(-1, 1, size=(NUM_EXPERIMENTS, 5))


def skewed(rng):
    return rng.exponential(size=(NUM_EXPERIMENTS, 5))


# The k-th smallest of five exponential numbers is 1/5 + ... + 1/(6 - k) in the mean.
SKEWED_IQM = (0.45 + 0.7833 + 1.2833) / 3


@pytest.mark.parametrize(
    ("draw", "truth", "trim", "lowest", "highest"),
    [
        (normal, 0, MEAN, 0.94, 0.96),  # 0.950
        (normal, 0, IQM, 0.93, 0.95),  # 0.937
        (uniform, 0, MEAN, 0.92, 0.95),  # 0.936
        (uniform, 0, IQM, 0.90, 0.93),  # 0.915
        # Where numbers are skewed, five seeds are few.
        (skewed, 1, MEAN, 0.86, 0.90),  # 0.879
        (skewed, SKEWED_IQM, IQM, 0.88, 0.91),  # 0.896
    ],
)
def test_an_interval_of_five_seeds_holds_the_truth_as_often_as_the_docs_say(
    draw, truth, trim, lowest, highest
):
    assert lowest <= coverage(draw, truth, trim) <= highest


@pytest.mark.parametrize("spread", [1, 4])
def test_equal_means_are_told_apart_in_one_case_of_twenty(spread):
    rng, count = np.random.default_rng(0), 1500
    found = [mean_difference(rng.normal(size=5), spread * rng.normal(size=5)) for _ in range(count)]
    # 0.048 and 0.049 of 4,000; the standard deviation of the share is 0.006 here.
    assert 0.03 <= np.mean([one.low > 0 or one.high < 0 for one in found]) <= 0.06


def test_a_difference_is_that_of_welch():
    first, second = np.array([4.0, 6.0, 8.0, 7.0]), np.array([1.0, 3.0, 2.5])
    expected = stats.ttest_ind(first, second, equal_var=False).confidence_interval()
    found = mean_difference(first, second)
    assert found[1:3] == pytest.approx((expected.low, expected.high))
    assert found.value == pytest.approx(6.25 - 6.5 / 3)


def test_a_mean_is_that_of_student():
    # Of 1, 2, 3, 4, 10 the mean is 4, the variance 50 / 4; t of 4 degrees of freedom is 2.776.
    found = estimate(np.array([1.0, 2.0, 3.0, 4.0, 10.0]), MEAN)
    reach = 2.7764 * math.sqrt(12.5 / 5)
    assert found[:3] == pytest.approx((4, 4 - reach, 4 + reach), abs=1e-3)


def test_an_interquartile_mean_has_the_standard_error_of_yuen():
    # Of 1, 2, 3, 4, 10 the outer two count as 2 and 4: squared deviations 1 + 1 + 0 + 1 + 1 = 4,
    # over 3 x 2; t of 2 degrees of freedom is 4.303.
    seeds = np.array([1.0, 2.0, 3.0, 4.0, 10.0])
    found = estimate(seeds, IQM)
    error = math.sqrt(4 / 6)
    assert found[:3] == pytest.approx((3, 3 - 4.3027 * error, 3 + 4.3027 * error), abs=1e-3)
    # scipy has it for two samples alone; of two that are as wide its square is twice this one's.
    welch: Any = stats.ttest_ind
    both = welch(seeds + 1, seeds, equal_var=False, trim=0.25)
    assert 1 / both.statistic == pytest.approx(math.sqrt(2) * error)


def test_of_three_seeds_nothing_is_left_out():
    seeds = np.array([0.1, 0.2, 0.9])
    assert estimate(seeds, IQM) == estimate(seeds, MEAN)


def test_the_ratio_of_means_by_hand():
    # Means 10 and 5, variances of the means 2 / 2 and 0.5 / 2: of the logarithms 1 / 100 each.
    # Degrees of freedom 0.02^2 / (0.01^2 + 0.01^2) = 2, whose t is 4.3027.
    found = mean_ratio(np.array([9.0, 11.0]), np.array([4.5, 5.5]))
    reach = math.exp(4.3027 * math.sqrt(0.02))
    assert found[:3] == pytest.approx((2, 2 / reach, 2 * reach), rel=1e-4)
    logs = log_mean_sum([np.array([9.0, 11.0]), np.array([4.5, 5.5])], np.array([2.0, -2.0]))
    assert logs[:3] == pytest.approx([2 * math.log(x) for x in found[:3]])


def test_the_interval_of_a_ratio_holds_one_where_means_are_equal():
    rng, count = np.random.default_rng(0), 1000
    drawn = 10 + 2 * rng.normal(size=(count, 2, 5))
    found = [mean_ratio(*pair) for pair in drawn]
    assert 0.94 <= np.mean([one.low <= 1 <= one.high for one in found]) <= 0.98  # 0.96


def test_equal_seeds_have_an_interval_without_width():
    assert estimate(np.full(5, 0.9)) == Estimate(0.9, 0.9, 0.9, 5)
    assert estimate(np.full(7, 0.1), MEAN) == Estimate(0.1, 0.1, 0.1, 7)
    # Rounding does not make a difference of what is equal.
    assert mean_difference(np.full(5, 0.1), np.full(3, 0.1)) == Estimate(0, 0, 0, 3)
    assert mean_difference(np.full(5, 3.0), np.full(5, 1.0)) == Estimate(2, 2, 2, 5)
    assert mean_ratio(np.full(5, 3.0), np.full(5, 3.0)) == Estimate(1, 1, 1, 5)


def test_one_seed_has_no_interval():
    assert show(estimate(np.array([0.5]))) == "0.500"
    assert show(mean_difference(np.array([0.5]), np.arange(3.0))) == "-0.500"
    assert mean_ratio(np.array([4.0]), np.array([2.0])) == pytest.approx((2, 2, 2, 1))


def test_seeds_that_are_not_finite_are_left_out():
    assert show(estimate(np.array([np.nan, 1.0, np.inf]))) == "1.000"
    assert show(estimate(np.array([np.nan]))) == "no episode to count"
    assert mean_difference(np.array([np.nan]), np.arange(3.0)).num_seeds == 0
    assert mean_ratio(np.array([np.nan]), np.arange(1.0, 3.0)).num_seeds == 0
    known = mean_difference(np.array([1.0, 2.0, np.nan]), np.array([0.0, 1.0]))
    assert known == mean_difference(np.array([1.0, 2.0]), np.array([0.0, 1.0]))


def test_ties_count_half_in_the_probability_of_improvement():
    # Pairs (2, 1), (2, 2), (3, 1), (3, 2), each twice: three are won and one is tied.
    first, second = np.array([2.0, 3.0]), np.array([1.0, 2.0, np.nan])
    assert probability_of_improvement(first, second) == 3.5 / 4
    assert probability_of_improvement(second, first) == 0.5 / 4
    assert np.isnan(probability_of_improvement(first, second[2:]))


def test_the_interval_of_an_improvement_is_that_of_seeds_drawn_anew():
    # Every pair of draws of {1, 3} against {2}: (1, 1), (1, 3), (3, 1), (3, 3) win 0, 1/2, 1/2, 1.
    found = improvement(np.array([1.0, 3.0]), np.array([2.0, 2.0]))
    assert found == Estimate(0.5, 0.0, 1.0, 2)
    sure = improvement(np.arange(5.0) + 9, np.arange(4.0))
    assert sure == Estimate(1.0, 1.0, 1.0, 4)
    first, second = np.arange(8.0), np.arange(8.0) + 0.5
    found = improvement(first, second)
    assert found.value == probability_of_improvement(first, second) == 28 / 64
    assert found.low < found.value < found.high
    # The same samples have the same interval, whatever else was drawn.
    assert improvement(first, second) == found


def test_the_improvement_of_one_seed_has_no_interval():
    found = improvement(np.array([1.0, np.nan]), np.arange(3.0))
    assert (found.value, found.num_seeds, show(found)) == (0.5, 1, "0.500")
    assert improvement(np.array([np.nan]), np.arange(3.0)).num_seeds == 0
