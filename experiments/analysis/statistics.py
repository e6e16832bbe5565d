"""Averages over episodes, estimates over seeds, and how sure they are."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

RESAMPLES = 2000
"""Bootstrap samples behind an interval."""

TAIL = 0.1
"""Share of the updates that is a run's end."""

MIN_BATCH, BATCH_NUMBERS = 100, 10**5
"""Bootstrap samples drawn at once: as many as hold so many numbers, and at least so many."""

MAX_BINS = 60
"""Points per learning curve at most: neighbouring updates are averaged."""

Statistic = Callable[..., np.ndarray]
"""(samples ``[..., K]``, axis) -> ``[...]``."""


class Estimate(NamedTuple):
    """A statistic of some seeds with its 95% interval; of one seed the interval has no width."""

    value: float
    low: float
    high: float
    num_seeds: int

    @property
    def has_interval(self) -> bool:
        """Whether there were seeds enough for an interval."""
        return self.num_seeds > 1


class Curve(NamedTuple):
    """A statistic over seeds along a run, and its 95% interval; ``[bins]`` each."""

    env_steps: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray


def iqm(values: np.ndarray, axis: int = -1) -> np.ndarray:
    """Returns the interquartile mean: the mean without the lowest and the highest quarter.

    Of five values it is the mean of the middle three.

    >>> float(iqm(np.array([0.0, 2.0, 3.0, 4.0, 100.0])))
    3.0
    """
    from scipy import stats  # Takes a second to import.

    return stats.trim_mean(values, 0.25, axis=axis)


