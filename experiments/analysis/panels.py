"""What the panels of a picture show: the metrics that change, in training and in evaluations."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from experiments.analysis.colours import DOTTED, REST, Look
from experiments.analysis.curves import Entries, Line, Mark, draw_curves
from experiments.analysis.grids import MAX_BANDS, PointLooks, point_looks
from experiments.analysis.results import Result
from experiments.analysis.statistics import Curve, curve_over_seeds

METRICS = ("success", "return", "length", "optimality")
"""The episode metrics that curves.png shows, where the environment reports them and they change."""

ROUNDING = 1e-6
"""Numbers as close to each other, relatively, are the same: metrics are float32."""


class Choice(NamedTuple):
    """The metrics to draw, and a remark on those that are not: "" if all are."""

    metrics: list[str]
    remark: str


def choose_metrics(names: Sequence[str], points: Sequence[tuple[Result, int]]) -> Choice:
    """Returns the metrics that change along some of these runs, or between them.

    Where none does, it is the return: an empty picture would not say so.

    Args:
        names: episode metrics that all of the runs report.
        points: runs, each with a grid point.
    """
    changing, constant = [], []
    for name in names:
        values = np.concatenate([_all_values(result, name, point) for result, point in points])
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


def _all_values(result: Result, name: str, point: int) -> np.ndarray:
    """Returns every number that is known of a metric, in training and in evaluations."""
    trained, ended = (result.sound(f"episode/{each}", point) for each in (name, "count"))
    values = [trained[ended > 0]]
    if (evaluated := evaluation_curve(result, name, point)) is not None:
        values += [evaluated.low, evaluated.mean, evaluated.high]
    known = np.concatenate([each.ravel() for each in values])
    return known[np.isfinite(known)]


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
    drawn, points = point_looks(result), [(result, point) for point in range(result.num_points)]
    chosen = choose_metrics([name for name in METRICS if result.has(name)], points)
    lines = {name: point_lines(result, name, drawn) for name in chosen.metrics}
    interval = " and 95% interval" * drawn.has_bands
    statistic = f"mean{interval} over seeds" if result.num_seeds > 1 else ""
    title = "\n".join(filter(None, [make_title(result, statistic), drawn.remark, chosen.remark]))
    figure = draw_curves(lines, point_entries(result, drawn), title=title, marks=find_marks(result))
    figure.savefig(path, dpi=120)


def point_lines(result: Result, name: str, drawn: PointLooks) -> list[Line]:
    """Returns the lines of a metric, the evaluations' above those of training."""
    training = [(result.curve(name, point), drawn.looks[point]) for point in drawn.order]
    lost = [
        (Curve(*(values[-1:] for values in curve)), CROSS)
        for point, (curve, _) in zip(drawn.order, training, strict=True)
        if point in result.diverged
    ]
    evaluated = [
        (curve, evaluation_look(drawn, look))
        for point, (_, look) in zip(drawn.order, training, strict=True)
        if look.colour != REST and (curve := evaluation_curve(result, name, point)) is not None
    ]
    return training + lost + evaluated


CROSS = Look("black", style="", marker="X", has_band=False)
"""Marks the end of what diverged."""


def evaluation_look(drawn: PointLooks, look: Look) -> Look:
    """Returns how evaluations are drawn beside training of that look: dots, joined if few are."""
    number = sum(one.colour != REST for one in drawn.looks)
    style = DOTTED if number <= MAX_BANDS else ""
    return Look(look.colour, style, "o", 0.9, has_band=number == 1)


def point_entries(result: Result, drawn: PointLooks) -> Entries:
    """Returns the legend of a run's curves."""
    entries = [*drawn.entries]
    if result.evaluation_log.names:
        # With colours that mean something already, training needs no name.
        trained = Look("0.3") if entries else drawn.looks[0]
        entries += [] if entries else [("training", trained)]
        entries.append(("evaluation, likeliest actions", evaluation_look(drawn, trained)))
    if result.diverged:
        entries.append(("diverged there", CROSS))
    return entries


def find_marks(result: Result) -> dict[str, Mark]:
    """Returns the mark of the shortest possible episodes, where their length is known."""
    length = result.config.get("optimal_episode_length")
    return {} if length is None else {"length": Mark(length, "optimal")}


def make_title(result: Result, remark: str) -> str:
    """Returns environment, algorithm and number of seeds, and a remark if there is one."""
    plural = "s" if result.num_seeds > 1 else ""
    names = f"{result.config['environment']}, {result.config['algorithm']}"
    title = f"{names}, {result.num_seeds} seed{plural}"
    return f"{title} ({remark})" if remark else title
