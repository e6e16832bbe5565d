"""Branches of a run's key, one for each purpose besides training."""

from __future__ import annotations

import jax

FIRST = 2**20
"""Numbers of purposes are from here on.  Training splits the key, and ``fold_in(key, i)`` is
``split(key, n)[i]``: nobody splits into so many."""

EPISODES = range(FIRST, FIRST + 4)
"""Purposes of episodes that are played besides training: `experiments.training.playing.Purpose`."""

GROUPING = FIRST + 4
"""Agents are put in clusters."""


def branch(key: jax.Array, purpose: int, number: int = 0) -> jax.Array:
    """Returns a key for one purpose, which nothing else uses; the run's key stays usable.

    Args:
        key: a run's, as training begins with it.
        purpose: what the new key is for.
        number: tells keys for one purpose apart: the update, say.
    """
    return jax.random.fold_in(jax.random.fold_in(key, purpose), number)