def bootstrap_interval(*samples: np.ndarray, statistic: Statistic) -> tuple[np.ndarray, np.ndarray]:
    """Returns the 95% percentile bootstrap interval of a statistic over the last axis.

    Args:
        samples: ``[..., K]`` each, resampled independently of each other.
        statistic: takes the samples and an axis.
    """
    if min(sample.shape[-1] for sample in samples) < 2 or not samples[0].size:
        value = statistic(*samples, axis=-1)
        return value, value
    from scipy import stats

    # A long run has thousands of updates; not all samples fit into memory.  One sample alone gets
    # the same draws in batches of any size, several of them others.
    batch = max(MIN_BATCH, BATCH_NUMBERS // samples[0].size) if len(samples) == 1 else MIN_BATCH
    result = stats.bootstrap(
        samples,
        statistic,
        n_resamples=RESAMPLES,
        batch=batch,
        vectorized=True,
        axis=-1,
        method="percentile",
        rng=np.random.default_rng(0),
    )
    return result.confidence_interval.low, result.confidence_interval.high


def estimate(*samples: np.ndarray, statistic: Statistic = iqm) -> Estimate:
    """Returns a statistic of one-dimensional samples; seeds that are not finite are left out."""
    known = [sample[np.isfinite(sample)] for sample in map(np.asarray, samples)]
    num_seeds = min(sample.size for sample in known)
    if num_seeds == 0:
        return Estimate(np.nan, np.nan, np.nan, 0)
    low, high = bootstrap_interval(*known, statistic=statistic)
    return Estimate(float(statistic(*known, axis=-1)), float(low), float(high), num_seeds)


def estimate_share(share: float, count: int) -> Estimate:
    """Returns a probability with Wilson's 95% interval, from its share of ``count`` trials.

    >>> show(estimate_share(0.5, 100))
    '0.500 [0.404, 0.596]'
    """
    from scipy import stats

    interval = stats.binomtest(round(share * count), count).proportion_ci(method="wilson")
    return Estimate(share, float(interval.low), float(interval.high), count)


def mean_difference(first: np.ndarray, second: np.ndarray) -> Estimate:
    """Returns how much larger the mean of the first sample is than that of the second."""

    def difference(first: np.ndarray, second: np.ndarray, axis: int) -> np.ndarray:
        return np.mean(first, axis=axis) - np.mean(second, axis=axis)

    return estimate(first, second, statistic=difference)


def probability_of_improvement(first: np.ndarray, second: np.ndarray) -> float:
    """Returns the chance that a seed of the first sample exceeds one of the second; ties half.

    This is the Mann-Whitney statistic as a share of all pairs.

    >>> probability_of_improvement(np.array([1.0, 3.0]), np.array([2.0, 3.0]))
    0.375
    """
    from scipy import stats

    one, other = (sample[np.isfinite(sample)] for sample in (first, second))
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
        return "no episode ended"
    value, low, high = (f"{x:{style}}" for x in quantity[:3])
    return f"{value} [{low}, {high}]" if quantity.has_interval else value


def show_steps(steps: np.ndarray, reached: np.ndarray, statistic: Statistic = iqm) -> list[str]:
    """Returns two cells: the steps to a threshold over seeds, and how many seeds reached it.

    Args:
        steps: ``[K]`` environment steps; all that were done where it was not reached.
        reached: ``[K]`` whether it was.

    >>> show_steps(np.array([1000.0, 3000.0]), np.array([True, False]))
    ['at least 2,000 [1,000, 3,000]', '1 of 2']
    """
    bound = "" if reached.all() else "at least "
    text = bound + show(estimate(steps, statistic=statistic), ",.0f")
    return [text, f"{int(reached.sum())} of {len(reached)}"]


def episode_mean(value: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Returns the mean over axis 0 with each entry weighted by its episodes; NaN without any."""
    total = np.sum(np.where(count > 0, value, 0.0) * count, axis=0, dtype=np.float64)
    episodes = np.sum(count, axis=0, dtype=np.float64)
    return np.where(episodes > 0, total / np.maximum(episodes, 1), np.nan)


def tail_means(value: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Returns ``[...]`` the mean over all episodes that ended in the last tenth of the updates.

    Args:
        value: ``[U, ...]`` mean over the episodes that ended in each update.
        count: ``[U, ...]`` how many did.
    """
    tail = math.ceil(TAIL * len(value))
    return episode_mean(value[len(value) - tail :], count[len(count) - tail :])


def bin_ends(count: np.ndarray, num_envs: int, max_bins: int = MAX_BINS) -> list[int]:
    """Returns where each bin of updates ends.

    A bin closes once every seed has ended as many episodes as it has environments: early on,
    updates in which only the luckiest episodes end would look better than they are.

    Args:
        count: ``[U, K]`` episodes that ended.
        num_envs: environments per seed.
        max_bins: how many bins there may be.
    """
    shortest = -(-len(count) // max_bins)
    ends, start = [], 0
    total = np.concatenate([np.zeros((1, count.shape[1])), np.cumsum(count, axis=0)])
    for end in range(1, len(count) + 1):
        is_full = np.min(total[end] - total[start]) >= num_envs
        if is_full and end - start >= shortest:
            ends.append(end)
            start = end
    return ends


def bin_means(value: np.ndarray, count: np.ndarray, ends: list[int]) -> np.ndarray:
    """Returns ``[bins, K]`` the mean over the episodes that ended in each bin of updates.

    Args:
        value: ``[U, K]`` mean over the episodes that ended in each update.
        count: ``[U, K]`` how many did.
        ends: of the bins.
    """
    bins = [slice(start, end) for start, end in zip([0, *ends], ends, strict=False)]
    means = [episode_mean(value[one], count[one]) for one in bins]
    return np.reshape(means, (len(ends), count.shape[1]))


def curve_over_seeds(
    env_steps: np.ndarray, per_seed: np.ndarray, statistic: Statistic = np.mean
) -> Curve:
    """Returns the curve of a quantity ``[bins, K]`` that is known after so many steps."""
    low, high = bootstrap_interval(per_seed, statistic=statistic)
    return Curve(env_steps, statistic(per_seed, axis=-1), low, high)
