"""Some rows of experience: whole sequences of some environments, whose axes stay apart."""

from __future__ import annotations

import math
from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from oatrpo_jax.types import PyTree

Batch = TypeVar("Batch", bound=PyTree)


class SpacedEnvs(NamedTuple):
    """Some environments: as many of each group of neighbours, evenly spaced there.

    Attributes:
        num_groups: of equal size, of all environments.
        of_each: how many of each group.
    """

    num_groups: int
    of_each: int


def spaced_envs(shape: tuple[int, ...], num_rows: int, num_blocks: int = 1) -> SpacedEnvs:
    """Returns environments with at most ``num_rows`` rows together.

    They have more than half as many, or all rows.  Their groups are such as several devices have
    whole: of all numbers of groups, one with most factors of two.

    Args:
        shape: ``[..., T, E]`` of all rows.
        num_rows: of all slots; more if a block of one environment of each has more.
        num_blocks: of equal size that they are to make up, at most E.
    """
    num_envs, rows_of_env = shape[-1], math.prod(shape[:-1])
    count = max(min(num_rows // rows_of_env, num_envs) // num_blocks, 1) * num_blocks
    found = (
        SpacedEnvs(groups, count // groups)
        for groups in range(1, count + 1)
        if num_envs % groups == 0 and count // groups * groups % num_blocks == 0
    )
    return max(found, key=lambda it: (it.num_groups & -it.num_groups, math.prod(it), it))


def take_spaced(batch: Batch, envs: SpacedEnvs) -> Batch:
    """Returns the whole sequences of some environments, ``[T, E', ...]`` of ``[T, E, ...]``.

    Args:
        batch: fields have leading axes ``[T, E]``.
        envs: which, see `spaced_envs`.
    """
    num_groups, of_each = envs

    def take(x: jax.Array) -> jax.Array:
        groups = _in_groups(x, num_groups)
        return _ungrouped(groups[:, :, np.arange(of_each) * groups.shape[2] // of_each])

    return jax.tree.map(take, batch)


def _in_groups(x: jax.Array, num_groups: int) -> jax.Array:
    """Returns ``[T, G, E / G, ...]`` of ``[T, E, ...]``: groups of neighbouring environments."""
    return x.reshape(len(x), num_groups, -1, *x.shape[2:])


def _ungrouped(x: jax.Array) -> jax.Array:
    """Returns ``[T, G K, ...]`` of ``[T, G, K, ...]``."""
    return x.reshape(len(x), -1, *x.shape[3:])


def take_minibatch(batch: Batch, places: jax.Array | None) -> Batch:
    """Returns the rows ``[T, E', ...]`` of some environments of ``[T, E, ...]``; all for None.

    Args:
        batch: fields have leading axes ``[T, E]``.
        places: ``[E']`` of each within its group of neighbours; see `minibatch_places`.
    """
    if places is None:
        return batch

    def take(x: jax.Array) -> jax.Array:
        index = places.reshape(1, -1, 1, *[1] * (x.ndim - 2))
        groups = _in_groups(x, len(places))
        return _ungrouped(jnp.take_along_axis(groups, index, axis=2, mode="clip"))

    return jax.tree.map(take, batch)


def minibatch_places(key: jax.Array, num_envs: int, num_minibatches: int) -> jax.Array | None:
    """Returns which environment of every group of M neighbours each minibatch takes.

    ``[M, E / M]`` int32, from 0 to M - 1 for M minibatches; None for one.  Where each group lies on
    one device, all of its rows stay there.  The key is consumed.

    Raises:
        ValueError: if the minibatches cannot be of equal size.
    """
    if num_envs % num_minibatches:
        raise ValueError(
            f"num_minibatches = {num_minibatches} does not divide the {num_envs} environments of "
            "the trajectory; choose a divisor"
        )
    if num_minibatches == 1:
        return None
    places = jnp.tile(jnp.arange(num_minibatches), (num_envs // num_minibatches, 1))
    return jax.random.permutation(key, places, axis=1, independent=True).T


def blocks_of(batch: Batch, num_groups: int, num_stretches: int = 1) -> Batch:
    """Returns the rows of every slot in blocks of equal size: ``[N, K, T', E']``.

    Args:
        batch: fields have leading axes ``[N, T, E]``; T may be 1 where it stands for any length.
        num_groups: of environments, a divisor of E.
        num_stretches: of time, at most T; steps left over are dropped.
    """

    def split(x: jax.Array) -> jax.Array:
        slots, length, num_envs = len(x), x.shape[1] // num_stretches, x.shape[2] // num_groups
        x = x[:, : num_stretches * length]
        x = x.reshape(slots, num_stretches, length, num_groups, num_envs, *x.shape[3:])
        return jnp.moveaxis(x, 3, 2).reshape(slots, -1, length, num_envs, *x.shape[5:])

    return jax.tree.map(split, batch)
