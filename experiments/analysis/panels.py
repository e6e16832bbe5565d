"""What the panels of a picture show: the metrics that change, in training and in evaluations."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from experiments.analysis.colours import MAX_BANDS, REST, Look
from experiments.analysis.curves import Legend, Line, Mark, draw_curves
from experiments.analysis.grids import PointLooks, point_looks
from experiments.analysis.results import Point, Result, reported
from experiments.analysis.statistics import DRAWN, Curve
from experiments.analysis.summary import best_first

ROUNDING = 1e-6
"""Numbers as close to each other, relatively, are the same: metrics are float32."""

CROSS = Look("black", style="", marker="X", has_band=False)
"""Marks the end of what diverged."""


def save_curves(result: Result, path: Path) -> None:
    """Saves success, return, length and, where reported, optimality over environment steps.

    Greedy evaluations stand beside training.  What never changes is left out, and the title says
    so.
    """
    drawn = point_looks(result)
    interval = " and 95% interval" * drawn.has_bands
    title = make_title(result, f"mean{interval} over seeds" if result.num_seeds > 1 else "")
    metrics = reported([result], DRAWN)
    draw_metrics(metrics, drawn, evaluation_looks(result, drawn), title).savefig(path, dpi=120)


def make_title(result: Result, remark: str) -> str:
    """Returns environment, algorithm and number of seeds, and a remark if there is one."""
    plural = "s" if result.num_seeds > 1 else ""
    algorithm = result.config["algorithm"]
    title = f"{result.environment}, {algorithm}, {result.num_seeds} seed{plural}"
    return f"{title} ({remark})" if remark else title


def draw_metrics(
    metrics: Sequence[str], trained: PointLooks, evaluated: Mapping[Point, Look], title: str
) -> Figure:
    """Returns a figure with a panel per metric that changes.

    Args:
        metrics: episode metrics that all of the runs report.
        trained: the points whose training is drawn.
        evaluated: those whose evaluations are drawn, with their looks.
        title: what to say above all else.
    """
    evaluations: dict[str, list[Line]] = {metric: [] for metric in metrics}
    for metric, (point, look) in itertools.product(metrics, evaluated.items()):
        if (curve := point.evaluation_curve(metric)) is not None:
            evaluations[metric].append((curve, look))
    values = {metric: _values(metric, trained.looks, evaluations[metric]) for metric in metrics}
    changing, constant = choose_metrics(values)
    lines = {
        metric: training_lines(metric, trained.looks) + evaluations[metric] for metric in changing
    }
    shown = {look for each in lines.values() for curve, look in each if len(curve.env_steps)}
    first = next(iter(trained.looks)).result
    length = first.config.get("optimal_episode_length")
    return draw_curves(
        lines,
        make_legend(trained, evaluated, shown),
        title="\n".join(filter(None, [title, trained.remark, constant])),
        marks={} if length is None else {"length": Mark(length, "optimal")},
    )


def _values(metric: str, trained: Iterable[Point], evaluations: Sequence[Line]) -> np.ndarray:
    """Returns every finite number of a metric in training and of its curves in evaluations."""
    episodes = (point.episodes(metric) for point in trained)
    found = [value[count > 0] for value, count in episodes]
    found += [each for curve, _ in evaluations for each in (curve.low, curve.mean, curve.high)]
    values = np.concatenate(found)
    return values[np.isfinite(values)]


def choose_metrics(values: Mapping[str, np.ndarray]) -> tuple[list[str], str]:
    """Returns the metrics of which not all values are the same, and a remark on the others.

    Where all of each are the same, it is the return: an empty picture would not say so.
    """
    changing, constant = [], {}
    for metric, found in values.items():
        low, high = (found.min(), found.max()) if found.size else (np.nan, np.nan)
        # A single number may be the first of a curve that changes.
        if found.size == 1 or high - low > ROUNDING * max(1.0, abs(low), abs(high)):
            changing.append(metric)
        elif found.size:
            constant[metric] = f"{metric} {found[0]:.4g}"
    if not changing:
        changing = ["return"]
        constant.pop("return", None)
    return changing, f"never changing: {', '.join(constant.values())}" if constant else ""


def training_lines(metric: str, looks: Mapping[Point, Look]) -> list[Line]:
    """Returns the curves of a metric in training, below the crosses of those that diverged."""
    curves = {point: point.curve(metric) for point in looks}
    crosses = [
        (Curve(*(values[-1:] for values in curve)), CROSS)
        for point, curve in curves.items()
        if point.is_diverged
    ]
    return [(curve, looks[point]) for point, curve in curves.items()] + crosses


def evaluation_looks(result: Result, trained: PointLooks) -> dict[Point, Look]:
    """Returns how evaluations are drawn of the points in colour; of too many, of the best."""
    points = [point for point, look in trained.looks.items() if look.colour != REST]
    if len(points) > MAX_BANDS:
        best = best_first(result)[0]
        points = [point for point in points if point is best]
    has_band = len(trained.looks) == 1
    return {point: _beside(trained.looks[point])._replace(has_band=has_band) for point in points}


def _beside(look: Look) -> Look:
    """Returns how evaluations are drawn beside training of that look: thinner, with dots."""
    return look._replace(marker="o", width=0.9, has_band=False)


def make_legend(trained: PointLooks, evaluated: Mapping[Point, Look], shown: set[Look]) -> Legend:
    """Returns the legend of curves; ``shown`` are the looks of those that have points."""
    legend = [*trained.legend]
    looks = [look for look in evaluated.values() if look in shown]
    if looks and not legend:
        legend += [("training", look) for look in [*trained.looks.values()][:1] if look in shown]
        legend.append(("evaluation, likeliest actions", looks[0]))
    elif looks and len(evaluated) == 1:
        legend += [(f"evaluation of the best: {p.label}", look) for p, look in evaluated.items()]
    elif looks:
        # Colours and styles mean something already.
        legend.append(("evaluation, likeliest actions", _beside(Look("0.3"))))
    return legend + [("diverged there", CROSS)] * (CROSS in shown)
