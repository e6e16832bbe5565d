import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from oatrpo_jax.policies.memory import Recall
from oatrpo_jax.reuse.experience import Experience, Slots
from oatrpo_jax.reuse.rows import spaced_envs, subsample_envs
from oatrpo_jax.reuse.sources import PolicyBatch, fold_sources, make_sources, sample_sources

NUM_AGENTS, NUM_ACTIONS = 3, 4


@functools.cache
@functools.partial(jax.jit, static_argnums=(0, 1))
def some_slots(num_steps=3, num_envs=4) -> Slots:
    keys = jax.random.split(jax.random.key(0), 3)
    shape = (NUM_AGENTS, num_steps, num_envs)
    logits = jax.random.normal(keys[0], (*shape, NUM_ACTIONS))
    return Slots(
        agents_view=jax.random.normal(keys[1], (*shape, 2)),
        action_mask=jnp.ones((*shape, NUM_ACTIONS), bool),
        action=jnp.zeros(shape, jnp.int32),
        log_prob=jax.nn.log_softmax(logits)[..., 0],
        outputs=logits,
        advantage=jax.random.normal(keys[2], shape),
        active=jnp.ones(shape, bool).at[2, :, 1:].set(False),
    )


def total_advantage(batch: PolicyBatch) -> jax.Array:
    return jnp.sum(batch.policy_weight * batch.rows.advantage)


def test_sources_sum_to_the_weighted_mean_over_active_rows():
    slots = some_slots()
    weights = jnp.array([0.5, 0.2, 0.3])
    sources = make_sources(slots, weights, jnp.array([False, True, False]))
    means = [slots.advantage[0].mean(), slots.advantage[1].mean(), slots.advantage[2, :, 0].mean()]
    expected = 0.5 * means[0] + 0.2 * means[1] + 0.3 * means[2]
    np.testing.assert_allclose(fold_sources(total_advantage, sources), expected, rtol=1e-5)
    assert sources.order[0] == 1  # Own experience comes first.


def test_only_used_sources_are_visited():
    slots = some_slots()
    sources = make_sources(slots, jnp.array([0.0, 1.0, 0.0]), jnp.array([False, True, False]))
    visits = fold_sources(lambda batch: jnp.int32(1), sources)
    assert int(visits) == int(sources.count) == 1


def test_a_learners_own_slots_are_visited_even_with_weight_zero():
    # lambda = 0: nothing is learnt from them, but the entropy bonus lives there.
    slots = some_slots()
    sources = make_sources(slots, jnp.array([0.5, 0.0, 0.5]), jnp.array([False, True, False]))
    own = fold_sources(lambda batch: jnp.sum(batch.own_weight), sources)
    assert int(sources.count) == 3
    np.testing.assert_allclose(own, 1.0, rtol=1e-6)


def test_a_slot_without_active_rows_weighs_nothing_and_is_not_nan():
    slots = some_slots()
    dead = slots._replace(active=slots.active.at[2].set(False))
    sources = make_sources(dead, jnp.array([0.5, 0.0, 0.5]), jnp.array([True, False, False]))
    weight = np.asarray(sources.batch.policy_weight)
    np.testing.assert_array_equal(weight[2], 0.0)
    np.testing.assert_allclose(weight.sum(), 0.5, rtol=1e-6)


def remembered(slots: Slots) -> Slots:
    """Returns the slots with a memory before the first row that says whose it is."""
    num_slots, length, num_envs = slots.active.shape
    whose = jnp.arange(num_slots, dtype=jnp.float32).reshape(-1, 1, 1, 1)
    memory = jnp.broadcast_to(whose, (num_slots, 1, num_envs, 2))
    return slots._replace(recall=Recall(memory, jnp.zeros((num_slots, length, num_envs), bool)))


