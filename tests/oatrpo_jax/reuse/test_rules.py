import math

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oatrpo_jax.hyperparams import Hyperparams
from oatrpo_jax.reuse.agreement import GradientError
from oatrpo_jax.reuse.rules import (
    Affinity,
    agreement_reuse,
    allowed_reuse,
    fixed_reuse,
    own_reuse,
    sample_size_reuse,
    threshold_reuse,
)


def affinity(divergence, own=None, has_rows=None, sample_size=None, error=None) -> Affinity:
    divergence = jnp.asarray(divergence, jnp.float32)
    if sample_size is None:
        sample_size = jnp.ones_like(divergence)
    return Affinity(
        own=jnp.eye(*divergence.shape, dtype=bool) if own is None else jnp.asarray(own),
        has_rows=jnp.ones(divergence.shape[1], bool) if has_rows is None else jnp.asarray(has_rows),
        divergence=lambda: divergence,
        sample_size=lambda: jnp.asarray(sample_size),
        gradient_error=lambda: GradientError(*map(jnp.asarray, error)),
    )


def test_threshold_reuse_with_no_one_and_two_admitted_peers():
    # Row 0: nobody below 0.1.  Row 1: agent 0 only.  Row 2: both.
    divergence = [[0.0, 0.5, 0.1], [0.05, 0.0, 0.3], [0.01, 0.02, 0.0]]
    hparams = Hyperparams.create(reuse_sigma=0.1, reuse_lambda=0.6)
    weights = threshold_reuse().weights(affinity(divergence), hparams)
    # 1 | own .6, rest 1 - .6 = .4 | own .6, rest .4 / 2 = .2 each
    expected = [[1.0, 0.0, 0.0], [0.4, 0.6, 0.0], [0.2, 0.2, 0.6]]
    np.testing.assert_allclose(weights, expected, atol=1e-6)


@pytest.mark.parametrize("lam", [0.0, 0.3, 1.0])
def test_sigma_zero_admits_nobody_even_at_divergence_zero(lam):
    hparams = Hyperparams.create(reuse_sigma=0.0, reuse_lambda=lam)
    weights = threshold_reuse().weights(affinity(np.zeros((3, 3))), hparams)
    np.testing.assert_array_equal(weights, np.eye(3))


def test_lambda_one_is_the_identity_whoever_is_admitted():
    hparams = Hyperparams.create(reuse_sigma=1e9, reuse_lambda=1.0)
    weights = threshold_reuse().weights(affinity(np.zeros((4, 4))), hparams)
    np.testing.assert_array_equal(weights, np.eye(4))


@pytest.mark.parametrize("num_agents", [2, 3, 5])
def test_equal_policies_admitted_with_lambda_one_nth_are_used_evenly(num_agents):
    hparams = Hyperparams.create(reuse_sigma=1e9, reuse_lambda=1 / num_agents)
    weights = threshold_reuse().weights(affinity(np.zeros((num_agents, num_agents))), hparams)
    np.testing.assert_allclose(weights, 1 / num_agents, rtol=1e-6)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    num_agents=st.integers(1, 6),
    sigma=st.floats(0, 2),
    lam=st.floats(0, 1),
)
def test_rows_sum_to_one_whoever_is_admitted_or_dead(seed, num_agents, sigma, lam):
    rng = np.random.default_rng(seed)
    divergence = rng.random((num_agents, num_agents)) * (1 - np.eye(num_agents))
    has_rows = rng.random(num_agents) < 0.7
    hparams = Hyperparams.create(reuse_sigma=sigma, reuse_lambda=lam)
    seen = affinity(divergence, has_rows=has_rows)
    for rule in (
        threshold_reuse(),
        own_reuse(),
        allowed_reuse(rng.random((num_agents, num_agents)) < 0.5),
    ):
        weights = np.asarray(rule.weights(seen, hparams))
        np.testing.assert_allclose(weights.sum(axis=1), 1.0, rtol=1e-5)
        assert (weights >= 0).all()
        dead_peers = ~has_rows & ~np.eye(num_agents, dtype=bool)
        assert (weights[dead_peers] == 0).all()


def test_a_policy_shared_by_all_uses_all_evenly():
    weights = own_reuse().weights(
        affinity(np.zeros((1, 4)), own=np.ones((1, 4), bool)), Hyperparams.create()
    )
    np.testing.assert_allclose(weights, [[0.25] * 4])


def test_a_cluster_uses_its_own_members_evenly():
    own = np.array([[True, True, False], [False, False, True]])
    weights = own_reuse().weights(affinity(np.zeros((2, 3)), own=own), Hyperparams.create())
    np.testing.assert_allclose(weights, [[0.5, 0.5, 0.0], [0.0, 0.0, 1.0]])


def test_allowed_reuse_ignores_the_divergence_and_reads_lambda():
    rule = allowed_reuse([[True, True, False], [True, True, False], [False, False, True]])
    weights = rule.weights(affinity(np.full((3, 3), 9.0)), Hyperparams.create(reuse_lambda=0.7))
    np.testing.assert_allclose(weights, [[0.7, 0.3, 0], [0.3, 0.7, 0], [0, 0, 1]], atol=1e-6)


def test_a_gate_set_by_hand_has_yes_and_no_only():
    with pytest.raises(ValueError, match="expected True and False"):
        allowed_reuse([[0.7, 0.3], [float("nan"), -1.0]])


def test_a_fixed_matrix_is_returned_as_given():
    matrix = [[0.25, 0.75], [0.0, 1.0]]
    weights = fixed_reuse(matrix).weights(affinity(np.ones((2, 2))), Hyperparams.create())
    np.testing.assert_array_equal(weights, matrix)


