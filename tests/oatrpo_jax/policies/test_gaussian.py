"""Gaussians over actions, against distrax and quadrature, with dimensions that there are not."""

import functools
import math

import distrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from oatrpo_jax import Config
from oatrpo_jax.policies.distributions import mask_logits
from oatrpo_jax.policies.gaussian import ABSENT, Gaussian, mask_gaussian
from oatrpo_jax.policies.policy import Policy

KEYS = jax.random.split(jax.random.key(0), 6)
ROWS, SIZE = 7, 3
GRID = np.linspace(-40.0, 40.0, 200_001)


def drawn(key, rows=ROWS, size=SIZE):
    """Means about 1 from 0, and deviations between about e^-1.5 and e^0.5."""
    keys = jax.random.split(key)
    mean = jax.random.normal(keys[0], (rows, size))
    return mean, -0.5 + 0.5 * jax.random.normal(keys[1], (rows, size))


def gaussian(mean, log_std):
    return Gaussian(jnp.concatenate([jnp.asarray(mean), jnp.asarray(log_std)], axis=-1))


def theirs(mean, log_std):
    return distrax.MultivariateNormalDiag(mean, jnp.exp(log_std))


@pytest.fixture(params=[jax.jit, lambda function: function], ids=["jitted", "not"])
def run(request):
    return request.param


def test_it_is_the_one_of_distrax(run):
    one, two = drawn(KEYS[0]), drawn(KEYS[1])
    action = jax.random.normal(KEYS[2], (ROWS, SIZE))

    def measure(make, action):
        p, q = make(*one), make(*two)
        return p.log_prob(action), p.entropy(), p.kl_divergence(q), q.kl_divergence(p), p.mode()

    for found, expected in zip(
        run(functools.partial(measure, gaussian))(action), measure(theirs, action), strict=True
    ):
        np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-5)


def test_a_row_alone_is_as_among_others():
    outputs, other = (gaussian(*drawn(key)).outputs for key in KEYS[:2])
    kl = lambda p, q: Gaussian(p).kl_divergence(Gaussian(q))  # noqa: E731
    np.testing.assert_allclose(jax.vmap(kl)(outputs, other), kl(outputs, other), rtol=1e-6)
    np.testing.assert_allclose(kl(outputs[0], other[0]), kl(outputs, other)[0], rtol=1e-6)


def density(mean, log_std):
    """Of one dimension on the grid, by the library's log-densities."""
    outputs = np.broadcast_to(np.array([mean, log_std], np.float32), (len(GRID), 2))
    log_prob = Gaussian(jnp.asarray(outputs)).log_prob(jnp.asarray(GRID[:, None], jnp.float32))
    return np.asarray(log_prob, np.float64)


def integral(values):
    return np.trapezoid(values, GRID)


PAIRS = [((0.3, -0.5), (-0.4, 0.2)), ((1.0, 0.4), (0.5, 0.3)), ((0.0, -1.0), (0.0, -1.0))]


@pytest.mark.parametrize(("p", "q"), PAIRS)
def test_its_measures_are_the_integrals_that_they_stand_for(p, q):
    log_p, log_q = density(*p), density(*q)
    one, two = (gaussian(*np.array(each, np.float32)[:, None]) for each in (p, q))
    np.testing.assert_allclose(integral(np.exp(log_p)), 1.0, rtol=1e-5)
    np.testing.assert_allclose(one.entropy(), -integral(np.exp(log_p) * log_p), rtol=1e-4)
    kl = integral(np.exp(log_p) * (log_p - log_q))
    np.testing.assert_allclose(one.kl_divergence(two), kl, rtol=1e-4, atol=1e-6)
    # E_q[(p / q)^2]; with these pairs it is finite.
    moment = integral(np.exp(2 * log_p - log_q))
    np.testing.assert_allclose(one.ratio_moment(two), moment, rtol=1e-4)


def test_the_moment_of_the_ratios_is_a_product_over_dimensions():
    # Variances of 1.5 and 0.5 against 1, means a deviation and 0 apart:
    # exp(1 / (2 - 1.5)) / sqrt(1.5 x 0.5) = 7.389056 / 0.866025 = 8.532147, and
    # exp(0) / sqrt(0.5 x 1.5) = 1.154701; their product is 9.852076.
    p = gaussian(jnp.array([1.0, 0.0]), 0.5 * jnp.log(jnp.array([1.5, 0.5])))
    q = gaussian(jnp.zeros(2), jnp.zeros(2))
    np.testing.assert_allclose(p.ratio_moment(q), 9.852076, rtol=1e-5)
    np.testing.assert_allclose(q.ratio_moment(q), 1.0, rtol=1e-6)


