import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.flatten_util import ravel_pytree
from jax.tree_util import Partial

from oatrpo_jax.config import Config
from oatrpo_jax.hyperparams import Hyperparams
from oatrpo_jax.optimiser import Learning
from oatrpo_jax.policies.memory import Recall
from oatrpo_jax.policies.policy import Policy
from oatrpo_jax.reuse.divergence import divergence_from_sources, rows_to_compare
from oatrpo_jax.reuse.experience import Experience, Slots
from oatrpo_jax.reuse.sources import PolicyBatch, Sources, make_sources, thin_sources
from oatrpo_jax.steps.signature import Condition, Task
from oatrpo_jax.steps.trpo import (
    evaluate_candidate,
    fisher_vector_product,
    natural_step,
    surrogate,
    trust_region_step,
)
from tests.tiers import in_tiers

CONFIG = Config(hidden_sizes=(5,), cg_iterations=60)
POLICY = Policy.of(CONFIG, num_actions=3)
MEMORY_SIZE = 3
REMEMBERING = dataclasses.replace(CONFIG, memory_size=MEMORY_SIZE)
POLICIES = {
    "feed-forward": POLICY,
    "memory": Policy.of(REMEMBERING, num_actions=3),
    "Gaussian": Policy.of(CONFIG, num_actions=3, is_continuous=True),
    "Gaussian, memory": Policy.of(REMEMBERING, num_actions=3, is_continuous=True),
}
DAILY = ("feed-forward", "memory", "Gaussian")
WEIGHTS = jnp.array([0.7, 0.3])
KEY = jax.random.key(0)
NO_LIMIT = jnp.float32(jnp.inf)


@pytest.fixture(scope="module", params=in_tiers(POLICIES, DAILY))
def params(request):
    return initial_params(POLICIES[request.param])


@functools.partial(jax.jit, static_argnums=0)
def initial_params(policy):
    keys = jax.random.split(jax.random.key(0))
    params = policy.init(keys[0], view_size=2)
    # The policy head starts near 0, where the Fisher matrix is almost singular.
    flat, unravel = ravel_pytree(params)
    return unravel(flat + 0.5 * jax.random.normal(keys[1], flat.shape))


def policy_of(params):
    """Returns the policy whose parameters they are."""
    layers = params["params"]
    config = REMEMBERING if "GRU_0" in layers else CONFIG
    return Policy.of(config, num_actions=3, is_continuous="log_std" in layers)


@jax.jit
def make_test_sources(params, advantage_scale=1.0):
    """Two slots of six rows for the learner of slot 0; one row of each is inactive."""
    policy, keys = policy_of(params), jax.random.split(jax.random.key(1), 4)
    shape = (2, 3, 2)
    view = jax.random.normal(keys[0], (*shape, 2))
    mask = jnp.ones((*shape, 3), bool).at[:, 0, 0, 2].set(False)
    recall = None
    if policy.remembers:  # In one environment an episode ends after the second of three steps.
        memory = jax.random.normal(keys[3], (2, 1, 2, MEMORY_SIZE))
        recall = Recall(jnp.tanh(memory), jnp.zeros(shape, bool).at[:, 1, 0].set(True))
    seen = Slots(view, mask, *[None] * 4, recall)
    outputs = jax.vmap(policy.outputs)(with_another(params), seen)
    action = policy.distribution(outputs).sample(seed=keys[1])
    slots = seen._replace(
        action=action,
        log_prob=policy.distribution(outputs).log_prob(action),
        advantage=advantage_scale * jax.random.normal(keys[2], shape),
        active=jnp.ones(shape, bool).at[:, 2, 1].set(False),
    )
    return of_slots(slots_of(make_sources(slots, WEIGHTS, jnp.array([True, False]))))


def with_another(params):
    """Returns the policies that recorded the two slots."""
    return jax.tree.map(lambda x: jnp.stack([x, x + 0.1]), params)


def slots_of(sources):
    """Returns both slots, ``[2, T, E]``."""
    return jax.tree.map(lambda *x: jnp.stack(x), *(sources.slot(number) for number in range(2)))


def of_slots(batch):
    """Returns sources that may be given to compiled functions."""
    return Sources(
        Partial(lambda batch, position: jax.tree.map(lambda x: x[position], batch), batch), 2
    )


@functools.partial(jax.jit, static_argnums=1)
def thin(sources, num_rows):
    return of_slots(slots_of(thin_sources(sources, num_rows)))


@jax.jit
def evaluate(sources, center, candidate):
    return evaluate_candidate(policy_of(center), sources, center, candidate)