@pytest.mark.parametrize(
    ("matrix", "complaint"),
    [
        ([[1.0, 0.0]], "one row and one column per agent"),
        ([[0.5, 0.4], [0.0, 1.0]], "row 0 sums to 0.9"),
        ([[1.5, -0.5], [0.0, 1.0]], "at least 0"),
        ([[math.nan, 1.0], [0.0, 1.0]], "at least 0"),
    ],
)
def test_a_bad_fixed_matrix_is_refused(matrix, complaint):
    with pytest.raises(ValueError, match=complaint):
        fixed_reuse(matrix)


def test_a_fixed_matrix_for_another_number_of_agents_is_refused():
    with pytest.raises(ValueError, match=r"expected shape \(3, 3\)"):
        fixed_reuse(np.eye(2)).weights(affinity(np.zeros((3, 3))), Hyperparams.create())


def test_sources_are_weighed_by_their_effective_sample_size():
    sample_size = [[1.0, 0.5, 0.0], [1.0, 1.0, 1.0], [0.0, 0.0, 1.0]]
    weights = sample_size_reuse().weights(
        affinity(np.zeros((3, 3)), sample_size=sample_size), Hyperparams.create()
    )
    # (1, 1/2, 0) / (3/2) | all alike: uniform | all apart: the identity
    expected = [[2 / 3, 1 / 3, 0], [1 / 3, 1 / 3, 1 / 3], [0, 0, 1]]
    np.testing.assert_allclose(weights, expected, rtol=1e-6)


def test_sources_are_weighed_by_the_inverse_error_of_their_gradients():
    variance = [[2.0, 3.0, 1.0], [5.0, 5.0, 5.0], [0.0, 0.0, 0.0]]
    bias = [[0.0, 1.0, 0.0], [0.0, 0.0, 1e30], [0.0, 0.0, 0.0]]
    weights = agreement_reuse().weights(
        affinity(np.zeros((3, 3)), error=(variance, bias)), Hyperparams.create()
    )
    # Beside the own 2: 2 / (3 + 1) = 1/2, and 2 / 1 counts as 1: (1, 1/2, 1) / (5/2).
    # Beside the own 5: 5 / 5 = 1 and 5 / 1e30 = 0.  No gradient at all: nobody's but the own.
    expected = [[0.4, 0.2, 0.4], [0.5, 0.5, 0.0], [0, 0, 1]]
    np.testing.assert_allclose(weights, expected, atol=1e-6)


@pytest.mark.parametrize("rule", [sample_size_reuse(), agreement_reuse()])
def test_slots_without_rows_are_not_reused(rule):
    alike = affinity(
        np.zeros((2, 2)), has_rows=[True, False], error=(np.ones((2, 2)), np.zeros((2, 2)))
    )
    weights = rule.weights(alike, Hyperparams.create())
    # Agent 1 died at once: nothing of it can be used; its own weight stands for "change nothing".
    np.testing.assert_allclose(weights, [[1, 0], [0.5, 0.5]], rtol=1e-6)


UNKNOWN, BROKEN = np.inf, np.nan


@pytest.mark.parametrize("nothing", [UNKNOWN, BROKEN])
def test_a_source_or_learner_whose_error_nobody_knows_has_no_part_in_anothers_row(nothing):
    variance = np.ones((3, 3))
    bias = np.zeros((3, 3))
    variance[:, 2] = variance[2] = bias[:, 2] = bias[2] = nothing
    seen = affinity(np.zeros((3, 3)), error=(variance, bias))
    weights = agreement_reuse().weights(seen, Hyperparams.create())
    # Learners 0 and 1 are alike and share evenly.  Learner 2 does not know its own variance.
    np.testing.assert_allclose(weights, [[0.5, 0.5, 0], [0.5, 0.5, 0], [0, 0, 1]], rtol=1e-6)


@pytest.mark.parametrize("rule", [threshold_reuse(), sample_size_reuse()])
def test_a_source_or_learner_that_is_not_a_number_has_no_part_in_anothers_row(rule):
    divergence, sample_size = np.zeros((3, 3)), np.ones((3, 3))
    for measured in (divergence, sample_size):
        measured[:, 2] = measured[2] = BROKEN
    hparams = Hyperparams.create(reuse_sigma=1e9, reuse_lambda=0.5)
    weights = rule.weights(affinity(divergence, sample_size=sample_size), hparams)
    np.testing.assert_allclose(weights, [[0.5, 0.5, 0], [0.5, 0.5, 0], [0, 0, 1]], rtol=1e-6)


def test_the_variance_of_a_policy_of_two_agents_is_that_of_those_who_know_theirs():
    own = np.array([[True, True, False]])
    error = (np.array([[2.0, UNKNOWN, 3.0]]), np.array([[0.0, UNKNOWN, 1.0]]))
    weights = agreement_reuse().weights(
        affinity(np.zeros((1, 3)), own=own, error=error), Hyperparams.create()
    )
    # 2 / (3 + 1) = 1/2 beside 1 for the own slots together.
    np.testing.assert_allclose(weights, [[1 / 3, 1 / 3, 1 / 3]], rtol=1e-6)


def test_no_source_counts_for_more_than_its_effective_sample_size():
    variance, bias = np.full((2, 2), 2.0), np.zeros((2, 2))
    variance[:, 1], sample_size = 1e-9, np.array([[1.0, 0.25], [0.0, 1.0]])
    seen = affinity(np.zeros((2, 2)), error=(variance, bias), sample_size=sample_size)
    weights = agreement_reuse().weights(seen, Hyperparams.create())
    # Agent 1's gradients hardly vary beside the own 2, but its rows are worth a quarter: of 5/4.
    # Learner 1 has parted with agent 0 for good.
    np.testing.assert_allclose(weights, [[0.8, 0.2], [0.0, 1.0]], rtol=1e-6)
