"""Some rows of experience: whole sequences of some environments, whose axes stay apart."""

from __future__ import annotations

import math
from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from oatrpo_jax.types import PyTree

Batch = TypeVar("Batch", bound=PyTree)


def spaced_envs(shape: tuple[int, ...], num_rows: int, num_groups: int = 1) -> np.ndarray:
    """Returns ``[E']`` evenly spaced environments that have at most ``num_rows`` rows together.

    Args:
        shape: ``[..., T, E]`` of all rows.
        num_rows: of all slots; more if a group of one environment of each has more.
        num_groups: of equal size that they are to make up, at most E.
    """
    num_envs, rows_of_env = shape[-1], math.prod(shape[:-1])
    count = max(min(num_rows // rows_of_env, num_envs) // num_groups, 1) * num_groups
    return np.linspace(0, num_envs - 1, count).round().astype(int)


def subsample_envs(batch: Batch, envs: np.ndarray) -> Batch:
    """Returns the whole sequences of some environments in every slot: ``[N, T, E']``."""
    return jax.tree.map(lambda x: x[:, :, envs], batch)


def take_envs(batch: Batch, envs: jax.Array | np.ndarray | None) -> Batch:
    """Returns the rows ``[T, E', ...]`` of some environments; all of them for None."""
    return batch if envs is None else jax.tree.map(lambda x: x[:, envs], batch)


def minibatch_envs(key: jax.Array, num_envs: int, num_minibatches: int) -> jax.Array | None:
    """Returns ``[num_minibatches, E / num_minibatches]`` shuffled environments; None for one.

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
    return jax.random.permutation(key, num_envs).reshape(num_minibatches, -1)


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
