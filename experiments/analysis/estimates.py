"""Estimates over seeds, and how sure they are: one meaning of a 95% interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

CONFIDENCE = 0.95

ROUNDING = 1e-12
"""Differences as small are none: what is equal differs by rounding, and may have no spread."""

MIN_SEEDS = 4
"""The intervals are right of normal numbers.  Ends and steps are discrete and bounded: that two or
three of them agree happens by chance, and their interval has then no width."""

NUM_RESAMPLES = 2000
"""Samples that a bootstrap draws, as many as rliable's."""

BATCH_PAIRS = 1_000_000
"""Pairs of seeds that are looked at together."""

MEAN, IQM = 0.0, 0.25
"""Shares of the seeds that an average leaves out at either end: of none, or of a quarter."""


class Estimate(NamedTuple):
    """A statistic of some seeds with its 95% interval; of one seed the interval has no width."""

    value: float
    low: float
    high: float
    num_seeds: int


def average(seeds: np.ndarray, trim: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns a mean over the last axis and the two ends of its 95% interval.

    Of the mean it is Student's interval.  Of a trimmed mean it is that of Tukey and McLaughlin
    (1963) with Yuen's (1974) standard error: the spread is that of the seeds with those left out
    moved to the nearest of the ``kept``, and there are ``kept - 1`` degrees of freedom.

    Args:
        seeds: ``[..., K]``; fewer than two make an interval without width.
        trim: share left out at either end, rounded down to whole seeds: `MEAN` or `IQM`.

    >>> float(average(np.array([0.0, 2.0, 3.0, 4.0, 100.0]), IQM)[0])
    3.0
    """
    count = seeds.shape[-1]
    cut = int(trim * count)
    ordered, kept = np.sort(seeds, axis=-1), count - 2 * cut
    lowest, highest = ordered[..., [cut]], ordered[..., [count - 1 - cut]]
    # As a distance from a seed, the mean of equal seeds is that seed to the bit.
    centre = lowest[..., 0] + np.mean(ordered[..., cut : count - cut] - lowest, axis=-1)
    if count < 2:
        return centre, centre, centre
    moved = np.clip(seeds, lowest, highest) - lowest
    error = np.sqrt(np.var(moved, axis=-1) * count / (kept * (kept - 1)))
    reach = _quantile(kept - 1) * error
    return centre, centre - reach, centre + reach


def estimate(seeds: np.ndarray, trim: float = IQM) -> Estimate:
    """Returns a mean of ``[K]`` seeds with its interval; those that are not finite are left out."""
    known = _finite(seeds)
    if not known.size:
        return Estimate(np.nan, np.nan, np.nan, 0)
    value, low, high = average(known, trim)
    return Estimate(float(value), float(low), float(high), known.size)


def estimate_share(share: float, count: int) -> Estimate:
    """Returns a probability with Wilson's 95% interval, from its share of ``count`` trials.

    >>> show(estimate_share(0.5, 100))
    '0.500 [0.404, 0.596]'
    """
    from scipy import stats  # Takes a second to import.

    trials = stats.binomtest(round(share * count), count)
    interval = trials.proportion_ci(CONFIDENCE, method="wilson")
    return Estimate(share, float(interval.low), float(interval.high), count)


def mean_difference(first: np.ndarray, second: np.ndarray) -> Estimate:
    """Returns how much larger the first sample's mean is, with Welch's interval."""
    return _weighted_sum([first, second], np.array([1.0, -1.0]), is_log=False)


def log_mean_sum(samples: Sequence[np.ndarray], weights: np.ndarray) -> Estimate:
    """Returns ``sum_i weights[i] log(mean of sample i)``, whose interval is approximate.

    It is Welch's, with the variance of a mean's logarithm by the delta method: that of the mean
    over its square.

    Args:
        samples: positive numbers, ``[K_i]`` each, drawn independently of each other.
        weights: of their logarithms.
    """
    return _weighted_sum(samples, weights, is_log=True)


def mean_ratio(first: np.ndarray, second: np.ndarray) -> Estimate:
    """Returns the ratio of the means of two samples of positive numbers, as `log_mean_sum`."""
    *logarithms, num_seeds = log_mean_sum([first, second], np.array([1.0, -1.0]))
    value, low, high = (math.exp(x) for x in logarithms)
    return Estimate(value, low, high, num_seeds)


def _weighted_sum(samples: Sequence[np.ndarray], weights: np.ndarray, *, is_log: bool) -> Estimate:
    """Returns the weighted sum of means, or of their logarithms, with Welch's interval."""
    known = [_finite(sample) for sample in samples]
    num_seeds = min(sample.size for sample in known)
    if not num_seeds:
        return Estimate(np.nan, np.nan, np.nan, 0)
    means = np.array([average(sample, MEAN)[0] for sample in known])
    values, slopes = (np.log(means), weights / means) if is_log else (means, weights)
    value = float(weights @ values)
    if abs(value) < ROUNDING:
        value = 0.0
    if num_seeds < 2:
        return Estimate(value, value, value, num_seeds)
    variances = [np.var(x - x[0]) / (x.size - 1) for x in known]  # Of the means.
    parts, freedom = slopes**2 * variances, np.array([x.size - 1 for x in known])
    total = float(np.sum(parts))
    if not total:
        return Estimate(value, value, value, num_seeds)
    # The degrees of freedom of Welch and Satterthwaite.
    reach = _quantile(total**2 / float(np.sum(parts**2 / freedom))) * math.sqrt(total)
    return Estimate(value, value - reach, value + reach, num_seeds)


def _quantile(degrees_of_freedom: float) -> float:
    """Returns how many standard errors the interval reaches to either side, by Student's t."""
    from scipy import stats  # Takes a second to import.

    return float(stats.t.ppf((1 + CONFIDENCE) / 2, degrees_of_freedom))


def _finite(seeds: np.ndarray) -> np.ndarray:
    return np.asarray(seeds)[np.isfinite(seeds)]


def improvement(first: np.ndarray, second: np.ndarray) -> Estimate:
    """Returns the `probability_of_improvement` with its interval over seeds, as rliable has it.

    It is the percentile bootstrap's (Agarwal et al. 2021): both samples are drawn anew, each from
    its own seeds.  It has no width where every pair is won or every pair is lost.
    """
    from scipy import stats  # Takes a second to import.

    known = _finite(first), _finite(second)
    value, num_seeds = probability_of_improvement(*known), min(each.size for each in known)
    if num_seeds < 2:
        return Estimate(value, value, value, num_seeds)
    seed: Any = {"random_state": 0}  # Newer versions of scipy call it rng, and take both.
    drawn = stats.bootstrap(
        known,
        _share_of_pairs,
        n_resamples=NUM_RESAMPLES,
        batch=max(1, BATCH_PAIRS // (known[0].size * known[1].size)),
        confidence_level=CONFIDENCE,
        method="percentile",
        **seed,
    )
    low, high = drawn.confidence_interval
    return Estimate(value, float(low), float(high), num_seeds)


def _share_of_pairs(first: np.ndarray, second: np.ndarray, axis: int = -1) -> np.ndarray:
    """Returns the share of pairs along the last axes in which the first is ahead, ties half."""
    ahead = np.sign(first[..., :, None] - second[..., None, :])
    return (np.mean(ahead, axis=(axis - 1, axis)) + 1) / 2


def probability_of_improvement(first: np.ndarray, second: np.ndarray) -> float:
    """Returns the chance that a seed of the first sample exceeds one of the second; ties half.

    This is the Mann-Whitney statistic as a share of all pairs.

    >>> probability_of_improvement(np.array([1.0, 3.0]), np.array([2.0, 3.0]))
    0.375
    """
    from scipy import stats  # Takes a second to import.

    one, other = _finite(first), _finite(second)
    if not (one.size and other.size):
        return math.nan
    found = stats.mannwhitneyu(one, other, method="asymptotic")  # The p-value is not looked at.
    return float(found.statistic / (one.size * other.size))


def show(quantity: Estimate, style: str = ".3f") -> str:
    """Returns an estimate as text; whoever shows those of one seed says so once.

    >>> show(Estimate(0.5, 0.4, 0.6, 5)), show(Estimate(0.5, 0.5, 0.5, 1))
    ('0.500 [0.400, 0.600]', '0.500')
    """
    if quantity.num_seeds == 0:
        return "no episode to count"
    value, low, high = (f"{x:{style}}" for x in quantity[:3])
    return f"{value} [{low}, {high}]" if quantity.num_seeds > 1 else value


def show_steps(
    steps: np.ndarray, reached: np.ndarray, trim: float = IQM, style: str = ",.0f"
) -> list[str]:
    """Returns two cells: the steps to a threshold over seeds, and how many seeds reached it.

    Args:
        steps: ``[K]`` environment steps; all that were done where it was not reached.
        reached: ``[K]`` whether it was.
        trim: `MEAN` or `IQM`.
        style: of the steps, or of the seconds that are given in their place.

    >>> show_steps(np.array([1000.0, 1000.0]), np.array([True, False]))
    ['at least 1,000 [1,000, 1,000]', '1 of 2']
    """
    bound = "" if reached.all() else "at least "
    return [bound + show(estimate(steps, trim), style), f"{int(reached.sum())} of {len(reached)}"]
