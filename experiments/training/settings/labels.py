"""Names of grid points: what is swept there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def name_points(
    points: Sequence[Mapping[str, float]], swept: Sequence[str], otherwise: str
) -> list[str]:
    """Returns a name for each point, unlike those of other values; ``otherwise`` if none is swept.

    >>> name_points([{"gamma": 0.9, "rho": 1}, {"gamma": 1.0, "rho": 1}], ["gamma"], "oappo")
    ['gamma=0.9', 'gamma=1']
    """
    columns = [
        [f"{name}={text}" for text in value_texts([point[name] for point in points])]
        for name in swept
    ]
    return [", ".join(entries) for entries in zip(*columns, strict=True)] or [otherwise]


def value_texts(values: Sequence[float]) -> list[str]:
    """Returns numbers in six digits; in all of theirs if six make two of them look alike.

    >>> value_texts([0.1, 1e-05]), value_texts([0.9999991, 0.9999993])
    (['0.1', '1e-05'], ['0.9999991', '0.9999993'])
    """
    short = [f"{value:g}" for value in values]
    is_clear = len(set(short)) == len(set(values))
    return short if is_clear else [repr(value) for value in values]
