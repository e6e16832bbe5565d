"""Branches of a run's key, one for each purpose besides training."""

from __future__ import annotations

from enum import IntEnum

import jax


class Purpose(IntEnum):
    """What a run's key is branched for.

    Training splits the key, and ``fold_in(key, i)`` is ``split(key, n)[i]``: so numbers are from
    2**20 on, which nobody splits into.
    """

    CURVE = 2**20
    ABSOLUTE = 2**20 + 1
    AFTERWARDS = 2**20 + 2
    REPLAY = 2**20 + 3
    GROUPING = 2**20 + 4


def branch(key: jax.Array, purpose: Purpose, number: int = 0) -> jax.Array:
    """Returns a key for one purpose, which nothing else uses; the run's key stays usable.

    Args:
        key: a run's, as training begins with it.
        purpose: what the new key is for.
        number: tells keys for one purpose apart: the update, say.
    """
    return jax.random.fold_in(jax.random.fold_in(key, purpose), number)
