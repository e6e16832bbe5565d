"""Averages over episodes: ends of runs, bins of learning curves, windows before a threshold.

Throughout, ``value`` is the mean over the episodes that ended in each update, and ``count`` how
many did: ``[U, ...]``, with the U updates first.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

DECISIVE = ("success", "return")
"""The episode metrics that decide what is best; an environment need not report success."""

TABLED = (*DECISIVE, "length")
"""Those in the table of a run, of a comparison and, first of all, of an evaluation."""

DRAWN = (*TABLED, "optimality")
"""Those in curves.png, where they change."""

RANKED = ("return", "success", "length")
"""Those in the table of a sweep."""

PUBLISHED = (*RANKED, "optimality", "path_optimality")
"""Those in the figures and tables on the paper."""

SHARES = ("success", "optimality", "path_optimality")
"""Those in [0, 1]."""

TAIL = 0.1
"""Share of the updates that is a run's end."""

MAX_BINS = 60
"""Points per learning curve at most: neighbouring updates are averaged."""

WINDOW = 400
"""Episodes that show that a threshold is reached.

Of 400 episodes of which 0.8 succeed, the share has a standard deviation of 0.02, so that 0.9 is
five of them away.
"""

ROUNDING = 1e-6
"""Metrics are float32, and a mean that rounding alone keeps below a threshold has reached it."""


class Curve(NamedTuple):
    """A statistic over seeds along a run, and its 95% interval; ``[bins]`` each."""

    env_steps: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray


def episode_mean(value: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Returns the mean over axis 0 with each entry weighted by its episodes; NaN without any."""
    total = np.sum(np.where(count > 0, value, 0.0) * count, axis=0, dtype=np.float64)
    episodes = np.sum(count, axis=0, dtype=np.float64)
    return np.where(episodes > 0, total / np.maximum(episodes, 1), np.nan)


def tail_means(value: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Returns ``[...]`` the mean over all episodes that ended in the last tenth of the updates."""
    tail = math.ceil(TAIL * len(value))
    return episode_mean(value[len(value) - tail :], count[len(count) - tail :])


def bin_ends(count: np.ndarray, num_envs: int, max_bins: int = MAX_BINS) -> np.ndarray:
    """Returns ``[bins]`` where each bin of updates ends.

    A bin closes once every seed has ended as many episodes as it has environments: early on,
    updates in which only the luckiest episodes end would look better than they are.

    Args:
        count: ``[U, K]``.
        num_envs: environments per seed.
        max_bins: how many bins there may be.
    """
    shortest = -(-len(count) // max_bins)
    total = np.concatenate([np.zeros((1, count.shape[1])), np.cumsum(count, axis=0)])
    ends = [0]
    while True:
        start = ends[-1]
        full = [np.searchsorted(each, each[start] + num_envs) for each in total.T]
        end = max(start + shortest, *full)
        if end > len(count):
            return np.array(ends[1:], int)
        ends.append(int(end))


def even_means(values: np.ndarray, max_bins: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns ``[bins]`` ends and ``[bins, ...]`` means of bins of as many entries of axis 0 each.

    The last bin may be shorter.

    >>> ends, means = even_means(np.array([0.0, 2.0, 5.0, 7.0, 9.0]), max_bins=3)
    >>> ends.tolist(), means.tolist()
    ([2, 4, 5], [1.0, 6.0, 9.0])
    """
    length = max(1, -(-len(values) // max_bins))
    starts = range(0, len(values), length)
    means = [values[start : start + length].mean(axis=0, dtype=np.float64) for start in starts]
    ends = [min(start + length, len(values)) for start in starts]
    return np.array(ends, int), np.reshape(means, (len(ends), *values.shape[1:]))


def bin_means(value: np.ndarray, count: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Returns ``[bins, K]`` the mean over the episodes that ended in each bin of updates."""
    bins = [slice(start, end) for start, end in zip([0, *ends], ends, strict=False)]
    means = [episode_mean(value[one], count[one]) for one in bins]
    return np.reshape(means, (len(ends), count.shape[1]))


def first_passage(value: np.ndarray, count: np.ndarray, threshold: float) -> float:
    """Returns after how many updates one seed is at a threshold and stays there, or infinity.

    This is the end of the first window of `WINDOW` episodes, with those of whole updates, whose
    mean is at or above the threshold, as is the mean of all episodes from the window's first on.
    The second condition keeps out a lucky window of a policy that levels off a little below.
    """
    episodes, total = (
        np.concatenate([[0.0], np.cumsum(each)])
        for each in (count, np.where(count > 0, value, 0.0) * count)
    )
    (ends,) = np.nonzero(episodes >= WINDOW)
    # The last start that leaves enough episodes to the window.
    starts = np.searchsorted(episodes, episodes[ends] - WINDOW, side="right") - 1
    in_window = (total[ends] - total[starts]) / (episodes[ends] - episodes[starts])
    afterwards = (total[-1] - total[starts]) / (episodes[-1] - episodes[starts])
    is_there = np.minimum(in_window, afterwards) >= threshold - ROUNDING
    return float(ends[np.argmax(is_there)]) if is_there.any() else math.inf
