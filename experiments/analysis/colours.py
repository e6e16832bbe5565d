"""One colour per algorithm wherever it is drawn, colours in an order, lines told apart."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.colors import to_hex, to_rgb

SOLID: Any = "-"
DASHED: Any = (0, (5, 1.6))
DOTTED: Any = (0, (1.2, 1.2))
DASH_DOTTED: Any = (0, (6, 1.4, 1.2, 1.4))
LONG: Any = (0, (12, 2.5))

SIGNS: Mapping[Any, str] = {
    SOLID: "s",
    DASHED: "^",
    DOTTED: "D",
    DASH_DOTTED: "v",
    LONG: "P",
}
"""The sign on a line of each style, as matplotlib names it: where lines coincide no style shows.

The dot, "o", is left for evaluations.
"""

STYLES = tuple(SIGNS)
"""Styles of lines that are told apart."""

REST = "0.72"
"""The colour of what is drawn for comparison alone."""

PALEST = 0.62
"""How much white the palest shade of a colour has."""

MAX_BANDS = 8
"""Curves with a band at most: those of more would hide each other."""

MAX_SIGNED = 12
"""Curves with signs at most: on a line that all share there is no room for those of more."""

THIN = 1.0
"""Points in width of the lines of so many, and of those that are drawn in grey."""


class Look(NamedTuple):
    """How a line is drawn.

    Attributes:
        colour: of the line, its band and its marks.
        style: of the line.
        marker: at each of its points, as matplotlib names it.
        width: in points; None is matplotlib's own.
        has_band: whether the interval is drawn as well.
    """

    colour: str
    style: Any = SOLID
    marker: str = ""
    width: float | None = None
    has_band: bool = True

    def among(self, count: int) -> Look:
        """Returns it for one of so many curves: where they are too many, thin and without band."""
        return self if count <= MAX_BANDS else self._replace(width=THIN, has_band=False)


BLUE, VERMILION, GREEN, SKY, ORANGE, PURPLE, BLACK, VIOLET = (
    *("#0072B2", "#D55E00", "#009E73", "#56B4E9"),
    *("#E69F00", "#CC79A7", "#000000", "#6969FF"),
)
"""Okabe and Ito's palette, with violet for yellow, which is not legible on white.

These and the colours below are told apart by colour-blind readers too; a test measures it.
"""

GREY = "#595959"
"""The colour of what the table lacks, and of no reuse."""

ALGORITHMS: Mapping[str, Look] = {
    "oappo": Look(BLUE),
    "oappo-auto": Look(BLUE, DASHED),
    "oappo-ess": Look(BLUE, DOTTED),
    "oatrpo": Look(VERMILION),
    "oatrpo-auto": Look(VERMILION, DASHED),
    "happo": Look(GREEN),
    "hatrpo": Look(SKY),
    "mappo": Look(ORANGE),
    "ippo": Look(PURPLE),
    "ippo-separate": Look(PURPLE, DASHED),
    "seps": Look(BLACK),
    "seac": Look(VIOLET),
    "seac-ppo": Look(VIOLET, DASHED),
    "fixed": Look("#5A2D00"),
}
"""How each algorithm is drawn; a variant has the colour of what it is a variant of."""

MATRICES: Mapping[str, Look] = {
    "nr": Look(GREY),
    "ur": Look("#87006E"),
    "rr": Look("#1414B4"),
    "ar": Look("#7BD68A"),
}
"""How ``fixed`` is drawn with a reuse matrix that has a name."""

ESTIMATORS: Mapping[str, Look] = {
    "weighted": Look(BLUE, marker="s"),
    "paired": Look(VERMILION, marker="D"),
    "sampled": Look(PURPLE, marker="X"),
}
"""How ``oappo`` is drawn with each estimator, where they are compared."""


def look_of(algorithm: str, reuse_matrix: str | None = None) -> Look:
    """Returns how an algorithm is drawn; one that the table lacks is grey.

    >>> look_of("oappo").colour == look_of("oappo-auto").colour, look_of("fixed", "RR").colour
    (True, '#1414B4')
    """
    by_name = MATRICES.get((reuse_matrix or "").lower())
    return by_name or ALGORITHMS.get(algorithm, Look(GREY))


def tell_apart(looks: Sequence[Look]) -> list[Look]:
    """Returns looks no two of which are alike: the first keeps its own.

    The others keep their colour and get a style that is free; once all are used, paler shades.

    >>> [look.style == DASHED for look in tell_apart([Look("#000000")] * 2)]
    [False, True]
    """
    # Who comes first with a look keeps it, whoever of its colour stands before.
    kept, found = set(looks), []
    free = {
        colour: _variants(colour, count, {look.style for look in kept if look.colour == colour})
        for colour, count in Counter(look.colour for look in looks).items()
    }
    for look in looks:
        found.append(look if look in kept else next(free[look.colour]))
        kept.discard(look)
    return found


def _variants(colour: str, count: int, taken: set[Any]) -> itertools.chain[Look]:
    """Returns so many looks of one colour: the free styles of its own shade, then those of paler.

    Each shade has all styles, so that no more shades than needed lie between it and the palest.
    """
    own = [Look(colour, style) for style in STYLES if style not in taken]
    num_shades = -(-max(count - len(own), 1) // len(STYLES))
    shades = [_mix(colour, PALEST * (place + 1) / num_shades) for place in range(num_shades)]
    paler = (Look(shade, style) for shade, style in itertools.product(shades, STYLES))
    return itertools.chain(own, paler)


def _mix(colour: str, share: float) -> str:
    """Returns a colour with a share of white."""
    red, green, blue = ((1 - share) * part + share for part in to_rgb(colour))
    return to_hex((red, green, blue))


def in_order(count: int) -> list[str]:
    """Returns colours of values from the lowest to the highest, dark to light, all legible.

    >>> in_order(1), in_order(3)
    (['#0d0887'], ['#0d0887', '#b7318a', '#feba2c'])
    """
    palette = mpl.colormaps["plasma"]
    # Its yellow end is not legible on white.
    return [to_hex(palette(place)) for place in np.linspace(0, 0.85, count)]
