import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from oatrpo_jax.config import Config, Hyperparams
from oatrpo_jax.policies.distributions import policy_distribution
from oatrpo_jax.reuse.divergence import pairwise_divergence, summarise_rows
from oatrpo_jax.reuse.experience import Slots


def test_masked_kl_is_exact():
    # Legal: actions 0 and 2.  p = (1/4, 3/4), q = (1/2, 1/2):
    # KL = 1/4 ln(1/2) + 3/4 ln(3/2) = -0.173287 + 0.304099 = 0.130812
    mask = jnp.array([True, False, True])
    p = policy_distribution(jnp.where(mask, jnp.log(jnp.array([1.0, 9.0, 3.0])), -1e9))
    q = policy_distribution(jnp.where(mask, jnp.log(jnp.array([1.0, 5.0, 1.0])), -1e9))
    assert float(p.kl_divergence(q)) == pytest.approx(0.130812, abs=1e-6)
    assert float(p.probs[1]) == 0.0


def test_rows_are_summarised_by_mean_maximum_or_quantile_of_the_active_ones():
    kl = jnp.array([[1.0, 2.0, 3.0, 100.0], [5.0, 5.0, 5.0, 5.0], [-1e-9, 0.0, 0.0, 0.0]])
    active = jnp.array([[True, True, True, False], [False] * 4, [True] * 4])
    hparams = Hyperparams.create(divergence_quantile=0.5)
    config = Config()
    for name, expected in (("mean", 2.0), ("max", 3.0), ("quantile", 2.0)):
        summary = summarise_rows(kl, active, dataclasses.replace(config, divergence=name), hparams)
        # Nobody active: 0.  Rounding below 0: clamped.
        np.testing.assert_allclose(summary, [expected, 0.0, 0.0], atol=1e-12)


def two_slots(logits) -> Slots:
    """Slots of two agents with two rows, three actions, the second row of agent 1 inactive."""
    log_prob = jax.nn.log_softmax(logits)
    return Slots(
        agents_view=jnp.zeros((2, 2, 1)),
        action_mask=jnp.ones((2, 2, 3), bool),
        action=jnp.zeros((2, 2), jnp.int32),
        log_prob=log_prob[..., 0],
        logits=logits,
        advantage=jnp.zeros((2, 2)),
        active=jnp.array([[True, True], [True, False]]),
    )


def test_divergence_has_the_learner_in_its_row_and_the_source_in_its_column():
    source = jnp.log(jnp.array([[[1.0, 1, 2]] * 2, [[2.0, 1, 1]] * 2]))
    learner = jnp.log(jnp.array([[1.0, 1, 2], [2.0, 1, 1]]))

    def logits_of(index):
        return jnp.broadcast_to(learner[index], (2, 2, 3))

    divergence, sample_size = pairwise_divergence(
        logits_of, two_slots(source), 2, Config(), Hyperparams.create()
    )
    # KL((2,1,1)/4 || (1,1,2)/4) = 1/2 ln 2 - 1/4 ln 2 = 1/4 ln 2 = 0.1733, and likewise back.
    np.testing.assert_allclose(divergence, [[0, 0.173287], [0.173287, 0]], atol=1e-5)
    # E[w^2] = (1/2)^2/(1/4) + (1/4)^2/(1/4) + (1/4)^2/(1/2) = 1 + 1/4 + 1/8 = 11/8.
    np.testing.assert_allclose(sample_size, [[1, 8 / 11], [8 / 11, 1]], rtol=1e-5)


def test_a_source_that_never_does_what_the_learner_does_is_no_sample():
    source = jnp.broadcast_to(jnp.array([0.0, -200.0, -200.0]), (2, 2, 3))
    learner = jnp.broadcast_to(jnp.array([-200.0, 0.0, 0.0]), (2, 2, 3))
    _, sample_size = pairwise_divergence(
        lambda index: learner, two_slots(source), 2, Config(), Hyperparams.create()
    )
    np.testing.assert_array_less(sample_size, 1e-30)


def test_inactive_rows_change_no_divergence():
    logits = jax.random.normal(jax.random.key(0), (2, 2, 3))
    slots = two_slots(logits)
    spoilt = slots._replace(logits=slots.logits.at[1, 1].set(jnp.array([50.0, 0.0, -50.0])))
    other = jax.random.normal(jax.random.key(1), (2, 2, 3))

    def measure(slots):
        return pairwise_divergence(lambda index: other, slots, 2, Config(), Hyperparams.create())

    for before, after in zip(measure(slots), measure(spoilt), strict=True):
        np.testing.assert_array_equal(before, after)
