"""The gated recurrent unit, alone and in a policy: what depends on what, and how."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from oatrpo_jax.config import Config
from oatrpo_jax.policies.memory import GRU, Gates, Recall, unroll
from oatrpo_jax.policies.policy import Policy
from oatrpo_jax.reuse.experience import Slots

SIZE, NUM_FEATURES, NUM_STEPS, NUM_ENVS = 4, 3, 6, 2
UNIT = GRU(SIZE)
ENDED = np.zeros((NUM_STEPS, NUM_ENVS), bool)
ENDED[2, 0] = True
"""The first environment's episode ends with its third step, the second's goes on."""


@functools.cache
def given():
    """Parameters all of which matter, an input and a memory: of order 1."""

    @jax.jit
    def make():
        keys = jax.random.split(jax.random.key(0), 4)
        x = jax.random.normal(keys[0], (NUM_STEPS, NUM_ENVS, NUM_FEATURES))
        memory = jnp.tanh(jax.random.normal(keys[1], (NUM_ENVS, SIZE)))
        params = UNIT.init(keys[2], x, memory, ENDED)["params"]
        # Biases begin at 0.
        biases = iter(jax.random.normal(keys[3], (4, SIZE)))
        layers = {name: params[name] | {"bias": next(biases)} for name in Gates._fields}
        return params | layers | {"past_bias": next(biases)}, x, memory

    return jax.device_get(make())


@jax.jit
def remember(params, x, memory, ended=ENDED):
    """What is remembered after each step, and the memory before what comes next."""
    return UNIT.apply({"params": params}, x, memory, ended)


def test_it_is_the_cell_of_flax_step_by_step():
    params, x, memory = given()
    cell = {}
    for letter, gate in zip("rzn", Gates._fields, strict=True):
        cell[f"i{letter}"] = params[gate]
        cell[f"h{letter}"] = {"kernel": params[f"past_{gate}"]}
    cell["hn"]["bias"] = params["past_bias"]
    step = jax.jit(lambda memory, x: nn.GRUCell(SIZE).apply({"params": cell}, memory, x)[0])
    expected = []
    for now in x:
        expected.append(memory := step(memory, now))
    memories, last = remember(*given(), np.zeros_like(ENDED))
    np.testing.assert_allclose(memories, expected, atol=1e-6)
    np.testing.assert_array_equal(last, memories[-1])


def test_its_gradient_through_time_agrees_with_finite_differences():
    # Away from the end of an episode, too: in the second environment it goes through all steps.
    check_grads(remember, given(), order=1, modes=["fwd", "rev"], atol=2e-3, rtol=2e-2, eps=1e-2)


def loop(kernels, bias, inputs, memory):
    """`unroll` by its formulas alone: how to differentiate it is left to jax."""

    def step(memory, now):
        inputs, ended = now
        times = functools.partial(jnp.matmul, memory, precision=jax.lax.Precision.HIGHEST)
        reset = jax.nn.sigmoid(inputs.reset + times(kernels.reset))
        update = jax.nn.sigmoid(inputs.update + times(kernels.update))
        candidate = jnp.tanh(inputs.candidate + reset * (times(kernels.candidate) + bias))
        after = (1 - update) * candidate + update * memory
        return jnp.where(ended[:, None], 0.0, after), after

    memory, after = jax.lax.scan(step, memory, (inputs, ENDED))
    return after, memory


def by_rule(kernels, bias, inputs, memory):
    return unroll(kernels, bias, inputs, memory, ENDED)


def forward(function, given, tangents):
    return jax.jvp(function, given, tangents)


def backward(function, given, tangents):
    outputs, pull = jax.vjp(function, *given)
    return pull(jax.tree.map(jnp.cos, outputs))  # Cotangents: all of them matter.


def twice(function, given, tangents):
    """Forward over backward, of a sum to which both outputs contribute."""
    total = lambda *given: sum(jnp.sum(jnp.sin(x)) for x in function(*given))  # noqa: E731
    return jax.jvp(jax.grad(total, argnums=(0, 1, 2, 3)), given, tangents)


def normal_like(tree, key):
    """Draws of order 1 in the place of all numbers, with two policies in a leading axis."""
    leaves, form = jax.tree.flatten(tree)
    keys = jax.random.split(key, len(leaves))
    draws = (jax.random.normal(k, (2, *x.shape)) for k, x in zip(keys, leaves, strict=True))
    return form.unflatten(draws)


@pytest.mark.parametrize("derivative", [forward, backward, twice])
def test_its_derivatives_are_those_of_the_loop(derivative):
    """Of kernels, bias, inputs and memory, with an episode's end inside."""
    gates = lambda *shape: Gates(*(jnp.zeros(shape) for _ in Gates._fields))  # noqa: E731
    inputs = gates(NUM_STEPS, NUM_ENVS, SIZE)
    shapes = gates(SIZE, SIZE), jnp.zeros(SIZE), inputs, jnp.zeros((NUM_ENVS, SIZE))
    given, tangents = (normal_like(shapes, key) for key in jax.random.split(jax.random.key(2)))
    found, expected = (
        jax.jit(jax.vmap(functools.partial(derivative, function)))(given, tangents)
        for function in (by_rule, loop)
    )
    assert all(np.abs(leaf).max() > 0.1 for leaf in jax.tree.leaves(expected))
    jax.tree.map(
        functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-5), found, expected
    )
    first = jax.tree.map(lambda x: x[0], (given, tangents))
    alone = derivative(by_rule, *first)
    of_first = jax.tree.map(lambda x: x[0], found)
    jax.tree.map(
        functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-5), alone, of_first
    )


