"""How the points of a run are told apart: by colour and style of their lines, and by a legend."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from experiments.analysis.colours import REST, SOLID, STYLES, THIN, Look, in_order, look_of
from experiments.analysis.curves import Legend
from experiments.analysis.results import Point, Result
from experiments.analysis.summary import best_first
from experiments.training.settings.points import value_texts

NUM_BEST = 5
"""How many points of a search have a colour and a name; the others are grey."""

MAX_NAMED = 12
"""Values of a coefficient that the legend names at most; of more some are left out."""


class PointLooks(NamedTuple):
    """How points are drawn.

    Attributes:
        looks: of each point, in the order in which they are drawn, the last above all others.
        legend: empty for the single point of a run.
        remark: what the legend does not say of them.
    """

    looks: Mapping[Point, Look]
    legend: Legend
    remark: str = ""

    @property
    def has_bands(self) -> bool:
        """Whether an interval is drawn at all; there is none where lines are too many for it."""
        return any(look.has_band for look in self.looks.values())


def point_looks(result: Result) -> PointLooks:
    """Returns how a run's points are drawn, by what differs between them.

    A single point has the colour of its algorithm.  One coefficient is told by colour, from dark to
    light; of two in a grid the one with fewer values by the style of the line.  Where there is more
    to tell, the best points have a colour and a name each, and the others are grey.
    """
    points, swept = result.points, result.config["swept"]
    values = {name: sorted({point.coefficients[name] for point in points}) for name in swept}
    # Of a search as well a coefficient may have one value only.
    names = sorted((k for k, v in values.items() if len(v) > 1), key=lambda k: -len(values[k]))
    if not names:
        return PointLooks(dict.fromkeys(points, run_look(result)._replace(style=SOLID)), [])
    if len(names) == 1:
        return _by_colour(points, names[0])
    is_product = math.prod(len(values[name]) for name in names) == len(points)
    if len(names) == 2 and is_product and len(values[names[1]]) <= len(STYLES):
        return _by_colour_and_style(points, {name: values[name] for name in names})
    return _by_rank(result)


def run_look(result: Result) -> Look:
    """Returns how a run is drawn beside others: in the colour of its algorithm."""
    return look_of(result.config["algorithm"], result.config["reuse_matrix"])


def point_name(point: Point) -> str:
    """Returns a point's label, that it diverged if it did, and whether there is no curve of it."""
    return point.label + ", diverged" * point.is_diverged + ", no curve" * (not point.has_curve)


def _by_colour(points: Sequence[Point], name: str) -> PointLooks:
    """Returns points of one coefficient: dark to light as it rises."""
    ordered, colours = sorted(points, key=lambda one: one.coefficients[name]), in_order(len(points))
    looks = {
        point: Look(colour).among(len(points))
        for point, colour in zip(ordered, colours, strict=True)
    }
    legend = [(point_name(point), looks[point]) for point in _some(ordered)]
    left_out = len(points) - len(legend)
    remark = f"colours of {name} from dark to light, {left_out} not named" if left_out else ""
    return PointLooks(looks, legend, remark)


def _by_colour_and_style(
    points: Sequence[Point], values: Mapping[str, Sequence[float]]
) -> PointLooks:
    """Returns points of a grid of two coefficients, whose values are sorted: colour, then style."""
    (name, hues), (other, fewer) = values.items()
    colours = dict(zip(hues, in_order(len(hues)), strict=True))
    styles = dict(zip(fewer, STYLES, strict=False))
    looks = {}
    for point in points:
        look = Look(colours[point.coefficients[name]], styles[point.coefficients[other]])
        looks[point] = look.among(len(points))
    named = _some([*zip(value_texts(hues), colours.values(), strict=True)])
    legend = [(f"{name}={text}", Look(colour)) for text, colour in named]
    legend += [
        (f"{other}={text}", Look("black", style))
        for text, style in zip(value_texts(fewer), styles.values(), strict=True)
    ]
    left_out = len(hues) - len(named)
    remark = f"{left_out} values of {name} between them not named" if left_out else ""
    return PointLooks(looks, legend, remark)


def _by_rank(result: Result) -> PointLooks:
    """Returns points of which the best have a colour each, the best of all the darkest."""
    ranked = best_first(result)
    best, num_others = ranked[:NUM_BEST], len(ranked[NUM_BEST:])
    rest = Look(REST, width=THIN, has_band=False)
    colours = map(Look, in_order(len(best)))
    looks = dict.fromkeys(reversed(ranked), rest) | dict(zip(best, colours, strict=True))
    legend = [
        (f"{place}. {point_name(point)}", looks[point]) for place, point in enumerate(best, 1)
    ]
    legend += [(f"the other {num_others}", rest)] * (num_others > 0)
    return PointLooks(looks, legend, f"the best {len(best)} of {len(ranked)} have a colour")


def _some(places: Sequence[Any]) -> list[Any]:
    """Returns all of a few places; of many some from the first to the last, evenly.

    >>> _some(range(3)), _some(range(23))
    ([0, 1, 2], [0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22])
    """
    if len(places) <= MAX_NAMED:
        return [*places]
    last, parts = len(places) - 1, MAX_NAMED - 1
    return [places[round(part * last / parts)] for part in range(MAX_NAMED)]
