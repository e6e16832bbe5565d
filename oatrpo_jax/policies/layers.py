"""The linear layer of all networks, the product behind it, and hidden layers."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from oatrpo_jax.config import Config
from oatrpo_jax.policies.initializers import orthogonal


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


class Layers(NamedTuple):
    """How hidden layers are built.

    Attributes:
        sizes: their widths.
        activation: their nonlinearity, ``"tanh"`` or ``"relu"``.
        is_normalised: whether there is a layer norm in each.
    """

    sizes: tuple[int, ...]
    activation: str
    is_normalised: bool = False

    @classmethod
    def of(cls, config: Config) -> Layers:
        """Returns those of the networks of a learner."""
        return cls(config.hidden_sizes, config.activation, config.layer_norm)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Returns ``[..., sizes[-1]]`` features; called inside a module, whose layers they are."""
        activate = {"tanh": nn.tanh, "relu": nn.relu}[self.activation]
        norm = functools.partial(nn.LayerNorm, dtype=jnp.float32, use_fast_variance=False)
        for size in self.sizes:
            x = dense(size, kernel_init=orthogonal(2**0.5))(x)
            x = activate(norm()(x) if self.is_normalised else x)
        return x