def test_a_step_depends_on_its_episode_so_far_and_on_nothing_else():
    params, *rest = given()
    function = jax.jit(jax.jacrev(lambda *rest: remember(params, *rest)[0], argnums=(0, 1)))
    of_input, of_start = function(*rest)
    episode = np.cumsum(ENDED, axis=0) - ENDED  # Each step's number of the episode.
    for step, env in np.ndindex(NUM_STEPS, NUM_ENVS):
        same = np.arange(NUM_ENVS) == env
        so_far = np.arange(NUM_STEPS)[:, None] <= step
        seen = so_far & same & (episode == episode[step, env])
        # A sum of magnitudes is 0 only where each is exactly.
        felt = np.abs(of_input[step, env]).sum(axis=(0, 3))
        np.testing.assert_array_equal(felt > 0, seen)
        felt = np.abs(of_start[step, env]).sum(axis=(0, 2))
        np.testing.assert_array_equal(felt > 0, same & (episode[step, env] == 0))


def test_the_memory_is_zero_where_an_episode_has_just_ended():
    ended = np.zeros_like(ENDED)
    ended[-1, 1] = True
    memories, last = remember(*given(), ended)
    assert (np.abs(memories) > 0).all()  # What the last step of an episode is judged by.
    np.testing.assert_array_equal(last[1], 0.0)
    np.testing.assert_array_equal(last[0], memories[-1, 0])


@pytest.mark.parametrize("cut", [1, 3, 5])
def test_a_rollout_cut_in_two_with_the_memory_handed_on_is_the_whole(cut):
    """At 3 an episode has just ended in one environment and goes on in the other."""
    params, x, memory = given()
    whole, last = remember(params, x, memory)
    one, between = remember(params, x[:cut], memory, ENDED[:cut])
    two, after = remember(params, x[cut:], between, ENDED[cut:])
    np.testing.assert_allclose(np.concatenate([one, two]), whole, atol=1e-6)
    np.testing.assert_allclose(after, last, atol=1e-6)


POLICY = Policy.of(Config(hidden_sizes=(5,), memory_size=SIZE), num_actions=3)


def test_stepping_with_the_memory_handed_on_is_judging_the_whole_sequence():
    keys = jax.random.split(jax.random.key(1), 4)
    view = jax.random.normal(keys[0], (2, NUM_STEPS, NUM_ENVS, 2))
    mask = jax.random.bernoulli(keys[1], 0.7, (2, NUM_STEPS, NUM_ENVS, 3)).at[..., 0].set(True)
    memory = jnp.tanh(jax.random.normal(keys[2], (2, NUM_ENVS, SIZE)))
    params = jax.jit(lambda: POLICY.init(keys[3], view_size=2))()
    ended = np.broadcast_to(ENDED, (2, *ENDED.shape))
    step, found, now = jax.jit(POLICY.step), [], memory
    for time in range(NUM_STEPS):
        logits, after = step(params, view[:, time], mask[:, time], now)
        found.append(logits)
        now = jnp.where(ended[:, time, :, None], 0.0, after)
    rows = Slots(view, mask, *[None] * 4, Recall(memory[:, None], ended))
    logits = jax.jit(POLICY.outputs)(params, rows)
    np.testing.assert_allclose(logits, np.stack(found, axis=1), atol=1e-6)
    np.testing.assert_array_equal(logits == -1e9, ~mask)
    # The head begins near 0: without a memory of anything the logits would be alike.
    assert np.ptp(np.where(mask, logits, 0.0)) > 1e-3