@pytest.mark.parametrize("remembers", [False, True])
def test_sampled_sources_agree_with_weighted_ones_in_expectation(remembers):
    slots = remembered(some_slots()) if remembers else some_slots()
    weights = jnp.array([0.5, 0.2, 0.3])
    own = jnp.array([False, True, False])
    sources = make_sources(slots, weights, own)

    def estimate(key):
        drawn = sample_sources(key, sources, weights)
        return fold_sources(total_advantage, drawn), fold_sources(
            lambda batch: jnp.sum(batch.own_weight), drawn
        )

    sampled, own_weight = jax.vmap(estimate)(jax.random.split(jax.random.key(1), 4000))
    standard_error = sampled.std() / 4000**0.5
    exact = fold_sources(total_advantage, sources)
    assert abs(sampled.mean() - exact) < 4 * standard_error
    assert abs(own_weight.mean() - 1.0) < 4 * own_weight.std() / 4000**0.5


def test_of_a_source_that_is_drawn_a_policy_that_remembers_has_the_whole_sequence():
    slots, weights = remembered(some_slots()), jnp.array([0.5, 0.2, 0.3])
    whose = jnp.broadcast_to(jnp.arange(3.0)[:, None, None], slots.advantage.shape)
    sources = make_sources(
        slots._replace(advantage=whose), weights, jnp.array([True] + [False] * 2)
    )
    keys = jax.random.split(jax.random.key(2), 2000)
    drawn = jax.vmap(lambda key: sample_sources(key, sources, weights).batch.rows)(keys)
    source, memory = (np.asarray(x)[:, 0] for x in (drawn.advantage, drawn.recall.memory))
    np.testing.assert_array_equal(source, np.broadcast_to(source[:, :1], source.shape))
    np.testing.assert_array_equal(memory, np.repeat(source[:, :1, :, None], 2, axis=-1))
    # Each environment has a draw of its own: two differ with 1 - (0.25 + 0.04 + 0.09) = 0.62.
    first, second = source[:, 0, 0], source[:, 0, 1]
    np.testing.assert_allclose((first != second).mean(), 0.62, atol=0.05)
    np.testing.assert_allclose([(first == n).mean() for n in range(3)], weights, atol=0.05)


def test_a_learner_reads_each_slot_with_the_memory_that_it_would_have_had():
    slots = remembered(some_slots())
    memories = jnp.arange(3.0)[:, None, None, None, None] + slots.recall.memory / 10
    experience = Experience(slots, jnp.eye(3, dtype=bool), memories=memories)
    seen = jax.jit(experience.seen_by)(1)
    np.testing.assert_allclose(seen.recall.memory[:, 0, 0, 0], [1.0, 1.1, 1.2])
    # Some rows of it, with the memories before just these.
    some = experience.arranged(lambda batch: subsample_envs(batch, np.array([1, 3])))
    assert some.memories.shape == (3, 3, 1, 2, 2)
    assert some.seen_by(2).recall.ended.shape == (3, 3, 2)


def test_slots_are_judged_alike_unless_each_learner_has_its_own_view():
    slots, own = some_slots(), jnp.eye(3, dtype=bool)
    assert Experience(slots, own).seen_by(jnp.int32(1)) is slots
    judged = Experience(slots, own, lambda learner: slots.advantage + learner).seen_by(2)
    np.testing.assert_array_equal(judged.advantage, slots.advantage + 2)
    assert judged.log_prob is slots.log_prob


def test_a_subsample_is_whole_sequences_of_evenly_spaced_environments():
    slots = some_slots(num_steps=2, num_envs=3)
    slots = slots._replace(advantage=np.arange(18.0).reshape(3, 2, 3))

    def advantages(num_rows):
        return subsample_envs(slots, spaced_envs((2, 3), num_rows)).advantage

    np.testing.assert_array_equal(advantages(4)[1], [[6, 8], [9, 11]])  # Environments 0 and 2.
    assert advantages(99).shape == (3, 2, 3)  # Never more than there are,
    assert advantages(1).shape == (3, 2, 1)  # and one sequence at the least.