@jax.jit
def divergence_from_other(params, candidate):
    """Mean KL from the policy that recorded the other slot, on its active rows."""
    policy, slots = policy_of(params), slots_of(make_test_sources(params)).rows
    experience = Experience(slots, jnp.eye(2, dtype=bool))
    compared = rows_to_compare(policy, with_another(params), experience, CONFIG.divergence_rows)
    hparams = Hyperparams.create()
    return divergence_from_sources(policy, candidate, 0, compared, CONFIG, hparams)[1]


@jax.jit
def fisher_times(params, sources, vector):
    return fisher_vector_product(policy_of(params), params, sources, vector)


@jax.jit
def dense_fisher(params, sources):
    """Hessian of the weighted mean KL from the policy at params, by automatic differentiation."""
    flat, unravel = ravel_pytree(params)

    def mean_kl(candidate):
        return evaluate(sources, params, unravel(candidate)).kl

    # Forward over forward: the loop over sources has a traced length.
    return jax.jacfwd(jax.jacfwd(mean_kl))(flat)


@jax.jit
def jitted_step(params, sources, limit, hparams):
    condition = Condition(functools.partial(divergence_from_other, params), limit)
    return trust_region_step(
        policy_of(params),
        Learning(params, ()),
        Task(lambda key: sources, condition),
        CONFIG,
        hparams,
        jax.random.key(0),
    )


def take_step(params, sources, limit=NO_LIMIT, **coefficients):
    learning, metrics = jitted_step(params, sources, limit, Hyperparams.create(**coefficients))
    return learning.params, metrics


def test_fisher_vector_product_is_the_hessian_of_the_kl(params):
    sources = make_test_sources(params)
    flat, unravel = ravel_pytree(params)
    vector = jax.random.normal(jax.random.key(2), flat.shape)
    product, _ = ravel_pytree(fisher_times(params, sources, unravel(vector)))
    np.testing.assert_allclose(product, dense_fisher(params, sources) @ vector, atol=2e-5)


@pytest.mark.parametrize("name", in_tiers(("Gaussian", "Gaussian, memory"), DAILY))
def test_fisher_vector_product_of_a_gaussian_agrees_with_finite_differences(name):
    """Of values alone: ``KL(x + h v) + KL(x - h v) = h^2 v'Fv`` to the third order."""
    sources = make_test_sources(params := initial_params(POLICIES[name]))
    flat, unravel = ravel_pytree(params)
    for vector in jax.random.normal(jax.random.key(5), (4, len(flat))):
        product, _ = ravel_pytree(fisher_times(params, sources, unravel(vector)))
        step = 0.01 * vector
        both = (evaluate(sources, params, unravel(x)).kl for x in (flat + step, flat - step))
        np.testing.assert_allclose(vector @ product, sum(both) / 0.01**2, rtol=0.01)


def test_fisher_matrix_is_positive_semi_definite(params):
    eigenvalues = np.linalg.eigvalsh(dense_fisher(params, make_test_sources(params)))
    assert eigenvalues.min() > -1e-5


def test_natural_step_agrees_with_a_dense_solve(params):
    sources = make_test_sources(params)
    hparams = Hyperparams.create(cg_damping=0.1, kl_threshold=0.02)
    flat, unravel = ravel_pytree(params)
    gradient = jax.random.normal(jax.random.key(3), flat.shape)
    solve = jax.jit(lambda *args: natural_step(policy_of(params), *args, CONFIG, hparams))
    step, _ = ravel_pytree(solve(sources, params, unravel(gradient)))
    fisher = np.asarray(dense_fisher(params, sources), np.float64)
    direction = np.linalg.solve(fisher + 0.1 * np.eye(len(flat)), np.asarray(gradient, np.float64))
    expected = np.sqrt(2 * 0.02 / (direction @ fisher @ direction)) * direction
    np.testing.assert_allclose(step, expected, rtol=2e-2, atol=2e-3)


def test_surrogate_gradient_agrees_with_finite_differences(params):
    batch = make_test_sources(params).slot(1)
    flat, unravel = ravel_pytree(params)
    direction = jax.random.normal(jax.random.key(4), flat.shape)

    @jax.jit
    def value(step):
        return surrogate(policy_of(params), unravel(flat + step * direction), batch)[0]

    numeric = (value(1e-2) - value(-1e-2)) / 2e-2
    np.testing.assert_allclose(jax.grad(value)(0.0), numeric, rtol=1e-2, atol=1e-4)