@pytest.mark.parametrize("ratio", [2.0, 2.5, 1e6])
def test_the_moment_is_infinite_from_twice_the_variance_on(ratio):
    # In the second dimension it is finite, and in the third there is nothing.
    mean, mask = jnp.zeros(3), jnp.array([True, True, False])
    log_std = jnp.array([0.5 * math.log(ratio) + 1e-6, -0.3, 5.0])
    p, q = (Gaussian(mask_gaussian(mean, each, mask)) for each in (log_std, jnp.zeros(3)))
    assert p.ratio_moment(q) == jnp.inf
    assert jnp.isfinite(q.ratio_moment(p))


def test_of_itself_it_is_not_apart_to_the_bit(run):
    """The gate compares strictly: at sigma = 0 and between equals no rounding may decide."""
    outputs = gaussian(*drawn(KEYS[0], rows=100_000)).outputs * 4.0
    kl = run(lambda x, y: Gaussian(x).kl_divergence(Gaussian(y)))(outputs, outputs + 0.0)
    np.testing.assert_array_equal(kl, 0.0)


def test_it_is_nowhere_below_0():
    p = gaussian(*drawn(KEYS[0], rows=100_000)).outputs
    for scale in (1e-4, 1e-2, 1.0):
        q = p + scale * jax.random.normal(KEYS[1], p.shape)
        # In nats; what rounding may leave is far below any threshold.
        assert Gaussian(p).kl_divergence(Gaussian(q)).min() > -1e-6


def test_draws_have_its_mean_and_deviation_and_are_independent():
    mean, log_std = jnp.array([0.5, -1.0]), jnp.array([-0.7, 0.3])
    policy = Gaussian(jnp.broadcast_to(jnp.concatenate([mean, log_std]), (40_000, 4)))
    action = np.asarray(policy.sample(seed=KEYS[3]))
    assert action.shape == (40_000, 2) and action.dtype == np.float32
    std = np.exp(log_std)
    # Four standard errors: of a mean std / 200, of a deviation std / sqrt(2 x 40000).
    np.testing.assert_array_less(np.abs(action.mean(axis=0) - mean), 4 * std / 200)
    np.testing.assert_array_less(np.abs(action.std(axis=0) - std), 4 * std / 282)
    assert abs(np.corrcoef(action.T)[0, 1]) < 4 / 200
    np.testing.assert_array_equal(policy.mode(), policy.mean)


MASK = jnp.broadcast_to(jnp.array([True, False, True]), (ROWS, SIZE))


def masked(key):
    """Outputs without the second dimension, and what there is of them."""
    mean, log_std = drawn(key)
    whole = Gaussian(mask_gaussian(mean, log_std[0], MASK))
    return whole, gaussian(mean[:, ::2], jnp.broadcast_to(log_std[0, ::2], (ROWS, 2)))


def test_dimensions_that_there_are_not_are_in_no_sum():
    (p, small_p), (q, small_q) = masked(KEYS[0]), masked(KEYS[1])
    action = 100.0 * jax.random.normal(KEYS[2], (ROWS, SIZE))
    same = functools.partial(np.testing.assert_allclose, rtol=1e-6, atol=1e-6)
    same(p.log_prob(action), small_p.log_prob(action[:, ::2]))
    same(p.entropy(), small_p.entropy())
    same(p.kl_divergence(q), small_p.kl_divergence(small_q))
    same(p.ratio_moment(q), small_p.ratio_moment(small_q))
    np.testing.assert_array_equal(p.sample(seed=KEYS[3])[:, 1], 0.0)
    np.testing.assert_array_equal(p.mode()[:, 1], 0.0)
    assert (p.sample(seed=KEYS[3])[:, ::2] != 0).all()
    tangent = jax.random.normal(KEYS[4], (ROWS, 2 * SIZE))
    product = p.fisher_product(tangent, jnp.ones(ROWS))
    np.testing.assert_array_equal(product[:, [1, 4]], 0.0)
    few = small_p.fisher_product(tangent[:, [0, 2, 3, 5]], jnp.ones(ROWS))
    same(product[:, [0, 2, 3, 5]], few)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30])
