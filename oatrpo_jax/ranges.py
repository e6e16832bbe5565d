"""Numbers that a user may set: counts, and coefficients within declared ranges."""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass
from numbers import Real
from typing import Any

import jax
import jax.core
import jax.numpy as jnp
import numpy as np

TINY = float(np.finfo(np.float32).tiny)
"""The least positive float32 of full precision; guards denominators."""
MAX_COUNT = int(np.iinfo(np.int32).max)
"""The largest number that a loop on the device counts to."""
_LARGEST = float(np.finfo(np.float32).max)
_BELOW_ONE = float(np.nextafter(np.float32(1), np.float32(0)))


@dataclass(frozen=True)
class Range:
    """Which finite numbers a coefficient may be.

    Attributes:
        low: the least of them.
        high: the largest.
        words: what to expect, for error messages.
        interval: the same in signs, for help texts.
    """

    low: float
    high: float
    words: str
    interval: str


POSITIVE = Range(TINY, _LARGEST, "a finite number above 0", "(0, inf)")
NOT_NEGATIVE = Range(0, _LARGEST, "a finite number of at least 0", "[0, inf)")
AT_LEAST_ONE = Range(1, _LARGEST, "a finite number of at least 1", "[1, inf)")
UNIT = Range(0, 1, "a number in [0, 1]", "[0, 1]")
BELOW_ONE = Range(0, _BELOW_ONE, "a number of at least 0 and below 1", "[0, 1)")
INSIDE_UNIT = Range(TINY, _BELOW_ONE, "a number strictly between 0 and 1", "(0, 1)")

LOG_STD = Range(-20, 20, "a number in [-20, 20]", "[-20, 20]")
"""Deviations from 2e-9 to 5e8, whose squares and their inverses are far from infinite."""


def is_count(value: Any, least: int = 1) -> bool:
    """Returns whether a value is a whole number of at least ``least``, Python's or numpy's."""
    if isinstance(value, bool):
        return False
    try:
        return operator.index(value) >= least
    except TypeError:
        return False


def check_count(name: str, value: Any, most: float = math.inf, least: int = 1) -> None:
    """Raises a ValueError that names the field unless its value is a whole number within bounds."""
    if not is_count(value, least):
        raise ValueError(f"{name}: expected a whole number of at least {least}, got {value!r}")
    if value > most:
        raise ValueError(f"{name}: expected at most {most}, got {value}")


def check_number(name: str, value: Any, allowed: Range) -> None:
    """Raises a ValueError that names the field unless its value is one number within the range."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise ValueError(f"{name}: expected {allowed.words}, got {value!r}")
    check_range(name, jnp.float32(value), allowed)


def as_coefficient(name: str, value: Any) -> jax.Array:
    """Returns one coefficient or several as float32; a ValueError names what is no number."""
    try:
        array = jnp.asarray(value, jnp.float32)
    except (TypeError, ValueError):
        raise ValueError(f"{name}: expected a number or an array of them, got {value!r}") from None
    if not array.size:
        raise ValueError(f"{name}: expected at least one value, got {value!r}")
    return array


def check_range(name: str, value: jax.Array, allowed: Range) -> None:
    """Raises a ValueError that starts with the name unless every entry is within the range."""
    if isinstance(value, jax.core.Tracer):
        return  # Made inside somebody's jit: there is no value to look at.
    entries = np.asarray(value)
    inside = (entries >= np.float32(allowed.low)) & (entries <= allowed.high)
    bad = entries[~(np.isfinite(entries) & inside)]
    if bad.size:
        raise ValueError(f"{name}: expected {allowed.words}, got {bad.flat[0]:g}")
