"""How the points of a run are told apart: by colour and style of their lines, and by a legend."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from experiments.analysis.colours import REST, SOLID, STYLES, Look, in_order, look_of
from experiments.analysis.curves import Entries
from experiments.analysis.results import Result
from experiments.analysis.summary import best_first
from experiments.training.settings.points import value_texts

NUM_BEST = 5
"""How many points of a search have a colour and a name; the others are grey."""

MAX_NAMED = 12
"""Values of a coefficient that the legend names at most; of more some are left out."""

MAX_BANDS = 8
"""Points with a band at most: those of more would hide each other."""


THIN = 1.0
"""Points in width of the lines of so many, and of those that are drawn in grey."""


class PointLooks(NamedTuple):
    """How a run's points are drawn.

    Attributes:
        looks: of each point.
        entries: the legend; empty for a single point.
        order: the points in the order in which they are drawn, the last above all others.
        remark: what the legend does not say of them.
    """

    looks: list[Look]
    entries: Entries
    order: list[int]
    remark: str = ""

    @property
    def has_bands(self) -> bool:
        """Whether an interval is drawn at all; there is none where lines are too many for it."""
        return any(look.has_band for look in self.looks)


def point_looks(result: Result) -> PointLooks:
    """Returns how a run's points are drawn, by what differs between them.

    A single point has the colour of its algorithm.  One coefficient is told by colour, from dark to
    light; of two in a grid the one with fewer values by the style of the line.  Where there is more
    to tell, the best points have a colour and a name each, and the others are grey.
    """
    points = result.config["points"]
    columns = {name: [point[name] for point in points] for name in result.config["swept"]}
    sizes = {name: len(set(values)) for name, values in columns.items()}
    # Of a search as well a coefficient may have one value only.
    by_size = sorted((name for name in columns if sizes[name] > 1), key=lambda name: -sizes[name])
    if not by_size:
        look = run_look(result)._replace(style=SOLID)
        return PointLooks([look] * len(points), [], [*range(len(points))])
    if len(by_size) == 1:
        return _by_colour(result, by_size[0], columns[by_size[0]])
    is_product = math.prod(sizes[name] for name in by_size) == len(points)
    if len(by_size) == 2 and is_product and sizes[by_size[1]] <= len(STYLES):
        return _by_colour_and_style(by_size, [columns[name] for name in by_size])
    return _by_rank(result)


def run_look(result: Result) -> Look:
    """Returns how a run is drawn beside others: in the colour of its algorithm."""
    return look_of(result.config["algorithm"], result.config["reuse_matrix"])


def has_curve(result: Result, point: int) -> bool:
    """Returns whether episodes enough ended for a learning curve, before the point diverged."""
    return len(result.curve("return", point).env_steps) > 0


def point_name(result: Result, point: int) -> str:
    """Returns a point's label, that it diverged if it did, and whether there is no curve of it."""
    diverged = ", diverged" * (point in result.diverged)
    return result.labels[point] + diverged + ", no curve" * (not has_curve(result, point))


def _by_colour(result: Result, name: str, values: Sequence[float]) -> PointLooks:
    """Returns points of one coefficient: dark to light as it rises."""
    has_band = len(values) <= MAX_BANDS
    width = None if has_band else THIN
    order = sorted(range(len(values)), key=values.__getitem__)
    looks = [Look("")] * len(values)
    for point, colour in zip(order, in_order(len(values)), strict=True):
        looks[point] = Look(colour, SOLID, "", width, has_band)
    named = _some(order)
    entries = [(point_name(result, point), looks[point]) for point in named]
    left_out = len(order) - len(named)
    remark = f"colours of {name} from dark to light, {left_out} not named" if left_out else ""
    return PointLooks(looks, entries, order, remark)


def _by_colour_and_style(names: Sequence[str], columns: Sequence[Sequence[float]]) -> PointLooks:
    """Returns points of a grid of two coefficients, the first told by colour."""
    by_colour, by_style = (sorted(set(values)) for values in columns)
    colours = dict(zip(by_colour, in_order(len(by_colour)), strict=True))
    styles = dict(zip(by_style, STYLES, strict=False))
    has_band = len(columns[0]) <= MAX_BANDS
    width = None if has_band else THIN
    looks = [
        Look(colours[one], styles[other], "", width, has_band)
        for one, other in zip(*columns, strict=True)
    ]
    texts = [value_texts(values) for values in (by_colour, by_style)]
    named = _some([*range(len(by_colour))])
    entries = [(f"{names[0]}={texts[0][at]}", Look(colours[by_colour[at]])) for at in named]
    entries += [
        (f"{names[1]}={text}", Look("black", style))
        for text, style in zip(texts[1], styles.values(), strict=True)
    ]
    left_out = len(by_colour) - len(named)
    remark = f"{left_out} values of {names[0]} between them not named" if left_out else ""
    return PointLooks(looks, entries, [*range(len(looks))], remark)


def _by_rank(result: Result) -> PointLooks:
    """Returns points of which the best have a colour each, the best of all the darkest."""
    ranked = best_first(result)
    best, others = ranked[:NUM_BEST], ranked[NUM_BEST:]
    looks = [Look(REST, width=THIN, has_band=False)] * len(ranked)
    for point, colour in zip(best, in_order(len(best)), strict=True):
        looks[point] = Look(colour)
    entries = [
        (f"{place}. {point_name(result, point)}", looks[point])
        for place, point in enumerate(best, 1)
    ]
    if others:
        entries.append((f"the other {len(others)}", looks[others[0]]))
    return PointLooks(
        looks, entries, ranked[::-1], f"the best {len(best)} of {len(ranked)} have a colour"
    )


def _some(places: Sequence[int]) -> list[int]:
    """Returns all of a few places; of many some from the first to the last, evenly.

    >>> _some(range(3)), _some(range(23))
    ([0, 1, 2], [0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22])
    """
    if len(places) <= MAX_NAMED:
        return [*places]
    last, parts = len(places) - 1, MAX_NAMED - 1
    return [places[round(part * last / parts)] for part in range(MAX_NAMED)]
