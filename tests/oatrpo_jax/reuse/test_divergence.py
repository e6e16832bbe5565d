import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from oatrpo_jax.config import Config
from oatrpo_jax.hyperparams import Hyperparams
from oatrpo_jax.policies.policy import Policy
from oatrpo_jax.reuse.divergence import (
    Compared,
    pairwise_divergence,
    pairwise_sample_size,
    rows_to_compare,
    summarise_rows,
)
from oatrpo_jax.reuse.experience import Experience, Slots


class SaysTheSame(Policy):
    """A policy whose parameters are what it puts out on all rows."""

    def outputs(self, params, rows):
        return jnp.broadcast_to(params, (*rows.agents_view.shape[:-1], 3))


POLICY = SaysTheSame.of(Config(), num_actions=3)


def test_masked_kl_is_exact():
    # Legal: actions 0 and 2.  p = (1/4, 3/4), q = (1/2, 1/2):
    # KL = 1/4 ln(1/2) + 3/4 ln(3/2) = -0.173287 + 0.304099 = 0.130812
    mask = jnp.array([True, False, True])
    p = POLICY.distribution(jnp.where(mask, jnp.log(jnp.array([1.0, 9.0, 3.0])), -1e9))
    q = POLICY.distribution(jnp.where(mask, jnp.log(jnp.array([1.0, 5.0, 1.0])), -1e9))
    assert float(p.kl_divergence(q)) == pytest.approx(0.130812, abs=1e-6)
    assert float(p.probs[1]) == 0.0


def test_rows_are_summarised_by_mean_maximum_or_quantile_of_the_active_ones():
    kl = jnp.array([[1.0, 2.0, 3.0, 100.0], [5.0, 5.0, 5.0, 5.0], [-1e-9, 0.0, 0.0, 0.0]])
    active = jnp.array([[True, True, True, False], [False] * 4, [True] * 4])
    for name, expected in (("mean", 2.0), ("max", 3.0), ("quantile", 2.0)):
        # Nobody active: 0.  Rounding below 0: clamped.
        np.testing.assert_allclose(summarise(kl, active, name), [expected, 0.0, 0.0], atol=1e-12)


def summarise(kl, active, name):
    hparams = Hyperparams.create(divergence_quantile=0.5)
    return summarise_rows(
        kl[:, None], active[:, None], dataclasses.replace(Config(), divergence=name), hparams
    )


@pytest.mark.parametrize("name", ["mean", "max", "quantile"])
def test_what_is_not_a_number_on_an_active_row_stays_so_and_on_another_row_does_not_matter(name):
    kl = jnp.array([[jnp.nan, 0.0, 0.0], [jnp.nan, 2.0, 2.0], [jnp.nan] * 3])
    active = jnp.array([[True] * 3, [False, True, True], [False] * 3])
    np.testing.assert_array_equal(summarise(kl, active, name), [jnp.nan, 2.0, 0.0])


def two_slots(logits) -> Compared:
    """Slots of two agents with two rows, three actions, the second row of agent 1 inactive."""
    logits = logits[:, None]
    log_prob = jax.nn.log_softmax(logits)
    slots = Slots(
        agents_view=jnp.zeros((2, 1, 2, 1)),
        action_mask=jnp.ones((2, 1, 2, 3), bool),
        action=jnp.zeros((2, 1, 2), jnp.int32),
        log_prob=log_prob[..., 0],
        advantage=jnp.zeros((2, 1, 2)),
        active=jnp.array([[[True, True]], [[True, False]]]),
    )
    return Compared(Experience(slots, jnp.eye(2, dtype=bool)), logits)


def divergence_of(actors, compared):
    return pairwise_divergence(POLICY, actors, compared, Config(), Hyperparams.create())


def sample_size_of(actors, compared):
    return pairwise_sample_size(POLICY, actors, compared)


def test_divergence_has_the_learner_in_its_row_and_the_source_in_its_column():
    learners = jnp.log(jnp.array([[2.0, 1, 1], [1.0, 1, 1]]))
    compared = two_slots(jnp.broadcast_to(learners[:, None], (2, 2, 3)))
    # Row 1: KL((2,1,1)/4 || (1,1,1)/3) = 1/2 ln(3/2) + 2/4 ln(3/4) = ln 3 - 3/2 ln 2 = 0.05889;
    # row 0: KL((1,1,1)/3 || (2,1,1)/4) = 1/3 ln(2/3) + 2/3 ln(4/3) = 5/3 ln 2 - ln 3 = 0.05663.
    divergence = divergence_of(learners, compared)
    np.testing.assert_allclose(divergence, [[0, 0.056633], [0.058892, 0]], atol=2e-6)
    # Row 1: E[w^2] = (1/9)/(1/2) + 2 (1/9)/(1/4) = 10/9; row 0: (1/4 + 2/16)/(1/3) = 9/8.
    sample_size = sample_size_of(learners, compared)
    np.testing.assert_allclose(sample_size, [[1, 8 / 9], [9 / 10, 1]], rtol=1e-5)


def test_rows_are_compared_with_what_those_put_out_who_recorded_them():
    slots = two_slots(jnp.zeros((2, 2, 3))).experience.slots
    actors = jnp.array([[1.0, 0, 0], [0, 2.0, 0], [0, 0, 3.0]])
    # Agent 0 acts with policy 2, agent 1 with policy 0.
    own = jnp.array([[False, True], [False, False], [True, False]])
    compared = rows_to_compare(POLICY, actors, Experience(slots, own), num_rows=100)
    expected = np.broadcast_to(np.array([[0, 0, 3.0], [1.0, 0, 0]])[:, None, None], (2, 1, 2, 3))
    np.testing.assert_array_equal(compared.outputs, expected)
    few = rows_to_compare(POLICY, actors, Experience(slots, own), num_rows=2)
    assert few.outputs.shape == (2, 1, 1, 3)


def test_a_source_that_never_does_what_the_learner_does_is_no_sample():
    source = jnp.broadcast_to(jnp.array([0.0, -200.0, -200.0]), (2, 2, 3))
    learners = jnp.array([[-200.0, 0.0, 0.0]] * 2)
    np.testing.assert_array_less(sample_size_of(learners, two_slots(source)), 1e-30)


def test_inactive_rows_change_no_divergence():
    compared = two_slots(jax.random.normal(jax.random.key(0), (2, 2, 3)))
    nonsense = compared.outputs.at[1, 0, 1].set(jnp.array([50.0, 0.0, -50.0]))
    others = jax.random.normal(jax.random.key(1), (2, 3))
    for measure in (divergence_of, sample_size_of):
        found = measure(others, compared)
        np.testing.assert_array_equal(found, measure(others, compared._replace(outputs=nonsense)))


@pytest.mark.parametrize("measure", [divergence_of, sample_size_of])
def test_a_source_that_is_not_a_number_is_so_to_everybody_and_no_other_is(measure):
    broken = two_slots(jnp.zeros((2, 2, 3)).at[1, 0].set(jnp.nan))
    found = measure(jnp.zeros((2, 3)), broken)
    assert jnp.isnan(found[:, 1]).all() and jnp.isfinite(found[:, 0]).all()
