import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from oatrpo_jax.config import Config, Hyperparams
from oatrpo_jax.policies.policy import Policy
from oatrpo_jax.reuse.divergence import (
    pairwise_divergence,
    pairwise_sample_size,
    summarise_rows,
)
from oatrpo_jax.reuse.experience import Slots

POLICY = Policy(Config(), num_actions=3)


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


def two_slots(logits) -> Slots:
    """Slots of two agents with two rows, three actions, the second row of agent 1 inactive."""
    logits = logits[:, None]
    log_prob = jax.nn.log_softmax(logits)
    return Slots(
        agents_view=jnp.zeros((2, 1, 2, 1)),
        action_mask=jnp.ones((2, 1, 2, 3), bool),
        action=jnp.zeros((2, 1, 2), jnp.int32),
        log_prob=log_prob[..., 0],
        outputs=logits,
        advantage=jnp.zeros((2, 1, 2)),
        active=jnp.array([[[True, True]], [[True, False]]]),
    )


def test_divergence_has_the_learner_in_its_row_and_the_source_in_its_column():
    source = jnp.log(jnp.array([[[1.0, 1, 2]] * 2, [[2.0, 1, 1]] * 2]))
    learner = jnp.log(jnp.array([[1.0, 1, 2], [2.0, 1, 1]]))

    def logits_of(index):
        return jnp.broadcast_to(learner[index], (2, 1, 2, 3))

    divergence = pairwise_divergence(POLICY, logits_of, two_slots(source), 2, Hyperparams.create())
    # KL((2,1,1)/4 || (1,1,2)/4) = 1/2 ln 2 - 1/4 ln 2 = 1/4 ln 2 = 0.1733, and likewise back.
    np.testing.assert_allclose(divergence, [[0, 0.173287], [0.173287, 0]], atol=1e-5)
    sample_size = pairwise_sample_size(POLICY, logits_of, two_slots(source), 2)
    # E[w^2] = (1/2)^2/(1/4) + (1/4)^2/(1/4) + (1/4)^2/(1/2) = 1 + 1/4 + 1/8 = 11/8.
    np.testing.assert_allclose(sample_size, [[1, 8 / 11], [8 / 11, 1]], rtol=1e-5)


def test_a_source_that_never_does_what_the_learner_does_is_no_sample():
    source = jnp.broadcast_to(jnp.array([0.0, -200.0, -200.0]), (2, 1, 2, 3))
    learner = jnp.broadcast_to(jnp.array([-200.0, 0.0, 0.0]), (2, 1, 2, 3))
    sample_size = pairwise_sample_size(POLICY, lambda index: learner, two_slots(source), 2)
    np.testing.assert_array_less(sample_size, 1e-30)


def test_inactive_rows_change_no_divergence():
    logits = jax.random.normal(jax.random.key(0), (2, 1, 2, 3))
    slots = two_slots(logits)
    spoilt = slots._replace(outputs=slots.outputs.at[1, 1].set(jnp.array([50.0, 0.0, -50.0])))
    other = jax.random.normal(jax.random.key(1), (2, 1, 2, 3))

    for measure in (divergence_of, sample_size_of):
        np.testing.assert_array_equal(measure(other, slots), measure(other, spoilt))


def divergence_of(logits, slots):
    """Of learners that have the same logits on all slots' rows."""
    return pairwise_divergence(POLICY, lambda index: logits, slots, 2, Hyperparams.create())


def sample_size_of(logits, slots):
    return pairwise_sample_size(POLICY, lambda index: logits, slots, 2)


@pytest.mark.parametrize("measure", [divergence_of, sample_size_of])
def test_a_source_that_is_not_a_number_is_so_to_everybody_and_no_other_is(measure):
    logits = jnp.zeros((2, 1, 2, 3))
    broken = two_slots(logits.at[1, 0, 0].set(jnp.nan))
    found = measure(logits, broken)
    assert jnp.isnan(found[:, 1]).all() and jnp.isfinite(found[:, 0]).all()
