import chex
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oatrpo_jax import Transition
from oatrpo_jax.advantages import generalized_advantage_estimation, masked_mean, normalise

# Steps 0-1 are an episode that terminates, steps 2-3 one that is truncated.
REWARD = jnp.array([1.0, 2.0, 3.0, 4.0])
VALUE = jnp.ones((4, 1))
NEXT_VALUE = jnp.array([[1.0], [1.0], [1.0], [2.0]])
TERMINATED = jnp.array([False, True, False, False])
TRUNCATED = jnp.array([False, False, False, True])


def steps(reward, terminated, truncated):
    """A trajectory of which advantages read rewards and ends of episodes."""
    return Transition(None, None, None, reward, terminated, truncated, None)


TRAJECTORY = steps(REWARD, TERMINATED, TRUNCATED)


def gae(**changes):
    coefficients = {"gamma": 0.5, "gae_lambda": 0.5} | changes
    return generalized_advantage_estimation(TRAJECTORY, VALUE, NEXT_VALUE, **coefficients)[:, 0]


def test_a_termination_does_not_bootstrap_and_a_truncation_does():
    # delta: 1 + .5*1 - 1 = .5 | 2 + 0 - 1 = 1 | 3 + .5*1 - 1 = 2.5 | 4 + .5*2 - 1 = 4
    # A: .5 + .25*1 = .75 | 1 | 2.5 + .25*4 = 3.5 | 4
    np.testing.assert_allclose(gae(), [0.75, 1.0, 3.5, 4.0])


def test_a_neutralised_truncation_has_no_advantage_and_passes_none_back():
    np.testing.assert_allclose(gae(neutralise=True), [0.75, 1.0, 2.5, 0.0])


def test_lambda_zero_is_the_one_step_error():
    np.testing.assert_allclose(gae(gae_lambda=0.0), [0.5, 1.0, 2.5, 4.0])


def test_each_environment_and_critic_slot_has_its_own():
    wide = steps(*(jnp.stack([x, x], axis=1) for x in (REWARD, TERMINATED, TRUNCATED)))
    values = (jnp.broadcast_to(x[:, None], (4, 2, 3)) for x in (VALUE, NEXT_VALUE))
    advantage = generalized_advantage_estimation(wide, *values, gamma=0.5, gae_lambda=0.5)
    np.testing.assert_allclose(advantage, jnp.broadcast_to(gae()[:, None, None], (4, 2, 3)))


def slow_gae(reward, value, next_value, terminated, truncated, gamma, gae_lambda):
    """The sum of discounted errors up to the end of the episode, written as a double loop."""
    result = np.zeros(len(reward))
    for start in range(len(reward)):
        weight = 1.0
        for t in range(start, len(reward)):
            bootstrap = 0.0 if terminated[t] else next_value[t]
            result[start] += weight * (reward[t] + gamma * bootstrap - value[t])
            if terminated[t] or truncated[t]:
                break
            weight *= gamma * gae_lambda
    return result


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), gamma=st.floats(0, 1), gae_lambda=st.floats(0, 1))
def test_it_agrees_with_a_double_loop(seed, gamma, gae_lambda):
    rng = np.random.default_rng(seed)
    reward, value, next_value = rng.normal(size=(3, 12))
    terminated, truncated = rng.random((2, 12)) < 0.2
    expected = slow_gae(reward, value, next_value, terminated, truncated, gamma, gae_lambda)
    trajectory = steps(*map(jnp.asarray, (reward, terminated, truncated)))
    values = (jnp.asarray(x)[:, None] for x in (value, next_value))
    actual = generalized_advantage_estimation(
        trajectory, *values, gamma=gamma, gae_lambda=gae_lambda
    )
    np.testing.assert_allclose(actual[:, 0], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("next_value", [NEXT_VALUE, NEXT_VALUE[:2]])
def test_shapes_that_differ_are_refused(next_value):
    with pytest.raises(AssertionError):
        generalized_advantage_estimation(
            TRAJECTORY, VALUE[:2], next_value, gamma=1.0, gae_lambda=1.0
        )


def test_normalised_advantages_have_mean_0_and_deviation_1_over_active_entries():
    advantage = jnp.array([1.0, 3.0, 100.0])
    active = jnp.array([True, True, False])
    # mean 2, deviation 1
    np.testing.assert_allclose(normalise(advantage, active), [-1.0, 1.0, 0.0], atol=1e-4)


@pytest.mark.parametrize("same", [0.0, 0.1, 1000.1, -1e6])
def test_what_is_all_the_same_is_not_blown_up_by_rounding(same):
    shape = 5, 32, 4
    assert np.abs(normalise(jnp.full(shape, same), jnp.ones(shape, bool))).max() < 0.1


def test_nothing_is_nan_when_nobody_is_active():
    chex.assert_tree_all_finite(normalise(jnp.ones(3), jnp.zeros(3, bool)))
    assert masked_mean(jnp.ones(3), jnp.zeros(3, bool)) == 0
