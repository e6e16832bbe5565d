"""Learners whose agents draw from Gaussians, some in fewer dimensions than others."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from oatrpo_jax import EnvSpec, make_learner
from tests.oatrpo_jax.test_learner import (
    CONFIG,
    ENVS,
    HPARAMS,
    NUM_AGENTS,
    NUM_ENVS,
    NUM_STEPS,
    collected,
    learner_of,
    memory_of,
    update_of,
)
from tests.probe_envs import tree_equal
from tests.tiers import in_tiers

SHAPE = (NUM_STEPS, NUM_ENVS, NUM_AGENTS, 2)
EXISTS = ENVS[True].exists
KEY = jax.random.key(2)


def spoil_absent_dimensions(trajectory, value):
    """Returns the trajectory with a value wherever an agent has no dimension."""
    action = np.where(EXISTS, trajectory.action, np.float32(value))
    return trajectory._replace(action=action)


SPOILT_DAILY = ("happo, continuous", "oappo, continuous")
SPOILT_DAILY += ("oatrpo, continuous", "oappo-ess, continuous")
SPOILT = (*SPOILT_DAILY, "hatrpo, continuous", "seac, continuous")
SPOILT += ("oappo-auto, continuous", "oappo, memory, continuous")
"""Cases in which what is recorded in dimensions that there are not is spoilt."""


@pytest.mark.parametrize("name", in_tiers(SPOILT, SPOILT_DAILY))
def test_what_is_recorded_in_dimensions_that_there_are_not_changes_nothing(name):
    state, trajectory = collected(name)
    np.testing.assert_array_equal(trajectory.action[..., ~EXISTS], 0.0)
    rest = HPARAMS, KEY, memory_of(name)
    expected = update_of(name)(state, trajectory, *rest)
    assert not tree_equal(expected[0].policies.params, state.policies.params)
    for value in (1e6, np.nan):
        spoilt = spoil_absent_dimensions(trajectory, value)
        assert tree_equal(update_of(name)(state, spoilt, *rest), expected)


@pytest.mark.parametrize(
    "name", in_tiers(("happo, continuous", "hatrpo, continuous"), ("happo, continuous",))
)
def test_a_dimension_that_no_agent_of_a_policy_has_stays_as_it_is(name):
    state, trajectory = collected(name)
    after, _ = update_of(name)(state, trajectory, HPARAMS, KEY)
    old, new = (each.policies.params["params"] for each in (state, after))
    # Agent 1 has one of two dimensions, and its policy learns from nobody else.
    assert EXISTS.tolist() == [[True, True], [True, False], [True, True]]
    np.testing.assert_array_equal(np.asarray(new["log_std"]) != old["log_std"], EXISTS)
    head = [layers["MLP_0"]["Dense_1"]["bias"] for layers in (old, new)]
    np.testing.assert_array_equal(np.asarray(head[1]) != head[0], EXISTS)


def test_a_policy_may_learn_of_others_in_a_dimension_that_its_agent_has_not():
    name = "oappo, continuous"
    state, trajectory = collected(name)
    everybody = dataclasses.replace(HPARAMS, reuse_sigma=jnp.float32(1e6))
    after, metrics = update_of(name)(state, trajectory, everybody, KEY)
    assert metrics["reuse/num_admitted"] == NUM_AGENTS - 1
    old, new = (each.policies.params["params"]["log_std"] for each in (state, after))
    assert (np.asarray(new) != old).all()


@functools.cache
def act_of(name, greedy=False):
    return jax.jit(functools.partial(learner_of(name).act, greedy=greedy))


def test_an_action_is_drawn_by_the_mean_and_the_deviation_and_is_0_where_there_is_no_dimension():
    name = "oappo, continuous"
    state, trajectory = collected(name)
    seen = jax.tree.map(lambda x: np.broadcast_to(x[0, :1], (4000, *x.shape[2:])), trajectory)
    seen = seen.observation
    action, log_prob = act_of(name)(state, seen, KEY)
    assert action.dtype == jnp.float32 and action.shape == (4000, NUM_AGENTS, 2)
    assert log_prob.shape == (4000, NUM_AGENTS) and np.isfinite(log_prob).all()
    np.testing.assert_array_equal(np.any(action != 0, axis=0), EXISTS)
    std = np.exp(state.policies.params["params"]["log_std"])
    greedy, _ = act_of(name, greedy=True)(state, seen, KEY)
    # Four standard errors of a mean of 4000, and of a deviation: 4 / sqrt(4000) = 0.063.
    error, spread = np.asarray(action - greedy).mean(axis=0), np.asarray(action).std(axis=0)
    np.testing.assert_array_less(np.abs(error)[EXISTS], 0.063 * std[EXISTS])
    np.testing.assert_allclose(spread[EXISTS], std[EXISTS], rtol=0.063)


def test_greedy_actions_are_the_means_and_need_no_luck():
    name = "oappo, continuous"
    (state, trajectory), learner = collected(name), learner_of(name)
    seen = trajectory.observation
    one, log_prob = act_of(name, greedy=True)(state, seen, jax.random.key(0))
    two, _ = act_of(name, greedy=True)(state, seen, jax.random.key(1))
    np.testing.assert_array_equal(one, two)
    outputs = jax.jit(learner.outputs)(state, seen.active_views, seen.action_mask)
    np.testing.assert_allclose(one, outputs[..., :2], rtol=1e-6)
    # Nothing is likelier.
    drawn, _ = act_of(name)(state, seen, KEY)
    assert (learner.policy.distribution(outputs).log_prob(drawn) < log_prob).all()


def test_policies_start_with_the_deviation_of_the_config():
    spec = EnvSpec(2, 3, 2, 2, is_continuous=True)
    learner = make_learner(spec, "happo", CONFIG)
    state = jax.jit(learner.init)(KEY)
    log_std = state.policies.params["params"]["log_std"]
    np.testing.assert_array_equal(log_std, np.full((2, 3), CONFIG.initial_log_std, np.float32))


def refused(name, action, complaint):
    state, trajectory = collected(name)
    with pytest.raises(ValueError, match=rf"^trajectory\.action: {complaint}"):
        learner_of(name).update(state, trajectory._replace(action=action), HPARAMS, KEY)


BAD_ACTIONS = {
    "indices": (np.zeros(SHAPE[:3], np.int32), r"\[T, E, 3, 2\], got int32 \[8, 4, 3\]; .*"),
    "whole numbers": (np.zeros(SHAPE, np.int32), r"\[8, 4, 3, 2\], got int32 \[8, 4, 3, 2\]"),
    "truths": (np.zeros(SHAPE, bool), r"\[8, 4, 3, 2\], got bool \[8, 4, 3, 2\]"),
    "one dimension": (np.zeros(SHAPE[:3], np.float32), r".*, got float32 \[8, 4, 3\]; .*"),
    "a dimension more": (
        np.zeros((*SHAPE[:3], 3), np.float32),
        r"\[T, E, 3, 2\], got float32 \[8, 4, 3, 3\]; actions are continuous by the spec",
    ),
    "other agents": (np.zeros((8, 4, 2, 2), np.float32), r".*got float32 \[8, 4, 2, 2\]; .*"),
    "no environments": (np.zeros((8, 3, 2), np.float32), r".*got float32 \[8, 3, 2\]; .*"),
}


@pytest.mark.parametrize(("action", "complaint"), BAD_ACTIONS.values(), ids=BAD_ACTIONS)
def test_actions_that_are_no_vectors_are_refused_where_they_are_continuous(action, complaint):
    refused("oappo, continuous", action, f"expected floating {complaint}")


def test_a_list_of_vectors_is_refused():
    listed = np.zeros(SHAPE).tolist()
    refused("oappo, continuous", listed, r"expected an array, got list; make it one by jnp\.asarr")


def test_vectors_are_refused_where_actions_are_discrete():
    wanted = r"expected integer \[T, E, 3\], got float32 \[8, 4, 3, 2\]; actions are discrete by"
    refused("oappo", np.zeros(SHAPE, np.float32), wanted)
    wanted = r"expected integer \[8, 4, 3\], got float32 \[8, 4, 3\]"
    refused("oappo", np.zeros(SHAPE[:3], np.float32), wanted)


@pytest.mark.parametrize("dtype", ["float64", "float16"])
def test_actions_of_another_precision_are_made_float32(dtype):
    name = "oappo, continuous"
    state, trajectory = collected(name)
    other = trajectory.action.astype(dtype)
    results = (
        update_of(name)(state, trajectory._replace(action=each), HPARAMS, KEY)[0]
        for each in (other, other.astype(np.float32))
    )
    for one, two in zip(*(jax.tree.leaves(each) for each in results), strict=True):
        assert one.dtype == two.dtype  # Another program may add up in another order.
        np.testing.assert_allclose(one, two, rtol=1e-3, atol=5e-6)


@pytest.mark.parametrize(
    ("mask", "found"),
    [
        (np.ones((2, 3, 3), bool), r"bool \[2, 3, 3\]"),
        (np.ones((2, 3), bool), r"bool \[2, 3\]"),
        (np.ones((2, 3, 4), bool), r"bool \[2, 3, 4\]"),  # As long as the outputs.
        (np.ones((2, 3, 2), np.float32), r"float32 \[2, 3, 2\]"),
    ],
)
def test_a_mask_of_other_dimensions_is_refused(mask, found):
    (state, trajectory), learner = collected("oappo, continuous"), learner_of("oappo, continuous")
    seen = jax.tree.map(lambda x: x[0, :2], trajectory.observation)._replace(action_mask=mask)
    complaint = rf"^observation\.action_mask: expected bool \[2, 3, 2\], got {found}"
    with pytest.raises(ValueError, match=complaint):
        learner.act(state, seen, KEY)


def test_an_active_agent_without_any_dimension_has_no_probability():
    name = "oappo, continuous"
    state, trajectory = collected(name)
    seen = trajectory.observation
    stuck = seen._replace(action_mask=np.zeros_like(seen.action_mask))
    action, log_prob = act_of(name)(state, stuck, KEY)
    np.testing.assert_array_equal(np.isnan(log_prob), seen.active)
    np.testing.assert_array_equal(action, 0.0)


def test_policies_whose_deviations_part_are_as_far_apart_as_by_hand():
    """Of three policies with means about 0 the last has three times the others' deviation."""
    state, trajectory = collected("oappo, continuous")
    params = jax.jit(learner_of("oappo, continuous").init)(KEY).policies.params["params"]
    wider = np.asarray(params["log_std"]) + np.log([[1.0], [1.0], [3.0]], dtype=np.float32)
    policies = state.policies._replace(params={"params": params | {"log_std": wider}})
    state = state._replace(policies=policies)
    measured = {}
    for name in ("oappo, continuous", "oappo-ess, continuous"):
        measured |= update_of(name)(state, trajectory, HPARAMS, KEY)[1]
    # By learner and source, in each dimension that the source has, of which agent 1 has one:
    # KL(narrow || wide) = ln 3 + 1/18 - 1/2 = 0.654168, and
    # KL(wide || narrow) = -ln 3 + 9/2 - 1/2 = 2.901388.
    expected = [[0, 0, 5.802775], [0, 0, 5.802775], [1.308335, 0.654168, 0]]
    np.testing.assert_allclose(measured["reuse/divergence"], expected, rtol=0.01, atol=0.002)
    # The wide have no finite moment under the narrow, whose variance is a ninth.  The other way
    # round it is 1 / sqrt(1/9 (2 - 1/9)) = 9 / sqrt(17) in each dimension: a size of 17/81.
    expected = [[1, 1, 0.209877], [1, 1, 0.209877], [0, 0, 1]]
    sizes = np.asarray(measured["reuse/effective_sample_size"])
    np.testing.assert_allclose(sizes, expected, rtol=0.01, atol=0.002)
    np.testing.assert_array_equal(measured["reuse/weight"][2, :2], 0.0)
