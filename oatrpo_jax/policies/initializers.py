"""Orthogonal initialisation without LAPACK.

The initialisers of jax and flax take a QR decomposition.  On CPU, jaxlib's batched QR splits its
work over the thread pool that is running it: two at once inside one jitted program on a machine
with two cores wait for each other for ever.  Initialising vmapped seeds inside a program
therefore needs matrix products only.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

Initializer = Callable[..., jax.Array]

_NEWTON_SCHULZ_ITERATIONS = 40
"""Small singular values grow by 1.5 per iteration: 40 bring one of 1e-6 of the largest to 1."""


def orthogonal(scale: float) -> Initializer:
    """Returns an initialiser of ``[rows, columns]`` matrices with orthonormal columns times scale.

    A wide matrix has orthonormal rows instead.  It is the polar factor of a Gaussian matrix,
    hence uniform over orthogonal matrices, as with a QR decomposition.
    """

    def init(key: jax.Array, shape: tuple[int, int], dtype: jnp.dtype = jnp.float32) -> jax.Array:
        rows, columns = shape
        tall = polar_factor(jax.random.normal(key, (max(shape), min(shape)), dtype))
        return scale * (tall if rows >= columns else tall.T)

    return init


def polar_factor(matrix: jax.Array) -> jax.Array:
    """Returns the nearest matrix with orthonormal columns to a tall ``[rows, columns]`` one.

    Newton-Schulz iteration ``X <- 1.5 X - 0.5 X X'X`` from ``matrix / norm``
    (Higham, Functions of Matrices, section 8.3).
    """
    exact = jax.lax.Precision.HIGHEST

    def iterate(_: int, x: jax.Array) -> jax.Array:
        gram = jnp.matmul(x.T, x, precision=exact)
        return 1.5 * x - 0.5 * jnp.matmul(x, gram, precision=exact)

    start = matrix / jnp.linalg.norm(matrix)
    return jax.lax.fori_loop(0, _NEWTON_SCHULZ_ITERATIONS, iterate, start)