def test_what_is_recorded_in_a_dimension_that_there_is_not_reaches_no_gradient(value):
    action = jax.random.normal(KEYS[2], (ROWS, SIZE))

    def total(mean, log_std, action):
        p = Gaussian(mask_gaussian(mean, log_std, MASK))
        q = Gaussian(mask_gaussian(mean + 0.1, 0.9 * log_std, MASK))
        return jnp.sum(p.log_prob(action) + p.entropy() + p.kl_divergence(q) + q.kl_divergence(p))

    given = drawn(KEYS[0])[0], drawn(KEYS[0])[1][0]
    clean = jax.value_and_grad(total, argnums=(0, 1))(*given, action)
    spoilt = jax.value_and_grad(total, argnums=(0, 1))(*given, action.at[:, 1].set(value))
    jax.tree.map(np.testing.assert_array_equal, clean, spoilt)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(clean))
    _, (of_mean, of_log_std) = clean
    np.testing.assert_array_equal(of_mean[:, 1], 0.0)
    assert of_log_std[1] == 0 and (of_log_std[::2] != 0).all()


@pytest.mark.parametrize(
    "measure",
    [
        lambda p, q: p.log_prob(jnp.ones((ROWS, SIZE))),
        lambda p, q: p.entropy(),
        lambda p, q: p.kl_divergence(q) + q.kl_divergence(p),
    ],
    ids=["log_prob", "entropy", "kl"],
)
def test_gradients_in_the_outputs_are_finite_without_some_dimensions(measure):
    """Without any, too."""
    for mask in (MASK, jnp.zeros_like(MASK)):
        outputs, other = (
            mask_gaussian(mean, log_std[0], mask) for mean, log_std in map(drawn, KEYS[:2])
        )
        total = lambda p, q: jnp.sum(measure(Gaussian(p), Gaussian(q)))  # noqa: E731
        gradient = np.asarray(jax.grad(total)(outputs, other))
        assert np.isfinite(gradient).all()
        np.testing.assert_array_equal(gradient[~np.tile(mask, 2)], 0.0)


def test_a_deviation_that_is_no_number_stays_one_and_is_no_dimension_that_there_is_not():
    mean = jnp.zeros((2, 2))
    p = gaussian(mean, jnp.array([[jnp.nan, 0.0], [ABSENT, 0.0]]))
    np.testing.assert_array_equal(p.exists, [[True, True], [False, True]])
    q = gaussian(mean, jnp.array([[0.0, 0.0], [ABSENT, 0.0]]))
    broken = [True, False]
    for found in (p.log_prob(mean), p.entropy(), p.kl_divergence(q), q.kl_divergence(p)):
        np.testing.assert_array_equal(np.isnan(found), broken)
    for found in (p.ratio_moment(q), q.ratio_moment(p)):
        np.testing.assert_array_equal(np.isnan(found), broken)
    np.testing.assert_array_equal(np.isnan(p.sample(seed=KEYS[0]))[:, 0], broken)


def categorical_outputs(key):
    return mask_logits(jax.random.normal(key, (ROWS, SIZE)), MASK)


def gaussian_outputs(key):
    mean, log_std = drawn(key)
    return mask_gaussian(mean, log_std[0], MASK)


@pytest.mark.parametrize(
    ("is_continuous", "outputs_of"), [(False, categorical_outputs), (True, gaussian_outputs)]
)
def test_the_fisher_product_is_the_hessian_of_the_kl_in_the_outputs(run, is_continuous, outputs_of):
    policy = Policy.of(Config(), SIZE, is_continuous)
    outputs, weight = outputs_of(KEYS[0]), jax.random.uniform(KEYS[1], (ROWS,)).at[2].set(0.0)
    tangent = jax.random.normal(KEYS[2], outputs.shape)

    def mean_kl(other):
        kl = policy.distribution(outputs).kl_divergence(policy.distribution(other))
        return jnp.sum(weight * kl)

    _, expected = jax.jvp(jax.grad(mean_kl), (outputs,), (tangent,))
    product = run(lambda *given: policy.distribution(outputs).fisher_product(*given))
    found = product(tangent, weight)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(found[2], 0.0)
    assert (np.abs(found[0, [0, 2]]) > 1e-3).all()


def test_the_fisher_product_by_hand():
    # Deviations of 1/2 and 2: variances 1/4 and 4.  Means weigh 1 over those, log deviations 2.
    p = gaussian(jnp.zeros((1, 2)), jnp.log(jnp.array([[0.5, 2.0]])))
    found = p.fisher_product(jnp.array([[1.0, 1.0, 1.0, 3.0]]), jnp.array([0.5]))
    np.testing.assert_allclose(found, [[2.0, 0.125, 1.0, 3.0]], rtol=1e-6)
