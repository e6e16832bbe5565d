import jax
import jax.numpy as jnp
import numpy as np
import pytest

from oatrpo_jax.config import Config
from oatrpo_jax.critics.critic import ValueNorm, explained_variance, value_loss
from oatrpo_jax.hyperparams import Hyperparams

DECAY = jnp.float32(0.9)


def test_value_norm_has_no_start_up_bias():
    norm = ValueNorm.create().update(jnp.array([1.0, 3.0]), DECAY)
    # mean 2, variance 1
    np.testing.assert_allclose([norm.mean, norm.scale], [2.0, 1.0], rtol=1e-6)
    np.testing.assert_allclose(norm.normalise(jnp.array([1.0, 3.0])), [-1.0, 1.0], rtol=1e-6)


def test_value_norm_weighs_old_batches_by_the_decay():
    norm = ValueNorm.create().update(jnp.array([-1.0, 1.0]), jnp.float32(0.5))
    norm = norm.update(jnp.array([3.0, 3.0]), jnp.float32(0.5))
    # weights 1/4 and 1/2, of 3/4: mean (0 + 2 x 3) / 3 = 2, mean square (1 + 2 x 9) / 3 = 19/3
    np.testing.assert_allclose([norm.mean, norm.variance], [2.0, 19 / 3 - 4], rtol=1e-6)


@pytest.mark.parametrize("mean", [1e3, 1e4, -1e5])
def test_a_deviation_that_is_small_beside_the_mean_is_not_lost(mean):
    norm = ValueNorm.create()
    for _ in range(20):
        norm = norm.update(jnp.array([mean - 0.5, mean + 0.5], jnp.float32), DECAY)
    np.testing.assert_allclose(norm.scale, 0.5, rtol=1e-2)


def test_before_the_first_batch_all_values_are_0():
    norm = ValueNorm.create()
    np.testing.assert_array_equal(norm.denormalise(jnp.array([5.0, -1.0])), 0.0)
    np.testing.assert_array_equal(norm.normalise(jnp.array([5.0, -1.0])), 0.0)


def test_fresh_statistics_may_be_given_away():
    learn = jax.jit(lambda norm: norm.update(jnp.array([1.0, 3.0]), DECAY), donate_argnums=0)
    assert learn(ValueNorm.create()).mean == 2


def test_where_values_are_not_normalised_statistics_change_nothing():
    norm, values = ValueNorm.create(normalise_values=False), jnp.array([5.0, -1.0])
    np.testing.assert_array_equal(norm.denormalise(values), values)
    np.testing.assert_array_equal(norm.normalise(values), values)


@pytest.mark.parametrize("paid", [0.0, 0.1, -1e6])
def test_returns_that_are_all_the_same_have_no_scale_but_rounding(paid):
    returns = jnp.full((128, 8, 1), paid)
    norm = ValueNorm.create().update(returns, DECAY).update(returns, DECAY)
    assert np.abs(norm.normalise(returns)).max() < 0.1
    np.testing.assert_allclose(norm.denormalise(jnp.zeros(1)), paid, rtol=1e-5)


def test_denormalising_undoes_normalising():
    norm = ValueNorm.create().update(jnp.arange(5.0), DECAY)
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
    returns = jnp.array([1.0, 2.0, 3.0])
    np.testing.assert_allclose(explained_variance(returns, returns), 1.0)
    np.testing.assert_allclose(explained_variance(jnp.full(3, 2.0), returns), 0.0, atol=1e-6)
    assert explained_variance(returns, jnp.ones(3)) == 0
