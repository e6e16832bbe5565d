"""Estimates over seeds, and how sure they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

RESAMPLES = 2000
"""Bootstrap samples behind an interval."""

BATCH = 100
"""Bootstrap samples in memory at once: a long run has thousands of updates."""


class Estimate(NamedTuple):
    """A statistic of some seeds with its 95% interval; without two seeds there is no interval."""

    value: float
    low: float
    high: float
    num_seeds: int

    @property
    def has_interval(self) -> bool:
        """Whether there were seeds enough for an interval."""
        return self.num_seeds > 1


def iqm(values: np.ndarray, axis: int = -1) -> np.ndarray:
    """Returns the interquartile mean: the mean without the lowest and the highest quarter.

    Of five values it is the mean of the middle three.

    >>> float(iqm(np.array([0.0, 2.0, 3.0, 4.0, 100.0])))
    3.0
    """
    from scipy import stats  # Takes a second to import, and training begins without it.

    return stats.trim_mean(values, 0.25, axis=axis)


def bootstrap_interval(
    *samples: np.ndarray, statistic: Callable[..., np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the 95% percentile bootstrap interval of a statistic over the last axis.

    Args:
        samples: ``[..., K]`` each, resampled independently of each other.
        statistic: takes the samples and an axis.
    """
    if min(sample.shape[-1] for sample in samples) < 2:
        value = statistic(*samples, axis=-1)
        return value, value
    from scipy import stats

    result = stats.bootstrap(
        samples,
        statistic,
        n_resamples=RESAMPLES,
        batch=BATCH,
        vectorized=True,
        axis=-1,
        method="percentile",
        rng=np.random.default_rng(0),
    )
    return result.confidence_interval.low, result.confidence_interval.high


def estimate(*samples: np.ndarray, statistic: Callable[..., np.ndarray] = iqm) -> Estimate:
    """Returns a statistic of one-dimensional samples; seeds that are NaN are left out."""
    known = [sample[np.isfinite(sample)] for sample in map(np.asarray, samples)]
    num_seeds = min(sample.size for sample in known)
    if num_seeds == 0:
        return Estimate(np.nan, np.nan, np.nan, 0)
    low, high = bootstrap_interval(*known, statistic=statistic)
    return Estimate(float(statistic(*known, axis=-1)), float(low), float(high), num_seeds)


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
    known = [sample[np.isfinite(sample)] for sample in (first, second)]
    if min(sample.size for sample in known) == 0:
        return float("nan")
    return float(np.mean(np.heaviside(known[0][:, None] - known[1], 0.5)))


def show(quantity: Estimate, style: str = ".3f") -> str:
    """Returns an estimate as text.

    >>> show(Estimate(0.5, 0.4, 0.6, 5)), show(Estimate(0.5, 0.5, 0.5, 1))
    ('0.500 [0.400, 0.600]', '0.500 (one seed: no interval)')
    """
    if quantity.num_seeds == 0:
        return "no episode ended"
    if not quantity.has_interval:
        return f"{quantity.value:{style}} (one seed: no interval)"
    return f"{quantity.value:{style}} [{quantity.low:{style}}, {quantity.high:{style}}]"
