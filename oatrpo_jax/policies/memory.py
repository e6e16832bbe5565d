"""What a policy remembers: a gated recurrent unit, and what it takes to unroll it once more."""

from __future__ import annotations

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from oatrpo_jax.policies.initializers import Initializer, orthogonal
from oatrpo_jax.policies.layers import dense


class Recall(NamedTuple):
    """From where recorded sequences are gone through again; rows have axes ``[..., T, E]``.

    Attributes:
        memory: ``[..., 1, E, H]`` before the first row; the axis of length 1 stands for T.
        ended: ``[..., T, E]`` bool, True where the episode ended with this row: what follows it
            begins with a memory of 0.
    """

    memory: jax.Array
    ended: jax.Array


class GRU(nn.Module):
    """A gated recurrent unit (Cho et al. 2014) in the form of cuDNN, along a leading axis of time.

    ``[T, ..., F], [..., H], [T, ...] -> [T, ..., H], [..., H]``: the input, the memory before the
    first step, and where episodes ended with a step; it gives what is remembered after each step,
    and the memory before whatever comes next, 0 where an episode has just ended.

    ``r, z = sigmoid(W x + U h)``, ``n = tanh(W x + r (U h + b))``, ``h' = n + z (h - n)``.

    The input's share of the gates is one product over all steps; only ``U h`` waits for the step
    before.  flax' own cell initialises U by a QR decomposition: see `initializers`.
    """

    size: int

    @nn.compact
    def __call__(
        self, x: jax.Array, memory: jax.Array, ended: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        exact, size = jax.lax.Precision.HIGHEST, self.size
        per_gate = _per_gate(orthogonal(1.0))
        gates = dense(3 * size, kernel_init=per_gate)(x)
        kernel = self.param("recurrent_kernel", per_gate, (size, 3 * size), jnp.float32)
        bias = self.param("recurrent_bias", nn.initializers.zeros, (size,), jnp.float32)

        def step(memory: jax.Array, now: tuple[jax.Array, jax.Array]):
            gates, ended = now
            own_reset, own_update, own = jnp.split(gates, 3, axis=-1)
            product = jnp.matmul(memory, kernel, precision=exact)
            past_reset, past_update, past = jnp.split(product, 3, axis=-1)
            reset, update = nn.sigmoid(own_reset + past_reset), nn.sigmoid(own_update + past_update)
            candidate = jnp.tanh(own + reset * (past + bias))
            memory = candidate + update * (memory - candidate)
            return jnp.where(ended[..., None], 0.0, memory), memory

        memory, memories = jax.lax.scan(step, memory, (gates, ended))
        return memories, memory


def _per_gate(init: Initializer) -> Initializer:
    """Returns an initialiser of the three gates' matrices side by side, each drawn by itself."""

    def init_gates(key: jax.Array, shape: tuple[int, int], dtype: jnp.dtype = jnp.float32):
        rows, columns = shape
        keys = jax.random.split(key, 3)
        return jnp.concatenate([init(key, (rows, columns // 3), dtype) for key in keys], axis=1)

    return init_gates
