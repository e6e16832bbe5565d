"""The linear layer of all networks, and the product behind it."""

from __future__ import annotations

import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp


def product(x: jax.Array, kernel: jax.Array, *_: Any, **__: Any) -> jax.Array:
    """Returns ``x @ kernel``, ``[..., outputs]`` of ``[..., inputs]``; stands for `dot_general`.

    All rows are in one axis meanwhile: the gradient of a product with more axes takes a CPU half as
    long again.  The axis before the features comes first in it: if that is one of environments,
    which may lie on several devices, rows stay where they are.

    By default accelerators round factors to 8 or 11 bits; ratios would not start at 1.
    """
    if x.ndim < 2:
        return jnp.matmul(x, kernel, precision=jax.lax.Precision.HIGHEST)
    by_env = jnp.moveaxis(x, -2, 0)
    rows = by_env.reshape(-1, x.shape[-1])
    outputs = jnp.matmul(rows, kernel, precision=jax.lax.Precision.HIGHEST)
    return jnp.moveaxis(outputs.reshape(*by_env.shape[:-1], kernel.shape[-1]), 0, -2)


dense = functools.partial(nn.Dense, dtype=jnp.float32, dot_general=product)
"""The linear layer: number of outputs -> module."""
