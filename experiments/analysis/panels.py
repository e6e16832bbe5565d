"""What the panels of a picture show: the metrics that change, in training and in evaluations."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from envs.importing import without_folder
from experiments.analysis.colours import REST, Look
from experiments.analysis.curves import Entries, Line, Mark, draw_curves, looks_shown
from experiments.analysis.grids import MAX_BANDS, PointLooks, point_looks
from experiments.analysis.results import Result
from experiments.analysis.statistics import Curve, curve_over_seeds
from experiments.analysis.summary import best_first

METRICS = ("success", "return", "length", "optimality")
"""The episode metrics that curves.png shows, where the environment reports them and they change."""

ROUNDING = 1e-6
"""Numbers as close to each other, relatively, are the same: metrics are float32."""


class Choice(NamedTuple):
    """The metrics to draw, and a remark on those that are not: "" if all are."""

    metrics: list[str]
    remark: str


def choose_metrics(
    names: Sequence[str],
    trained: Sequence[tuple[Result, int]],
    evaluated: Sequence[tuple[Result, int]] = (),
) -> Choice:
    """Returns the metrics that change along some of these runs, or between them.

    Where none does, it is the return: an empty picture would not say so.

    Args:
        names: episode metrics that all of the runs report.
        trained: runs, each with a grid point, whose training is drawn.
        evaluated: the same of those whose evaluations are drawn.
    """
    changing, constant = [], []
    for name in names:
        found = [_trained_values(result, name, point) for result, point in trained]
        found += [_evaluated_values(result, name, point) for result, point in evaluated]
        values = np.concatenate(found)
        values = values[np.isfinite(values)]
        low, high = (values.min(), values.max()) if values.size else (np.nan, np.nan)
        # A single number may be the first of a curve that changes.
        if values.size == 1 or high - low > ROUNDING * max(1.0, abs(low), abs(high)):
            changing.append(name)
        elif values.size:
            constant.append((name, f"{name} {values[0]:.4g}"))
    if not changing:
        changing = ["return"]
    texts = [text for name, text in constant if name not in changing]
    return Choice(changing, f"never changing: {', '.join(texts)}" if texts else "")


def _trained_values(result: Result, name: str, point: int) -> np.ndarray:
    """Returns every number of a metric in training."""
    trained, ended = (result.sound(f"episode/{each}", point) for each in (name, "count"))
    return trained[ended > 0]


def _evaluated_values(result: Result, name: str, point: int) -> np.ndarray:
    """Returns every number of a metric's curve in evaluations."""
    curve = evaluation_curve(result, name, point)
    return np.empty(0) if curve is None else np.concatenate([curve.low, curve.mean, curve.high])


def evaluation_curve(result: Result, name: str, point: int) -> Curve | None:
    """Returns a metric of the evaluations while training went on, if it was measured."""
    updates, names, _ = log = result.evaluation_log
    if f"evaluation/{name}" not in names:
        return None
    is_sound = updates <= result.num_sound(point)
    values = log.columns[f"evaluation/{name}"][is_sound, point].astype(np.float64)
    return curve_over_seeds(result.steps_after(updates[is_sound]), values)


def save_curves(result: Result, path: Path) -> None:
    """Saves success, return, length and, where reported, optimality over environment steps.

    Greedy evaluations stand beside training.  What never changes is left out, and the title says
    so.
    """
    drawn = point_looks(result)
    trained = [DrawnPoint(result, point, drawn.looks[point]) for point in drawn.order]
    evaluated = [
        each._replace(look=evaluation_look(drawn, each.look))
        for each in choose_evaluated(result, trained)
    ]
    names = [name for name in METRICS if result.has(name)]
    chosen = choose_metrics(names, *([one[:2] for one in each] for each in (trained, evaluated)))
    lines = {
        name: training_lines(name, trained) + evaluation_lines(name, evaluated)
        for name in chosen.metrics
    }
    interval = " and 95% interval" * drawn.has_bands
    statistic = f"mean{interval} over seeds" if result.num_seeds > 1 else ""
    title = "\n".join(filter(None, [make_title(result, statistic), drawn.remark, chosen.remark]))
    entries = point_entries(drawn, evaluated, looks_shown(lines))
    figure = draw_curves(lines, entries, title=title, marks=find_marks(result))
    figure.savefig(path, dpi=120)


class DrawnPoint(NamedTuple):
    """A grid point of a run, and how its curve is drawn."""

    result: Result
    point: int
    look: Look


def training_lines(name: str, points: Sequence[DrawnPoint]) -> list[Line]:
    """Returns the curves of a metric in training, below the crosses of those that diverged."""
    curves = [result.curve(name, point) for result, point, _ in points]
    lost = [
        (Curve(*(values[-1:] for values in curve)), CROSS)
        for curve, (result, point, _) in zip(curves, points, strict=True)
        if point in result.diverged
    ]
    return [(curve, each.look) for curve, each in zip(curves, points, strict=True)] + lost


def evaluation_lines(name: str, points: Sequence[DrawnPoint]) -> list[Line]:
    """Returns the curves of a metric in evaluations, where it was measured."""
    curves = ((evaluation_curve(result, name, point), look) for result, point, look in points)
    return [(curve, look) for curve, look in curves if curve is not None]


CROSS = Look("black", style="", marker="X", has_band=False)
"""Marks the end of what diverged."""

CROSS_NAME = "diverged there"
"""What a legend says of the crosses."""


def choose_evaluated(result: Result, trained: Sequence[DrawnPoint]) -> list[DrawnPoint]:
    """Returns the points whose evaluations are drawn: those in colour; of too many, the best."""
    in_colour = [each for each in trained if each.look.colour != REST]
    if len(in_colour) <= MAX_BANDS:
        return in_colour
    best = best_first(result)[0]
    return [each for each in in_colour if each.point == best]


def evaluation_look(drawn: PointLooks, look: Look) -> Look:
    """Returns how evaluations are drawn beside training of that look: thinner, with dots."""
    return look._replace(marker="o", width=0.9, has_band=len(drawn.looks) == 1)


def point_entries(drawn: PointLooks, evaluated: Sequence[DrawnPoint], shown: set[Look]) -> Entries:
    """Returns the legend of a run's curves.

    Args:
        drawn: how its points are drawn.
        evaluated: the points whose evaluations are drawn, if there are any.
        shown: the looks of all curves that have points.
    """
    entries = [*drawn.entries]
    looks = [each.look for each in evaluated if each.look in shown]
    if looks and not entries:
        entries += [("training", look) for look in drawn.looks[:1] if look in shown]
        entries.append(("evaluation, likeliest actions", looks[0]))
    elif looks and len(evaluated) == 1:
        result, point, look = evaluated[0]
        entries.append((f"evaluation of the best: {result.labels[point]}", look))
    elif looks:
        # Colours and styles mean something already.
        entries.append(("evaluation, likeliest actions", evaluation_look(drawn, Look("0.3"))))
    return entries + [(CROSS_NAME, CROSS)] * (CROSS in shown)


def find_marks(result: Result) -> dict[str, Mark]:
    """Returns the mark of the shortest possible episodes, where their length is known."""
    length = result.config.get("optimal_episode_length")
    return {} if length is None else {"length": Mark(length, "optimal")}


def make_title(result: Result, remark: str) -> str:
    """Returns environment, algorithm and number of seeds, and a remark if there is one."""
    plural = "s" if result.num_seeds > 1 else ""
    names = f"{without_folder(result.config['environment'])}, {result.config['algorithm']}"
    title = f"{names}, {result.num_seeds} seed{plural}"
    return f"{title} ({remark})" if remark else title
