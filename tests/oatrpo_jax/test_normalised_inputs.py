"""Learners whose networks see in deviations from running means."""

import jax
import numpy as np
import pytest

from tests.oatrpo_jax.test_learner import (
    HPARAMS,
    NORMALISED,
    collected,
    learner_of,
    memory_of,
    update_of,
)
from tests.probe_envs import tree_equal
from tests.tiers import in_tiers


def learnt(name, start, trajectory, num_updates=1):
    """A learner after updates on one trajectory."""
    memory = memory_of(name)
    for _ in range(num_updates):
        start, _ = update_of(name)(start, trajectory, HPARAMS, jax.random.key(2), memory)
    return start


def begun(name):
    """A learner that has seen nothing yet, and a trajectory."""
    state, trajectory = collected(name)
    fresh = jax.tree.map(np.zeros_like, state.input_norm)
    return state._replace(input_norm=fresh), trajectory


@pytest.mark.parametrize("name", in_tiers(NORMALISED, NORMALISED[:1]))
@pytest.mark.parametrize("scale", [2.0**-20, 2.0**20])
def test_the_scale_of_inputs_changes_no_bit_of_what_is_learnt(name, scale):
    """From the first update on, as networks see nothing before there is a scale."""
    state, trajectory = begun(name)
    seen, then = trajectory.observation, trajectory.next_observation
    large = trajectory._replace(
        observation=scaled(seen, scale), next_observation=scaled(then, scale)
    )
    results = [learnt(name, state, given, num_updates=2) for given in (trajectory, large)]
    plain, other = (each._replace(input_norm=None) for each in results)
    assert tree_equal(plain, other) and not tree_equal(plain.policies, state.policies)
    means = [each.input_norm.views.mean for each in results]
    np.testing.assert_array_equal(means[1], means[0] * np.float32(scale))


def scaled(seen, scale):
    """The observation with all that networks see multiplied."""
    view, state = (x * np.float32(scale) for x in (seen.agents_view, seen.global_state))
    return seen._replace(agents_view=view, global_state=state)


@pytest.mark.parametrize("name", in_tiers(NORMALISED, NORMALISED[:2]))
def test_an_update_ends_with_the_statistics_of_what_was_seen(name):
    state, trajectory = begun(name)
    norm, seen = learnt(name, state, trajectory).input_norm, trajectory.observation
    views = seen.agents_view[seen.active]
    is_central = learner_of(name).algorithm.has_central_critic
    states = seen.global_state.reshape(-1, seen.global_state.shape[-1])
    for rows, found in ((views, norm.views), (states if is_central else views, norm.features)):
        rows = rows.astype(np.float64)
        assert found.count == len(rows)
        np.testing.assert_allclose(found.mean, rows.mean(axis=0), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(found.variance, rows.var(axis=0), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", in_tiers(NORMALISED, NORMALISED[:2]))
def test_who_acts_and_values_sees_in_deviations_from_the_mean(name):
    (state, trajectory), learner = collected(name), learner_of(name)
    raw, plain = learner_of(name.replace(", normalised", "")), state._replace(input_norm=None)
    # What the environments were to show to a learner that takes it as it is.
    seen, norm = jax.tree.map(lambda x: x[0], trajectory.observation), state.input_norm
    views = (seen.active_views - norm.views.mean) / np.sqrt(norm.views.variance)
    memory = learner.start(len(seen.active), to_learn=False)
    outputs = jax.tree.leaves(
        learner.outputs(state, seen.active_views, seen.action_mask, memory=memory)
    )
    expected = jax.tree.leaves(raw.outputs(plain, views, seen.action_mask, memory=memory))
    np.testing.assert_allclose(outputs[0], expected[0], rtol=1e-4, atol=1e-5)
    name_of_input = "global_state" if learner.algorithm.has_central_critic else "agents_view"
    features = getattr(seen, name_of_input) - norm.features.mean
    shown = seen._replace(**{name_of_input: features / np.sqrt(norm.features.variance)})
    if (
        not learner.algorithm.has_central_critic
    ):  # Its input is what is seen of the living and dead.
        shown = shown._replace(active=np.ones_like(seen.active))
    value = raw.value(plain, shown)
    np.testing.assert_allclose(learner.value(state, seen), value, rtol=1e-4, atol=1e-5)


def test_an_update_judges_by_the_statistics_with_which_was_acted():
    """Else ratios would not start at 1, and what is learnt would hang on what is learnt from."""
    name = NORMALISED[0]
    state, trajectory = collected(name)
    plain = state._replace(input_norm=None)
    views = state.normalised_views(trajectory.observation.active_views)
    states = state.normalised_features(trajectory.observation.global_state)
    then = trajectory.next_observation
    shown = trajectory._replace(
        observation=trajectory.observation._replace(agents_view=views, global_state=states),
        next_observation=then._replace(global_state=state.normalised_features(then.global_state)),
    )
    after, expected = learnt(name, state, trajectory), learnt("oappo", plain, shown)
    for left, right in zip(
        jax.tree.leaves(after._replace(input_norm=None)), jax.tree.leaves(expected), strict=True
    ):
        np.testing.assert_allclose(left, right, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_views_of_another_precision_are_made_float32_before_anything_is_subtracted(dtype):
    (state, trajectory), learner = collected(NORMALISED[0]), learner_of(NORMALISED[0])
    seen = jax.tree.map(lambda x: x[0], trajectory.observation)
    other = seen._replace(
        agents_view=np.asarray(seen.agents_view, dtype),
        global_state=np.asarray(seen.global_state, dtype),
    )
    single = jax.tree.map(lambda x: x if x.dtype == bool else x.astype(np.float32), other)
    with jax.enable_x64(True), jax.numpy_dtype_promotion("strict"):
        key = jax.random.key(0)
        for given in (other, single):
            action = learner.act(state, given, key), learner.value(state, given)
            dtypes = [leaf.dtype for leaf in jax.tree.leaves(action)]
            assert dtypes == ["int32", "float32", "float32"]
        assert tree_equal(learner.value(state, other), learner.value(state, single))
        assert tree_equal(learner.act(state, other, key), learner.act(state, single, key))


def test_without_them_there_are_no_statistics_to_keep():
    assert collected("oappo")[0].input_norm is None
