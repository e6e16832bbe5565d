import jax
import jax.numpy as jnp
import numpy as np
import pytest

from oatrpo_jax.reuse.agreement import NUM_BLOCKS, block_rows, gradient_error
from oatrpo_jax.reuse.experience import Slots


def slots_of(advantage) -> Slots:
    """Slots whose rows ``[N, ...]`` differ by their advantages alone."""
    advantage = jnp.asarray(advantage, jnp.float32)
    nothing = jnp.zeros((*advantage.shape, 1))
    return Slots(
        agents_view=nothing,
        action_mask=nothing > 0,
        action=jnp.zeros(advantage.shape, jnp.int32),
        log_prob=jnp.zeros(advantage.shape),
        logits=nothing,
        advantage=advantage,
        active=jnp.ones(advantage.shape, bool),
    )


def mean_advantage(learner, rows):
    """A gradient that can be followed by hand: two parameters, both the rows' mean advantage."""
    mean = jnp.mean(rows.advantage)
    return {"weight": mean, "bias": mean[None]}


@jax.jit
def error_of_arrays(advantage, own_share):
    return gradient_error(mean_advantage, slots_of(advantage), own_share)


def error_of(advantage, own_share=None):
    advantage = jnp.asarray(advantage, jnp.float32)
    own_share = np.eye(len(advantage)) if own_share is None else np.asarray(own_share)
    return error_of_arrays(advantage, own_share)


def test_variance_and_bias_by_hand():
    # Blocks of one row.  Slot 0: 0, 2: mean 1, variance of the mean (1 + 1) / (2 x 1) = 1.
    # Slot 1: 5, 5: mean 5, variance 0.  Differences -5, -3: mean -4, its variance again 1, so the
    # squared bias is 16 - 1 = 15.  Two parameters double everything.
    error = error_of([[[0.0], [2.0]], [[5.0], [5.0]]])
    np.testing.assert_allclose(error.variance, [[2, 0], [2, 0]], atol=1e-5)
    np.testing.assert_allclose(error.bias, [[0, 30], [30, 0]], atol=1e-4)


def test_noise_in_common_hides_no_bias():
    # The second slot is the first plus 1 in every block: the difference has no noise at all.
    noise = np.random.default_rng(0).normal(size=(8, 1))
    error = error_of([noise, noise + 1])
    np.testing.assert_allclose(error.bias, [[0, 2], [2, 0]], rtol=1e-4)


def test_noise_alone_is_no_bias_on_average():
    draws = np.random.default_rng(0).normal(size=(400, 2, 8, 1))
    gap = jax.vmap(error_of)(draws).bias[:, 0, 1]
    # Var(mean d) = 2 parameters x 2/8 = 1/2.  Were it not taken off, the mean gap would be 1/2.
    # Clamped at 0, half of the gaps vanish and the others have 0.5 x E[max(chi2_1 - 1, 0)] = 0.24.
    assert float(gap.mean()) == pytest.approx(0.24, abs=0.06)
    assert float((gap == 0).mean()) > 0.5


def test_a_policy_of_two_agents_has_the_mean_of_their_gradients():
    # Own gradient of policy 0: half of each, (0 + 4) / 2 = 2 in both blocks.
    error = error_of([[[0.0], [0.0]], [[4.0], [4.0]], [[2.0], [2.0]]], own_share=[[0.5, 0.5, 0.0]])
    np.testing.assert_allclose(error.bias, [[8, 8, 0]], atol=1e-5)


def test_blocks_are_groups_of_environments():
    advantage = np.arange(2 * 3 * 16).reshape(2, 3, 16)  # 48 n + 16 t + e
    blocks = jax.jit(lambda rows: block_rows(slots_of(rows), num_rows=32).advantage)(advantage)
    assert blocks.shape == (2, NUM_BLOCKS, 4)  # 2 of 3 steps, 16 environments in 8 pairs
    np.testing.assert_array_equal(blocks[1, 0], [48, 48 + 32, 49, 49 + 32])


@pytest.mark.parametrize(
    ("length", "num_envs", "shape"),
    [(1, 1, (1, 1)), (9, 1, (8, 1)), (5, 3, (8, 1)), (40, 2, (8, 8))],
)
def test_any_rollout_gives_blocks(length, num_envs, shape):
    blocks = jax.eval_shape(lambda: block_rows(slots_of(jnp.zeros((2, length, num_envs))), 64))
    assert blocks.advantage.shape == (2, *shape)