@pytest.mark.parametrize("kl_threshold", [1e-3, 1e-2, 1e-1])
def test_an_accepted_step_improves_within_the_trust_region(params, kl_threshold):
    sources = make_test_sources(params)
    moved, metrics = take_step(params, sources, kl_threshold=kl_threshold)
    before = evaluate(sources, params, params)
    after = evaluate(sources, params, moved)
    assert metrics["policy/accepted"] == 1
    assert 0 < after.kl <= kl_threshold * (1 + 1e-4)
    assert after.surrogate > before.surrogate
    np.testing.assert_allclose(metrics["policy/approx_kl"], after.kl, rtol=1e-3, atol=1e-7)


def test_a_rejected_search_restores_the_parameters_exactly(params):
    # No candidate can keep the divergence from the reused source below 0.
    moved, metrics = take_step(params, make_test_sources(params), limit=jnp.float32(-1.0))
    assert metrics["policy/accepted"] == 0
    assert metrics["policy/step_fraction"] == 0
    jax.tree.map(np.testing.assert_array_equal, moved, params)


def test_condition_1_holds_for_the_candidate(params):
    sources = make_test_sources(params)
    start = divergence_from_other(params, params)
    limit = start * 1.1
    search = {"kl_threshold": 1.0, "accept_ratio": 0.0, "line_search_decay": 0.5}
    free, _ = take_step(params, sources, **search)
    bound, metrics = take_step(params, sources, limit=limit, **search)
    reached = [divergence_from_other(params, moved) for moved in (free, bound)]
    assert reached[0] > limit >= reached[1]
    assert metrics["policy/accepted"] == 1


def test_zero_gradients_leave_the_parameters_and_make_no_nan(params):
    moved, metrics = take_step(params, make_test_sources(params, advantage_scale=0.0))
    jax.tree.map(np.testing.assert_array_equal, moved, params)
    assert all(jnp.isfinite(value) for value in metrics.values())


def test_inactive_rows_influence_neither_fisher_nor_candidate(params):
    sources = make_test_sources(params)
    batch = slots_of(sources)
    rows = batch.rows
    spoilt_rows = rows._replace(
        agents_view=rows.agents_view.at[:, 2, 1].set(1e4),
        advantage=rows.advantage.at[:, 2, 1].set(jnp.nan),
    )
    spoilt = of_slots(batch._replace(rows=spoilt_rows))
    vector = jax.tree.map(jnp.ones_like, params)
    for one, two in zip(
        jax.tree.leaves(fisher_times(params, sources, vector)),
        jax.tree.leaves(fisher_times(params, spoilt, vector)),
        strict=True,
    ):
        np.testing.assert_array_equal(one, two)
    moved = jax.tree.map(lambda x: x + 0.01, params)
    before, after = (evaluate(each, params, moved) for each in (sources, spoilt))
    jax.tree.map(np.testing.assert_array_equal, before, after)


def test_fewer_rows_weigh_as_much_as_all_did(params):
    sources = make_test_sources(params)
    batch, idle = slots_of(sources), lambda weight: weight.at[:, 1, 0].set(0.0)
    weights = idle(batch.policy_weight), idle(batch.own_weight)
    few = slots_of(thin(of_slots(PolicyBatch(batch.rows, *weights)), 3))
    # Three steps of two environments; of the first, two rows count, and of the second as well.
    # So the four share 4/5 of the slot's weight of 0.7 or 0.3, and the two that are left all of it.
    expected = [[[0.28], [0], [0.28]], [[0.12], [0], [0.12]]]
    np.testing.assert_allclose(few.policy_weight, expected, rtol=1e-6)
    np.testing.assert_allclose(few.own_weight[0], [[0.4], [0], [0.4]], rtol=1e-6)
    np.testing.assert_array_equal(few.rows.action, batch.rows.action[:, :, :1])


def test_fisher_on_all_rows_is_the_same_however_many_more_are_allowed(params):
    sources = make_test_sources(params)
    assert slots_of(thin(sources, 100)).policy_weight.shape == (2, 3, 2)
    vector = jax.tree.map(jnp.ones_like, params)
    exact = fisher_times(params, sources, vector)
    everything = fisher_times(params, thin(sources, 100), vector)
    some = fisher_times(params, thin(sources, 2), vector)
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-5), exact, everything)
    assert optax.tree.norm(optax.tree.sub(exact, some)) > 0.01 * optax.tree.norm(exact)


def test_trust_region_holds_on_all_rows_where_the_curvature_is_estimated_on_few():
    config = dataclasses.replace(CONFIG, fisher_rows=4)
    sources = make_test_sources(params := initial_params(POLICY))
    learning, metrics = jax.jit(
        lambda params, hparams: trust_region_step(
            POLICY, Learning(params, ()), Task(lambda key: sources), config, hparams, KEY
        )
    )(params, Hyperparams.create())
    candidate = evaluate(sources, params, learning.params)
    assert metrics["policy/accepted"] == 1
    assert 0 < candidate.kl <= 0.01
