"""The exported function against the learner that it comes from."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

from oatrpo_jax import ALGORITHMS, Config, Observation, make_trainer
from oatrpo_jax.export import actor_parameters, export_actors
from tests.probe_envs import Messy, Steering
from tests.tiers import in_tiers

CONFIG = Config(num_envs=2, rollout_length=2, hidden_sizes=(8,))
SIZE = 4
"""Units of a memory."""
STEERING = Steering(dimensions=(2, 1, 2))
"""Where actions are continuous."""


@functools.cache
def exported(algorithm, memory_size=0, is_continuous=False):
    """The learner, a state with policies that differ, and the function back from its bytes."""
    config = dataclasses.replace(CONFIG, memory_size=memory_size)
    learner = make_trainer(STEERING if is_continuous else Messy(), algorithm, config).learner

    @jax.jit
    def init(key):
        state = learner.init(key)
        # The head starts so small that all logits would be nearly alike.
        actors = jax.tree.map(lambda x: 10 * x, state.policies.params)
        if is_continuous:  # Which all start alike.
            log_std = jnp.arange(6.0).reshape(3, 2)[: learner.num_policies]
            actors = {"params": actors["params"] | {"log_std": log_std}}
        return state._replace(policies=state.policies._replace(params=actors))

    state = init(jax.random.key(0))
    return learner, state, export.deserialize(export_actors(learner, state).serialize())


def logits_of(learner, state, seen):
    return jax.jit(learner.outputs)(state, seen.agents_view, seen.action_mask)


def observe(rows, number=0):
    rng = np.random.default_rng((rows, number))
    mask = rng.random((rows, 3, 3)) < 0.5
    mask[..., 1] = True
    view = rng.normal(size=(rows, 3, 2)).astype(np.float32)
    return Observation(view, mask, np.zeros((rows, 6), np.float32), np.ones((rows, 3), bool))


# The function depends on nothing but who acts with which policy: one each, one for all, clusters.
@pytest.mark.parametrize("algorithm", in_tiers(ALGORITHMS, ("happo", "mappo", "seps")))
def test_the_exported_team_acts_as_the_learner_does(algorithm):
    learner, state, policy = exported(algorithm)
    act = jax.jit(functools.partial(learner.act, greedy=True))
    for rows in (1, 37):
        seen = observe(rows)
        logits, action = policy.call(actor_parameters(state), seen.agents_view, seen.action_mask)
        np.testing.assert_array_equal(action, act(state, seen, jax.random.key(0))[0])
        expected = logits_of(learner, state, seen)
        np.testing.assert_allclose(logits, expected, rtol=1e-5, atol=1e-5)
        assert action.dtype == jnp.int32 and logits.dtype == jnp.float32


@pytest.mark.parametrize("algorithm", in_tiers(("happo", "mappo", "oappo", "seps"), ("oappo",)))
def test_the_exported_team_remembers_as_the_learner_does_until_an_episode_ends(algorithm):
    learner, state, policy = exported(algorithm, SIZE)
    act = jax.jit(functools.partial(learner.act, greedy=True))
    memory, theirs = learner.start(37), np.zeros((37, 3, SIZE), np.float32)
    for number in range(5):
        seen = observe(37, number)
        seen = seen._replace(active=np.random.default_rng(number).random((37, 3)) < 0.8)
        given = seen.active_views, seen.action_mask
        theirs, _, taken = policy.call(actor_parameters(state), theirs, *given)
        action, _, memory = act(state, seen, jax.random.key(0), memory=memory)
        np.testing.assert_array_equal(taken, action)
        # What an agent remembers to act by itself is what it remembers among all that look on.
        own = memory[:, np.arange(3), learner.policy_of if memory.shape[2] > 1 else 0]
        np.testing.assert_allclose(theirs, own, rtol=1e-5, atol=1e-5)
        ended = np.arange(37) % 7 == number
        memory = jnp.where(ended[:, None, None, None], 0.0, memory)
        theirs = np.where(ended[:, None, None], 0, theirs)
    assert theirs.dtype == np.float32 and theirs.any(axis=(1, 2)).sum() == 37 - ended.sum()


def deviations(learner, state, rows):
    """``[b, N, D]`` log deviations, as the parameters have them."""
    own = np.asarray(state.policies.params["params"]["log_std"])[np.asarray(state.labels)]
    return np.broadcast_to(np.where(STEERING.exists, own, np.float32(-1e9)), (rows, 3, 2))


@pytest.mark.parametrize("algorithm", in_tiers(("happo", "mappo", "oatrpo", "seps"), ("happo",)))
def test_the_exported_team_acts_continuously_as_the_learner_does(algorithm):
    learner, state, policy = exported(algorithm, is_continuous=True)
    act = jax.jit(functools.partial(learner.act, greedy=True))
    for rows in (1, 37):
        seen = observe(rows)._replace(action_mask=np.tile(STEERING.exists, (rows, 1, 1)))
        log_std, mean = policy.call(actor_parameters(state), seen.agents_view, seen.action_mask)
        assert mean.dtype == jnp.float32 and log_std.dtype == jnp.float32
        np.testing.assert_array_equal(log_std, deviations(learner, state, rows))
        action, _ = act(state, seen, jax.random.key(0))
        np.testing.assert_allclose(mean, action, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(np.any(mean != 0, axis=0), STEERING.exists)
        expected = logits_of(learner, state, seen)
        np.testing.assert_allclose(
            np.concatenate([mean, log_std], axis=-1), expected, rtol=1e-5, atol=1e-6
        )


@pytest.mark.parametrize("algorithm", in_tiers(("oappo", "happo", "mappo"), ("oappo",)))
def test_the_exported_team_acts_continuously_with_a_memory_until_an_episode_ends(algorithm):
    learner, state, policy = exported(algorithm, SIZE, is_continuous=True)
    act = jax.jit(functools.partial(learner.act, greedy=True))
    memory, theirs, first = learner.start(5), np.zeros((5, 3, SIZE), np.float32), []
    for number in (0, 1, 2, 0):
        if number == 0:  # An episode starts.
            memory, theirs = learner.start(5), np.zeros_like(theirs)
        seen = observe(5, number)._replace(action_mask=np.tile(STEERING.exists, (5, 1, 1)))
        given = seen.agents_view, seen.action_mask
        theirs, log_std, mean = policy.call(actor_parameters(state), theirs, *given)
        action, _, memory = act(state, seen, jax.random.key(0), memory=memory)
        np.testing.assert_allclose(mean, action, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(log_std, deviations(learner, state, 5))
        own = memory[:, np.arange(3), learner.policy_of if memory.shape[2] > 1 else 0]
        np.testing.assert_allclose(theirs, own, rtol=1e-5, atol=1e-5)
        first.append(mean)
    np.testing.assert_array_equal(first[0], first[3])
    remembering, *_ = policy.call(actor_parameters(state), np.zeros_like(theirs), *given)
    assert not np.allclose(policy.call(actor_parameters(state), remembering, *given)[2], first[0])


def test_agents_that_share_nothing_act_differently_on_the_same_view():
    _, state, policy = exported("happo")
    view, mask = np.ones((1, 3, 2), np.float32), np.ones((1, 3, 3), bool)
    logits, _ = policy.call(actor_parameters(state), view, mask)
    assert len({tuple(row) for row in np.asarray(logits[0]).tolist()}) == 3


def test_who_acts_with_which_policy_is_part_of_the_function():
    learner, state, _ = exported("seps")
    state = learner.regroup(state, [2, 0, 2])
    grouped = export_actors(learner, state, platforms=("cpu",))
    seen = observe(5)
    logits, _ = grouped.call(actor_parameters(state), seen.agents_view, seen.action_mask)
    expected = logits_of(learner, state, seen)
    np.testing.assert_allclose(logits, expected, rtol=1e-5, atol=1e-5)


def test_the_greedy_action_is_legal():
    _, state, policy = exported("happo")
    seen = observe(37)
    _, action = policy.call(actor_parameters(state), seen.agents_view, seen.action_mask)
    assert np.take_along_axis(seen.action_mask, np.asarray(action)[..., None], axis=-1).all()


@pytest.mark.parametrize(
    "given", [("happo",), ("oappo", SIZE), ("happo", 0, True), ("oappo", SIZE, True)]
)
def test_it_runs_on_every_platform_and_holds_no_call_out_of_xla(given):
    _, _, policy = exported(*given)
    assert policy.platforms == ("cpu", "cuda", "tpu")
    program = policy.mlir_module()
    # Assertions on shapes are the only ones, and XLA removes them.
    assert program.count("custom_call") == program.count("custom_call @shape_assertion(")


@pytest.mark.parametrize("labels", [[0], [0, 0, 9], [-1, 0, 0]])
def test_labels_without_a_policy_are_refused(labels):
    learner, state, _ = exported("happo")
    state = state._replace(labels=jnp.array(labels))
    with pytest.raises(ValueError, match="labels: expected"):
        export_actors(learner, state, ("cpu",))


def test_rows_of_another_shape_are_refused():
    _, state, policy = exported("happo")
    with pytest.raises(ValueError, match=r"expected \(b, 3, 2\) and called with \(1, 3, 5\)"):
        policy.call(actor_parameters(state), jnp.ones((1, 3, 5)), jnp.ones((1, 3, 3), bool))
