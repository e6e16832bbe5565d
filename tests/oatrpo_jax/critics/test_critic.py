import jax
import jax.numpy as jnp
import numpy as np
import pytest

from oatrpo_jax.config import Config, Hyperparams
from oatrpo_jax.critics.critic import ValueNorm, explained_variance, value_loss


def test_value_norm_has_no_start_up_bias():
    mask = jnp.array([True, True, False])
    norm = ValueNorm.create().update(jnp.array([1.0, 3.0, 99.0]), mask, jnp.float32(0.9))
    # mean 2, mean square 5, variance 1
    mean, deviation = norm.location_scale()
    np.testing.assert_allclose([mean, deviation], [2.0, 1.0], rtol=1e-5)
    np.testing.assert_allclose(norm.normalise(jnp.array([1.0, 3.0])), [-1.0, 1.0], rtol=1e-4)


def test_value_norm_weighs_old_batches_by_the_decay():
    seen = jnp.array([True])
    norm = ValueNorm.create().update(jnp.array([0.0]), seen, jnp.float32(0.5))
    norm = norm.update(jnp.array([3.0]), seen, jnp.float32(0.5))
    # weights 1/4 and 1/2: mean (0 + 1.5) / 0.75 = 2
    np.testing.assert_allclose(norm.location_scale()[0], 2.0, rtol=1e-6)


def test_normalising_before_the_first_batch_or_after_an_empty_one_changes_nothing():
    norm = ValueNorm.create()
    np.testing.assert_allclose(norm.normalise(jnp.array([5.0])), [5.0])
    empty = norm.update(jnp.array([7.0]), jnp.array([False]), jnp.float32(0.9))
    np.testing.assert_allclose(empty.normalise(jnp.array([5.0])), [5.0])


def test_denormalising_undoes_normalising():
    norm = ValueNorm.create().update(jnp.arange(5.0), jnp.ones(5, bool), jnp.float32(0.9))
    values = jnp.array([-3.0, 0.5, 40.0])
    np.testing.assert_allclose(norm.denormalise(norm.normalise(values)), values, rtol=1e-5)


@pytest.mark.parametrize(
    ("output", "old", "target", "loss", "expected"),
    [
        (1.0, 1.0, 2.0, "huber", 0.5),  # 1/2 * 1^2
        (0.0, 0.0, 5.0, "huber", 8.0),  # beyond delta = 2: 2 * 5 - 1/2 * 2^2
        (1.0, 0.0, 1.0, "clipped", 0.32),  # V may gain only to 0.2: 1/2 * 0.8^2 > 0
        (0.1, 0.0, 1.0, "clipped", 0.405),  # within the clip: 1/2 * 0.9^2
        (-1.0, 0.0, 1.0, "clipped", 2.0),  # moved away: the worse of 2 and 1/2 * 1.2^2
    ],
)
def test_value_loss(output, old, target, loss, expected):
    value = value_loss(
        jnp.array(output),
        jnp.array(old),
        jnp.array(target),
        Config(value_loss=loss),
        Hyperparams.create(huber_delta=2.0, value_clip_eps=0.2),
    )
    assert float(value) == pytest.approx(expected, rel=1e-5)


def test_explained_variance_is_1_for_the_truth_and_0_for_the_mean():
    returns = jnp.array([1.0, 2.0, 3.0, 50.0])
    mask = jnp.array([True, True, True, False])
    np.testing.assert_allclose(explained_variance(returns, returns, mask), 1.0)
    np.testing.assert_allclose(explained_variance(jnp.full(4, 2.0), returns, mask), 0.0, atol=1e-6)
    assert jnp.isfinite(explained_variance(returns, jnp.ones(4), jnp.zeros(4, bool)))


def test_an_empty_batch_is_no_nan():
    norm = ValueNorm.create().update(jnp.ones(2), jnp.zeros(2, bool), jnp.float32(0.0))
    assert all(jnp.isfinite(leaf) for leaf in jax.tree.leaves(norm))
