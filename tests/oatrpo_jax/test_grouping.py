"""Telling agents apart: the choice of clusters, and trainers that do it by themselves."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from oatrpo_jax import Config, Hyperparams, make_train, make_trainer
from oatrpo_jax.grouping import choose_grouping, collect
from oatrpo_jax.identity import Embeddings
from tests.conftest import TO_THE_BIT
from tests.probe_envs import Messy, tree_equal

CONFIG = Config(
    num_envs=4,
    rollout_length=2,
    num_updates=1,
    num_epochs=1,
    critic_epochs=1,
    hidden_sizes=(4,),
    grouping_steps=30,
    grouping_epochs=2,
)


def choose(places, deviation=0.2):
    """The grouping of agents at places on a line, in two dimensions."""
    mean = np.stack([places, np.zeros(len(places))], axis=-1).astype(np.float32)
    spread = np.full_like(mean, deviation)
    return jax.device_get(jitted(Embeddings(mean, spread), jax.random.key(0)))


jitted = jax.jit(choose_grouping)


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        ([0, 5, 0.1, 5.1], [0, 1, 0, 1]),
        ([5, 0, 0.1, 5.1, 10, 9.9], [0, 1, 1, 0, 2, 2]),
        ([0, 0.1, 0.2, 7, 7.1, 0.15], [0, 0, 0, 1, 1, 0]),
        ([0, 4, 8, 8.1], [0, 1, 2, 2]),
        # By the bare means' index three clusters, of which two are single points, are better.
        ([0, 0.2, 5, 5.2], [0, 0, 1, 1]),
    ],
)
def test_agents_that_lie_together_share_a_label(places, expected):
    grouping = choose(places)
    assert grouping.labels.tolist() == expected
    assert grouping.scores.shape == (len(places) - 2,)
    assert int(grouping.scores.argmin()) + 2 == len(set(expected))


@pytest.mark.parametrize(("distance", "expected"), [(1.0, [0, 1]), (0.1, [0, 0])])
def test_two_agents_are_told_apart_if_farther_than_their_draws_spread(distance, expected):
    # Deviation 0.2 in two dimensions: draws lie 0.2 x sqrt(pi / 2) = 0.25 from their mean.
    grouping = choose([0, distance])
    assert grouping.labels.tolist() == expected
    np.testing.assert_allclose(grouping.scores, [2 * 0.25 / distance], rtol=0.1)


def test_one_agent_and_agents_all_alike_are_one_cluster():
    for places in ([3], [2, 2], [1, 1, 1, 1]):
        grouping = choose(places)
        assert grouping.labels.tolist() == [0] * len(places)
        assert np.isinf(grouping.scores).all()


def test_there_are_no_more_clusters_than_distinct_embeddings():
    grouping = choose([0, 0, 3, 3, 3])
    assert grouping.labels.tolist() == [0, 0, 1, 1, 1]
    assert np.isfinite(grouping.scores).tolist() == [True, False, False]


@functools.cache
def began():
    trainer = make_trainer(Messy(), "seps", CONFIG)
    keys = jax.random.split(jax.random.key(0), 3)
    begin = jax.jit(jax.vmap(trainer.begin), compiler_options=TO_THE_BIT)
    return trainer, keys, jax.device_get(begin(keys))


def test_a_trainer_groups_its_agents_before_it_begins():
    _, _, (state, grouping) = began()
    np.testing.assert_array_equal(state.learner.labels, grouping.labels)
    assert grouping.labels.shape == (3, 3) and grouping.labels.dtype == jnp.int32
    # Numbered by first appearance, two clusters at most.
    assert (grouping.labels[:, 0] == 0).all() and grouping.labels.max() <= 1


def test_each_run_is_grouped_as_it_is_alone_and_to_the_bit_alike():
    trainer, keys, (state, grouping) = began()
    begin = jax.jit(trainer.begin)
    alone, found = begin(keys[1])
    np.testing.assert_array_equal(found.labels, grouping.labels[1])
    assert tree_equal(found, begin(keys[1])[1])
    np.testing.assert_array_equal(alone.rollout.env.position, state.rollout.env.position[1])


def test_but_for_the_labels_a_run_begins_as_it_does_without_grouping():
    trainer, keys, (state, _) = began()
    init = lambda key: trainer.learner.init(jax.random.split(key, 3)[0])  # noqa: E731
    fresh = jax.jit(jax.vmap(init), compiler_options=TO_THE_BIT)(keys)
    assert tree_equal(fresh.policies, state.learner.policies)


def test_an_algorithm_that_finds_no_clusters_has_no_grouping():
    trainer = make_trainer(Messy(), "mappo", CONFIG)
    state, grouping = jax.eval_shape(trainer.begin, jax.random.key(0))
    assert grouping is None
    assert jax.tree.structure(state) == jax.tree.structure(
        jax.eval_shape(trainer.init, jax.random.key(0))
    )


@pytest.mark.thorough
def test_a_sweep_of_whole_runs_is_one_program():
    train = jax.jit(jax.vmap(jax.vmap(make_train(Messy(), "seps", CONFIG), (0, None)), (None, 0)))
    hparams = Hyperparams.create(actor_lr=[1e-3, 1e-2])
    state, metrics = train(jax.random.split(jax.random.key(0), 3), hparams)
    assert metrics["critic/loss"].shape == (2, 3, 1)
    np.testing.assert_array_equal(state.learner.labels[0], began()[2][1].labels)
    np.testing.assert_array_equal(state.learner.labels[0], state.learner.labels[1])


def test_as_many_steps_are_collected_as_are_asked_for_rounded_up_to_all_environments():
    trainer = make_trainer(Messy(), "seps", CONFIG)
    state = jax.eval_shape(trainer.learner.init, jax.random.key(0))
    trajectory = jax.eval_shape(
        functools.partial(collect, trainer.env, trainer.learner), state, jax.random.key(0)
    )
    # 30 steps by 4 environments: 8 of each.
    assert trajectory.reward.shape == (8, 4)
    assert CONFIG.grouping_length == 8
