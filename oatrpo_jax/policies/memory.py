"""What a policy remembers: a gated recurrent unit, and what it takes to unroll it once more."""

from __future__ import annotations

from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from oatrpo_jax.policies.initializers import orthogonal
from oatrpo_jax.policies.layers import dense, product


class Recall(NamedTuple):
    """From where recorded sequences are gone through again; rows have axes ``[..., T, E]``.

    Attributes:
        memory: ``[..., 1, E, H]`` before the first row; the axis of length 1 stands for T.
        ended: ``[..., T, E]`` bool, True where the episode ended with this row: what follows it
            begins with a memory of 0.
    """

    memory: jax.Array
    ended: jax.Array


class Gates(NamedTuple):
    """One thing for each gate.  Not one array for all: slices of it in a loop are slow on a CPU."""

    reset: Any
    update: Any
    candidate: Any


class GRU(nn.Module):
    """A gated recurrent unit (Cho et al. 2014) in the form of cuDNN, along a leading axis of time.

    ``[T, ..., F], [..., H], [T, ...] -> [T, ..., H], [..., H]``: the input, the memory before the
    first step, and where episodes ended with a step; it gives what is remembered after each step,
    and the memory before whatever comes next, 0 where an episode has just ended.

    flax' own cell initialises its kernels by a QR decomposition: see `initializers`.
    """

    size: int

    @nn.compact
    def __call__(
        self, x: jax.Array, memory: jax.Array, ended: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        init, shape = orthogonal(1.0), (self.size, self.size)
        # The input's share of the gates, of all steps at once.
        inputs = Gates(
            *(dense(self.size, kernel_init=init, name=name)(x) for name in Gates._fields)
        )
        kernels = Gates(*(self.param(f"past_{name}", init, shape) for name in Gates._fields))
        bias = self.param("past_bias", nn.initializers.zeros, (self.size,), jnp.float32)
        return unroll(kernels, bias, inputs, memory, ended)


@jax.custom_jvp
def unroll(
    kernels: Gates, bias: jax.Array, inputs: Gates, memory: jax.Array, ended: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Returns ``[T, ..., H]`` memories after each step, and ``[..., H]`` before what comes next.

    ``r, z = sigmoid(x + U h)``, ``n = tanh(x + r (U h + b))``, ``h' = n + z (h - n)``.

    Args:
        kernels: U, ``[H, H]`` each.
        bias: b, ``[H]``.
        inputs: x, ``[T, ..., H]`` each.
        memory: h, ``[..., H]`` before the first step.
        ended: ``[T, ...]`` bool, True where an episode ended with a step.
    """
    steps, memory = _go(kernels, bias, inputs, memory, ended)
    return steps.after, memory


class _Steps(NamedTuple):
    """What happens in each step, ``[T, ..., H]``."""

    before: jax.Array
    reset: jax.Array
    update: jax.Array
    past: jax.Array
    candidate: jax.Array
    after: jax.Array


def _go(
    kernels: Gates, bias: jax.Array, inputs: Gates, memory: jax.Array, ended: jax.Array
) -> tuple[_Steps, jax.Array]:
    """Returns all of what `unroll` computes."""

    def step(memory: jax.Array, now: tuple[Gates, jax.Array]):
        inputs, ended = now
        reset = nn.sigmoid(inputs.reset + product(memory, kernels.reset))
        update = nn.sigmoid(inputs.update + product(memory, kernels.update))
        past = product(memory, kernels.candidate) + bias
        candidate = jnp.tanh(inputs.candidate + reset * past)
        after = candidate + update * (memory - candidate)
        return _unless(ended, after), _Steps(memory, reset, update, past, candidate, after)

    memory, steps = jax.lax.scan(step, memory, (inputs, ended))
    return steps, memory


@unroll.defjvp
def _unroll_jvp(primals: tuple, tangents: tuple):
    """Returns the same and its tangents; of the kernels' tangents, all steps' share at once.

    Its transpose is backpropagation through time, with one product for each kernel's gradient,
    where differentiating the loop would add one up in every step.
    """
    kernels, _, _, _, ended = primals
    d_kernels, d_bias, d_inputs, d_memory, _ = tangents
    steps, memory = _go(*primals)
    before, reset, update, past, candidate, after = steps
    # Of h' in what is inside of n, z, r and in U h of n.
    slope = (1.0 - jnp.square(candidate)) * (1.0 - update)
    slopes = Gates(
        reset=slope * past * reset * (1.0 - reset),
        update=update * (1.0 - update) * (before - candidate),
        candidate=slope * reset,
    )
    d_past = jax.tree.map(lambda kernel: product(before, kernel), d_kernels)
    direct = (
        slopes.reset * (d_inputs.reset + d_past.reset)
        + slopes.update * (d_inputs.update + d_past.update)
        + slope * d_inputs.candidate
        + slopes.candidate * (d_past.candidate + d_bias)
    )

    def step(d_memory: jax.Array, now: tuple[jax.Array, Gates, jax.Array, jax.Array]):
        direct, slopes, update, ended = now
        d_past = jax.tree.map(lambda s, kernel: s * product(d_memory, kernel), slopes, kernels)
        d_after = direct + sum(d_past) + update * d_memory
        return _unless(ended, d_after), d_after

    d_memory, d_after = jax.lax.scan(step, d_memory, (direct, slopes, update, ended))
    return (after, memory), (d_after, d_memory)


def _unless(ended: jax.Array, memory: jax.Array) -> jax.Array:
    """Returns the memory, 0 where an episode has ended."""
    return jnp.where(ended[..., None], 0.0, memory)
