"""Learning curves, and how curves look in every picture of a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.analysis.legends import draw_legend, with_legend
from experiments.analysis.statistics import bootstrap_interval
from experiments.analysis.summary import episode_mean
from experiments.training.settings.experiment import Experiment

COLOURS = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#000000",
    "#999933",
)
"""Okabe and Ito's palette, told apart by colour-blind readers too (yellow darkened)."""

MAX_BINS = 60
"""Points per learning curve at most: neighbouring updates are averaged."""

STYLES = ("-", "--", ":", "-.")
"""Distinguish curves once all colours are used."""


class Curve(NamedTuple):
    """Mean (or another statistic) over seeds and its 95% interval; ``[bins]`` each."""

    env_steps: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray


def save_curves(experiment: Experiment, history: Mapping[str, np.ndarray], path: Path) -> None:
    """Saves success, return, length and, where reported, optimality over environment steps."""
    names = [
        name
        for name in ("success", "return", "length", "optimality")
        if f"episode/{name}" in history
    ]
    labels = point_labels(experiment)
    size = with_legend(4.2 * len(names), 4.0, labels)
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(1, len(names), squeeze=False)[0]
    for axes, name in zip(panels, names, strict=True):
        for point in range(len(experiment.points)):
            draw_curve(axes, point_curve(experiment, history, name, point), point)
        dress(axes, name, getattr(experiment.trainer.env, "optimal_episode_length", None))
    draw_legend(figure, panels[0], labels, size[0])
    remark = "mean and 95% interval over seeds" if len(experiment.seeds) > 1 else ""
    figure.suptitle(make_title(experiment, remark))
    figure.savefig(path, dpi=120)


def point_curve(
    experiment: Experiment, history: Mapping[str, np.ndarray], name: str, point: int
) -> Curve:
    """Returns one metric's curve at a grid point, neighbouring updates averaged by episodes."""
    return learning_curve(
        history[f"episode/{name}"][:, point],
        history["episode/count"][:, point],
        experiment.config.num_envs,
        experiment.config.steps_per_update,
    )


def learning_curve(
    value: np.ndarray,
    count: np.ndarray,
    num_envs: int,
    steps_per_update: int,
    statistic: Callable[..., np.ndarray] = np.mean,
) -> Curve:
    """Returns the curve of ``[U, K]`` means over the episodes that ended, ``count`` of them."""
    ends = bin_ends(count, num_envs)
    starts = [0, *ends][:-1]
    per_seed = [
        episode_mean(value[first:end], count[first:end])
        for first, end in zip(starts, ends, strict=True)
    ]
    num_seeds = count.shape[1]
    centre, low, high = interval(np.reshape(per_seed, (len(ends), num_seeds)), statistic)
    return Curve(np.array(ends, int) * steps_per_update, centre, low, high)


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


def interval(
    per_seed: np.ndarray, statistic: Callable[..., np.ndarray] = np.mean
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns a statistic over seeds and its 95% interval; ``[bins, K]`` -> 3 x ``[bins]``."""
    if not len(per_seed):
        return np.empty(0), np.empty(0), np.empty(0)
    return statistic(per_seed, axis=-1), *bootstrap_interval(per_seed, statistic=statistic)


def draw_curve(axes: Axes, curve: Curve, index: int) -> None:
    """Draws a curve and its band in the colour of its index; a dot and a bar of a single point."""
    colour = COLOURS[index % len(COLOURS)]
    style = STYLES[index // len(COLOURS) % len(STYLES)]
    is_single = len(curve.env_steps) == 1
    marker = "o" if is_single else ""
    axes.plot(curve.env_steps, curve.mean, style, marker=marker, color=colour, label=str(index))
    if is_single:
        axes.vlines(curve.env_steps, curve.low, curve.high, color=colour, alpha=0.5)
    axes.fill_between(curve.env_steps, curve.low, curve.high, color=colour, alpha=0.2, lw=0)


def point_labels(experiment: Experiment) -> list[str]:
    """Returns the names of the grid points; a single one needs none."""
    count = len(experiment.points)
    return [experiment.label(point) for point in range(count)] if count > 1 else []


def dress(axes: Axes, name: str, optimal_length: float | None) -> None:
    """Labels a panel of learning curves, and marks the shortest possible episode if known."""
    axes.set_xlabel("environment steps per seed")
    axes.set_title(f"episode {name}")
    axes.xaxis.set_major_formatter(lambda x, _: short_number(x))
    axes.locator_params(axis="x", nbins=5)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    if name in ("success", "optimality"):
        axes.set_ylim(-0.03, 1.03)
    if name == "length" and optimal_length is not None:
        axes.axhline(optimal_length, color="grey", ls=":", label="_")
        axes.annotate(
            "optimal",
            (1, optimal_length),
            xycoords=("axes fraction", "data"),
            xytext=(0, 3),
            textcoords="offset points",
            ha="right",
            color="grey",
        )


def make_title(experiment: Experiment, remark: str) -> str:
    """Returns environment, algorithm and number of seeds, and a remark if there is one."""
    env, seeds = experiment.options.run.env, len(experiment.seeds)
    plural = "s" if seeds > 1 else ""
    title = f"{env}, {experiment.algorithm.name}, {seeds} seed{plural}"
    return f"{title} ({remark})" if remark else title


def short_number(number: float) -> str:
    """Returns a count for an axis.

    >>> short_number(150_000), short_number(2_500_000), short_number(1_024), short_number(512)
    ('150k', '2.5M', '1k', '512')
    """
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{round(number / size, 1):g}{letter}"
    return f"{number:g}"
