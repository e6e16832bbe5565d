import jax
import jax.numpy as jnp
import numpy as np
import pytest

from oatrpo_jax.advantages import masked_mean
from oatrpo_jax.policies.memory import Recall
from oatrpo_jax.reuse.agreement import NUM_BLOCKS, gradient_error, in_blocks
from oatrpo_jax.reuse.experience import Experience, Slots


def slots_of(advantage, active=None) -> Slots:
    """Slots whose rows ``[N, ...]`` differ by their advantages alone, and by who is active."""
    advantage = jnp.asarray(advantage, jnp.float32)
    nothing = jnp.zeros((*advantage.shape, 1))
    return Slots(
        agents_view=nothing,
        action_mask=nothing > 0,
        action=jnp.zeros(advantage.shape, jnp.int32),
        log_prob=jnp.zeros(advantage.shape),
        advantage=advantage,
        active=jnp.ones(advantage.shape, bool) if active is None else active,
    )


def mean_advantage(learner, rows):
    """A gradient that can be followed by hand: two parameters, both the rows' mean advantage."""
    mean = masked_mean(rows.advantage, rows.active)
    return {"weight": mean, "bias": mean[None]}


@jax.jit
def error_of_arrays(advantage, own_share, active):
    slots = slots_of(advantage[..., None], active[..., None])  # One environment.
    return gradient_error(mean_advantage, Experience(slots, own_share > 0), own_share)


def error_of(advantage, own_share=None, active=None):
    advantage = jnp.asarray(advantage, jnp.float32)
    own_share = np.eye(len(advantage)) if own_share is None else np.asarray(own_share)
    active = jnp.ones(advantage.shape, bool) if active is None else jnp.asarray(active)
    return error_of_arrays(advantage, own_share, active)


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


@pytest.mark.parametrize("empty", [0, 1])
def test_with_a_block_emptied_the_estimate_is_that_of_the_other_seven(empty):
    draws = np.random.default_rng(0).normal(size=(2, 8, 3))
    active = np.ones(draws.shape, bool)
    active[empty, 5] = False
    found = error_of(draws, active=active)
    seven = error_of(np.delete(draws, 5, axis=1))
    eight = error_of(draws)
    np.testing.assert_allclose(found.bias, seven.bias, rtol=1e-4)
    np.testing.assert_allclose(found.variance[:, empty], seven.variance[:, empty], rtol=1e-5)
    np.testing.assert_allclose(found.variance[:, 1 - empty], eight.variance[:, 1 - empty])


def test_an_empty_block_is_no_gradient_of_zero():
    # Slot 1: 4, nothing, 6: mean 5, variance (1 + 1) / (2 x 1) = 1.  Differences of the two blocks
    # that both have: -4, -4: squared bias 16 without noise.  Two parameters double everything.
    # Slot 0: 0, 3, 2: mean 5/3, variance (25 + 16 + 1) / 9 / (3 x 2) = 7/9.
    advantage, active = [[[0.0], [3.0], [2.0]], [[4.0], [99.0], [6.0]]], np.ones((2, 3, 1), bool)
    active[1, 1] = False
    error = error_of(advantage, active=active)
    np.testing.assert_allclose(error.variance, [[14 / 9, 2], [14 / 9, 2]], rtol=1e-5)
    np.testing.assert_allclose(error.bias, [[0, 32], [32, 0]], atol=1e-4)


def test_fewer_than_two_blocks_tell_nothing():
    active = np.ones((3, 2, 1), bool)
    active[1, 0] = False  # One block of slot 1; slot 2 has both.
    error = error_of([[[0.0], [2.0]]] * 3, active=active)
    np.testing.assert_array_equal(np.isinf(error.variance), [[False, True, False]] * 3)
    expected = [[False, True, False], [True, True, True], [False, True, False]]
    np.testing.assert_array_equal(np.isinf(error.bias), expected)


def test_a_policys_own_gradient_is_that_of_its_agents_that_were_there():
    # Policy 0 is acted with by agents 0 and 1: 0 and 4, mean 2, in block 0; 6 alone in block 1.
    active = np.array([[[True], [False]], [[True], [True]], [[True], [True]]])
    advantage = [[[0.0], [9.0]], [[4.0], [6.0]], [[5.0], [9.0]]]
    error = error_of(advantage, own_share=[[0.5, 0.5, 0.0]], active=active)
    # Beside slot 2: -3 in both blocks: 9 for each of two parameters.
    assert float(error.bias[0, 2]) == pytest.approx(18)


def test_a_slot_that_is_not_a_number_spoils_no_other_and_no_learner_but_its_own():
    advantage = np.ones((3, 4, 2))
    advantage[2, 1, 0] = np.nan
    error = error_of(advantage)
    broken = np.array([[False, False, True]] * 3)
    np.testing.assert_array_equal(np.isnan(error.variance), broken)
    np.testing.assert_array_equal(np.isnan(error.bias), broken | broken.T)


def blocks_of_slots(slots, num_rows):
    return in_blocks(Experience(slots, np.eye(2, dtype=bool)), num_rows).slots


def test_blocks_are_groups_of_environments():
    advantage = np.arange(2 * 3 * 16).reshape(2, 3, 16)  # 48 n + 16 t + e
    blocks = jax.jit(lambda rows: blocks_of_slots(slots_of(rows), 96).advantage)(advantage)
    assert blocks.shape == (2, NUM_BLOCKS, 3, 2)  # 3 steps, 16 environments in 8 pairs
    np.testing.assert_array_equal(blocks[1, 0], [[48, 49], [64, 65], [80, 81]])


@pytest.mark.parametrize(
    ("length", "num_envs", "shape"),
    # A block per environment at most, of as many steps as make up to eight blocks in all.
    [(1, 1, (1, 1, 1)), (9, 1, (8, 1, 1)), (5, 3, (6, 2, 1)), (40, 2, (8, 10, 1))],
)
def test_any_rollout_gives_blocks(length, num_envs, shape):
    slots = jax.eval_shape(lambda: slots_of(jnp.zeros((2, length, num_envs))))
    blocks = jax.eval_shape(lambda slots: blocks_of_slots(slots, 64), slots)
    assert blocks.advantage.shape == (2, *shape)


def test_blocks_of_policies_that_remember_are_whole_sequences():
    shape = (2, 40, 3)
    ended, memory = jnp.zeros(shape, bool), jnp.zeros((2, 1, 3, 5))
    slots = slots_of(jnp.zeros(shape))._replace(recall=Recall(memory, ended))
    experience = Experience(slots, np.eye(2, dtype=bool), memories=jnp.zeros((2, *memory.shape)))
    blocks = in_blocks(experience, 64)
    assert blocks.slots.advantage.shape == blocks.slots.recall.ended.shape == (2, 3, 40, 1)
    assert blocks.slots.recall.memory.shape == (2, 3, 1, 1, 5)
    assert blocks.memories.shape == (2, 2, 3, 1, 1, 5)
