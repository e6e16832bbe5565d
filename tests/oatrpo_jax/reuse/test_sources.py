"""What a learner is given to learn from, whole or drawn."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from oatrpo_jax.reuse.experience import Slots
from oatrpo_jax.reuse.sources import ESTIMATORS, PolicyBatch, fold_sources, make_sources
from tests.oatrpo_jax.reuse.made_up_slots import remembered, some_slots

WEIGHTS = jnp.array([0.5, 0.2, 0.3])
OWN = jnp.array([False, True, False])
DRAWING = ("paired", "sampled")


def as_they_are(slots: Slots, others: jax.Array) -> Slots:
    return slots


def total_advantage(batch: PolicyBatch) -> jax.Array:
    return jnp.sum(batch.policy_weight * batch.rows.advantage)


def total_own_weight(batch: PolicyBatch) -> jax.Array:
    return jnp.sum(batch.own_weight)


def drawn_by(estimator, slots, weights=WEIGHTS, own=OWN, prepare=as_they_are):
    return ESTIMATORS[estimator](slots, weights, own, prepare)


@functools.partial(jax.jit, static_argnums=(0, 1))
def many_sums(estimator, num_draws, slots, weights=WEIGHTS, own=OWN):
    """Sums over the sources of many draws: of weighted advantages, of own weights, of slots."""

    def sums(key):
        sources = drawn_by(estimator, slots, weights, own)(key)
        each = (fold_sources(sum_, sources) for sum_ in (total_advantage, total_own_weight))
        return *each, sources.count

    return jax.vmap(sums)(jax.random.split(jax.random.key(1), num_draws))


def test_sources_sum_to_the_weighted_mean_over_active_rows():
    slots = some_slots()
    sources = make_sources(slots, WEIGHTS, OWN)
    means = [slots.advantage[0].mean(), slots.advantage[1].mean(), slots.advantage[2, :, 0].mean()]
    expected = 0.5 * means[0] + 0.2 * means[1] + 0.3 * means[2]
    np.testing.assert_allclose(fold_sources(total_advantage, sources), expected, rtol=1e-5)
    # Own experience comes first.
    np.testing.assert_array_equal(sources.slot(0).rows.advantage, slots.advantage[1])
    assert sources.num_envs == 4


def test_only_used_sources_are_visited():
    sources = make_sources(some_slots(), jnp.array([0.0, 1.0, 0.0]), OWN)
    visits = fold_sources(lambda batch: jnp.int32(1), sources)
    assert int(visits) == int(sources.count) == 1


def test_a_learners_own_slots_are_visited_even_with_weight_zero():
    # lambda = 0: nothing is learnt from them, but the entropy bonus lives there.
    weights = jnp.array([0.5, 0.0, 0.5])
    sources = make_sources(some_slots(), weights, OWN)
    assert int(sources.count) == 3
    np.testing.assert_allclose(fold_sources(total_own_weight, sources), 1.0, rtol=1e-6)
    _, own_weight, count = many_sums("paired", 10, some_slots(), weights)
    np.testing.assert_array_equal(count, 2)
    np.testing.assert_allclose(own_weight, 1.0, rtol=1e-6)


def test_a_slot_without_active_rows_weighs_nothing_and_is_not_nan():
    slots = some_slots()
    dead = slots._replace(active=slots.active.at[2].set(False))
    own = jnp.array([True, False, False])
    sources = make_sources(dead, jnp.array([0.5, 0.0, 0.5]), own)
    weight = np.stack([sources.slot(position).policy_weight for position in range(2)])
    np.testing.assert_array_equal(weight[1], 0.0)
    np.testing.assert_allclose(weight.sum(), 0.5, rtol=1e-6)


@pytest.mark.parametrize("remembers", [False, True])
@pytest.mark.parametrize("estimator", DRAWING)
def test_drawn_sources_agree_with_weighted_ones_in_expectation(estimator, remembers):
    """Identity 8."""
    slots = remembered(some_slots()) if remembers else some_slots()
    drawn, own_weight, count = many_sums(estimator, 4000, slots)
    exact = fold_sources(total_advantage, make_sources(slots, WEIGHTS, OWN))
    assert abs(drawn.mean() - exact) < 4 * drawn.std() / 4000**0.5
    assert drawn.std() > 0.01
    np.testing.assert_array_equal(count, {"paired": 2, "sampled": 1}[estimator])
    if estimator == "paired":  # Own rows are all there in every draw.
        np.testing.assert_allclose(own_weight, 1.0, rtol=1e-6)
    else:
        assert abs(own_weight.mean() - 1.0) < 4 * own_weight.std() / 4000**0.5


def test_own_rows_that_are_not_drawn_have_less_variance():
    spread = {name: many_sums(name, 4000, some_slots())[0].std() for name in DRAWING}
    assert spread["paired"] < 0.9 * spread["sampled"]


@pytest.mark.parametrize("estimator", DRAWING)
def test_a_draw_depends_on_its_key_alone(estimator):
    keys = jax.random.split(jax.random.key(2), 2)
    draw = jax.jit(
        lambda key: fold_sources(total_advantage, drawn_by(estimator, some_slots())(key))
    )
    assert draw(keys[0]) == draw(keys[0]) != draw(keys[1])


def test_paired_sources_are_the_weighted_ones_where_one_other_is_used():
    weights = jnp.array([0.0, 0.6, 0.4])
    sources = drawn_by("paired", some_slots(), weights)(jax.random.key(0))
    exact = make_sources(some_slots(), weights, OWN)
    assert int(sources.count) == int(exact.count) == 2
    for position in range(2):
        jax.tree.map(
            functools.partial(np.testing.assert_allclose, rtol=1e-6),
            sources.slot(position),
            exact.slot(position),
        )


def test_paired_sources_are_own_ones_where_no_other_is_used():
    sources = drawn_by("paired", some_slots(), jnp.array([0.0, 1.0, 0.0]))(jax.random.key(0))
    assert int(sources.count) == 1
    np.testing.assert_array_equal(sources.slot(0).rows.advantage, some_slots().advantage[1])


def test_own_slots_of_a_shared_policy_are_whole_and_the_others_drawn():
    own, weights = jnp.array([True, True, False]), jnp.array([0.3, 0.3, 0.4])
    sources = drawn_by("paired", some_slots(), weights, own)(jax.random.key(0))
    exact = make_sources(some_slots(), weights, own)
    assert int(sources.count) == 3
    for position in range(3):
        np.testing.assert_allclose(
            sources.slot(position).policy_weight, exact.slot(position).policy_weight, rtol=1e-6
        )
    everybody = drawn_by("paired", some_slots(), jnp.full(3, 1 / 3), jnp.ones(3, bool))
    assert int(everybody(jax.random.key(0)).count) == 3


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_others_rows_and_no_own_ones_are_prepared(estimator):
    def prepare(slots, others):
        return slots._replace(log_prob=slots.log_prob + 100.0 * others[:, None, None])

    slots = some_slots()._replace(log_prob=jnp.zeros((3, 3, 4)))
    sources = drawn_by(estimator, slots, prepare=prepare)(jax.random.key(0))
    own, log_prob = (
        np.stack([read(sources.slot(position)) for position in range(int(sources.count))])
        for read in (lambda batch: batch.own_weight > 0, lambda batch: batch.rows.log_prob)
    )
    np.testing.assert_array_equal(log_prob, np.where(own, 0.0, 100.0))


@pytest.mark.parametrize(
    ("estimator", "share"), [("sampled", [0.5, 0.2, 0.3]), ("paired", [0.625, 0.0, 0.375])]
)
def test_of_a_source_that_is_drawn_a_policy_that_remembers_has_the_whole_sequence(estimator, share):
    slots = remembered(some_slots())
    whose = jnp.broadcast_to(jnp.arange(3.0)[:, None, None], slots.advantage.shape)
    draw = drawn_by(estimator, slots._replace(advantage=whose))
    keys = jax.random.split(jax.random.key(2), 2000)

    @jax.jit
    @jax.vmap
    def last_slot(key):
        sources = draw(key)
        return sources.slot(sources.count - 1).rows

    drawn = last_slot(keys)
    source, memory = np.asarray(drawn.advantage), np.asarray(drawn.recall.memory)
    np.testing.assert_array_equal(source, np.broadcast_to(source[:, :1], source.shape))
    np.testing.assert_array_equal(memory, np.repeat(source[:, :1, :, None], 2, axis=-1))
    # Each environment has a draw of its own: two are alike as often as chance has it.
    first, second = source[:, 0, 0], source[:, 0, 1]
    np.testing.assert_allclose((first == second).mean(), np.square(share).sum(), atol=0.05)
    np.testing.assert_allclose([(first == n).mean() for n in range(3)], share, atol=0.05)
