"""Coefficients: what is refused, what shape they take, and what of a schedule is in force."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oatrpo_jax import Config, Hyperparams, make_train, make_trainer
from oatrpo_jax.hyperparams import ENDS
from tests.probe_envs import RoleGame, tree_equal


@pytest.mark.parametrize(
    ("coefficients", "complaint"),
    [
        ({"reuse_sigma": -0.1}, "reuse_sigma .*at least 0, got -0.1"),
        ({"reuse_lambda": 1.1}, r"reuse_lambda .*in \[0, 1\], got 1.1"),
        ({"reuse_lambda": [0.5, -1.0]}, "got -1"),
        ({"gamma": math.nan}, "gamma .*got nan"),
        ({"actor_lr": math.inf}, "actor_lr .*got inf"),
        ({"clip_eps": 0.0}, "above 0, got 0"),
        ({"line_search_decay": 1.0}, "strictly between 0 and 1, got 1"),
        ({"dual_clip": 0.5}, "at least 1, got 0.5"),
        ({"lr": 1e-3}, "unknown hyperparameter lr; expected actor_lr"),
        ({"gamma": None}, "gamma: expected a number or an array of them, got None"),
        ({"gamma": [[0.9], [0.9, 0.8]]}, "gamma: expected a number or an array"),
        ({"reuse_sigma": []}, "reuse_sigma: expected at least one value"),
        ({"gamma": [0.9, 0.8], "ent_coef": [0, 0, 0]}, r"broadcast, got .*gamma.*\(2,\).*ent_coef"),
    ],
)
def test_a_bad_coefficient_is_refused_with_what_is_legal(coefficients, complaint):
    with pytest.raises(ValueError, match=complaint):
        Hyperparams.create(**coefficients)


@settings(max_examples=50, deadline=None)
@given(
    name=st.sampled_from([field.name for field in dataclasses.fields(Hyperparams)]),
    value=st.floats(allow_nan=True, allow_infinity=True),
)
def test_any_number_is_either_taken_or_refused_by_name(name, value):
    try:
        taken = getattr(Hyperparams.create(**{name: value}), name)
    except ValueError as error:
        assert name in str(error)
    else:
        assert jnp.isfinite(taken)


def test_leaves_follow_the_shape_of_the_ones_given():
    hparams = Hyperparams.create(reuse_sigma=[0.01, 0.1, 1.0], gamma=0.9)
    assert {leaf.shape for leaf in jax.tree.leaves(hparams)} == {(3,)}
    assert {leaf.dtype for leaf in jax.tree.leaves(hparams)} == {jnp.dtype("float32")}


def test_hyperparams_can_be_made_inside_a_program():
    made = jax.jit(lambda sigma: Hyperparams.create(reuse_sigma=sigma).reuse_sigma)(0.25)
    assert float(made) == 0.25


def in_force(hparams, name, updates, num_updates=10):
    """The values of a coefficient in so many updates, as a program computes them."""
    at = jax.jit(lambda update: getattr(hparams.at(update, num_updates), name))
    return [float(at(update)) for update in range(updates)]


@pytest.mark.parametrize("name", ENDS)
def test_a_coefficient_goes_from_its_start_to_its_end_in_a_straight_line(name):
    hparams = Hyperparams.create(**{name: 0.3, ENDS[name]: 0.1})
    values = in_force(hparams, name, 12)
    start, end = np.float32([0.3, 0.1])
    # Ten updates are nine steps of -0.2 / 9; the first and the last, and what follows, are exact.
    assert values[0] == start and values[9:] == [end] * 3
    np.testing.assert_allclose(values[:10], np.linspace(0.3, 0.1, 10), rtol=1e-6)


@pytest.mark.parametrize("num_updates", [3, 244, 4882, 48_828])
@pytest.mark.parametrize("ends", [(5e-4, 0.0), (0.1, 0.7)])
def test_the_first_update_has_the_start_and_the_last_one_the_end_to_the_bit(num_updates, ends):
    hparams = Hyperparams.create(ent_coef=ends[0], ent_coef_end=ends[1])
    at = jax.jit(lambda update: hparams.at(update, num_updates).ent_coef)
    assert [at(0), at(num_updates - 1)] == [np.float32(end) for end in ends]
    assert at(num_updates - 2) != at(num_updates - 1)


@pytest.mark.parametrize("value", [0.03, 5e-4])
def test_an_end_that_is_the_start_is_a_constant_to_the_bit(value):
    hparams = Hyperparams.create(ent_coef=value, ent_coef_end=value)
    at = jax.jit(jax.vmap(lambda update: hparams.at(update, 1000).ent_coef))
    np.testing.assert_array_equal(at(jnp.arange(1100)), np.float32(value))


def test_a_run_of_one_update_has_the_start():
    assert in_force(Hyperparams.create(actor_lr=0.5, actor_lr_end=0.0), "actor_lr", 1, 1) == [0.5]


def test_without_an_end_a_coefficient_stays_as_it_is():
    hparams = Hyperparams.create(actor_lr_end=0.0)
    after = hparams.at(5, 10)
    assert tree_equal(dataclasses.replace(after, actor_lr=hparams.actor_lr), Hyperparams.create())
    assert Hyperparams.create().ends() == {} and list(hparams.ends()) == ["actor_lr"]


def test_the_horizon_may_be_another_than_the_run_and_is_traced():
    hparams = Hyperparams.create(ent_coef=1.0, ent_coef_end=0.0, schedule_updates=[3, 5, 10])
    at = jax.jit(jax.vmap(lambda hparams, update: hparams.at(update, 10).ent_coef, (0, None)))
    # Two, four and nine steps from 1 to 0.
    np.testing.assert_allclose(at(hparams, 2), [0.0, 0.5, 7 / 9], rtol=1e-6)
    np.testing.assert_allclose(at(hparams, 4), [0.0, 0.0, 5 / 9], rtol=1e-6)
    assert at._cache_size() == 1


SMALL = Config(num_envs=2, rollout_length=2, hidden_sizes=(4,), num_epochs=1, num_updates=3)


def test_a_run_is_that_of_its_coefficients_in_each_update():
    game, hparams = RoleGame((0, 1)), Hyperparams.create(actor_lr=0.2, actor_lr_end=0.1, gamma=0.5)
    trainer, key = make_trainer(game, "happo", SMALL), jax.random.key(0)
    state, metrics = jax.jit(make_train(game, "happo", SMALL))(key, hparams)
    np.testing.assert_allclose(metrics["schedule/actor_lr"], [0.2, 0.15, 0.1], rtol=1e-6)
    assert [name for name in metrics if "schedule" in name] == ["schedule/actor_lr"]
    step, by_hand = jax.jit(trainer.step), trainer.init(key)
    for value in metrics["schedule/actor_lr"]:
        by_hand, plain = step(by_hand, Hyperparams.create(actor_lr=value, gamma=0.5))
    assert not [name for name in plain if "schedule" in name]
    for left, right in zip(jax.tree.leaves(state), jax.tree.leaves(by_hand), strict=True):
        if not jnp.issubdtype(left.dtype, jax.dtypes.prng_key):
            np.testing.assert_allclose(left, right, rtol=1e-4, atol=1e-6)


def test_ends_are_swept_as_any_coefficient_in_one_program():
    train = jax.jit(jax.vmap(make_train(RoleGame((0, 1)), "happo", SMALL), (None, 0)))
    grid = {"actor_lr": 0.2, "actor_lr_end": [0.0, 0.2], "ent_coef_end": [0.5, 0.0]}
    _, metrics = train(jax.random.key(0), Hyperparams.create(**grid))
    np.testing.assert_array_equal(
        metrics["schedule/actor_lr"][:, [0, -1]], np.float32([[0.2, 0], [0.2, 0.2]])
    )
    np.testing.assert_array_equal(metrics["schedule/ent_coef"][:, -1], [0.5, 0.0])
    train(jax.random.key(0), Hyperparams.create(**grid | {"ent_coef_end": [1.0, 0.1]}))
    assert train._cache_size() == 1


@pytest.mark.parametrize(("name", "logged"), [("happo", "actor_lr"), ("hatrpo", "kl_threshold")])
def test_what_a_row_does_not_read_has_no_schedule_to_show(name, logged):
    hparams = Hyperparams.create(actor_lr_end=0.1, kl_threshold_end=0.1)
    trainer = make_trainer(RoleGame((0, 1)), name, SMALL)
    state = jax.eval_shape(trainer.init, jax.random.key(0))
    _, metrics = jax.eval_shape(trainer.step, state, hparams)
    assert [each for each in metrics if each.startswith("schedule/")] == [f"schedule/{logged}"]


@pytest.mark.parametrize("algorithm", ["oappo", "oatrpo", "seac"])
def test_an_end_is_read_where_its_coefficient_is(algorithm):
    trainer = make_trainer(RoleGame((0, 1)), algorithm, SMALL)
    reads = trainer.learner.algorithm.reads(SMALL)
    assert {name for name, end in ENDS.items() if end in reads} == reads & ENDS.keys()


def test_an_update_takes_the_coefficients_of_one_update_alone():
    learner = make_trainer(RoleGame((0, 1)), "happo", SMALL).learner
    state, hparams = learner.init(jax.random.key(0)), Hyperparams.create(actor_lr_end=0)
    with pytest.raises(ValueError, match=r"actor_lr_end: .* got a schedule; hparams.at\("):
        learner.update(state, None, hparams, None)


@pytest.mark.parametrize(
    ("hparams", "complaint"),
    [
        ({"gamma": 0.9}, "hparams: expected Hyperparams, got dict"),
        (Hyperparams.create(actor_lr_end=[0.0, 0.1]), "actor_lr_end: expected a scalar"),
        (Hyperparams.create(gamma=[0.9, 0.8]), "gamma: expected a scalar"),
    ],
)
def test_a_step_refuses_coefficients_that_are_no_scalars_by_name(hparams, complaint):
    trainer = make_trainer(RoleGame((0, 1)), "happo", SMALL)
    with pytest.raises(ValueError, match=complaint):
        trainer.step(trainer.init(jax.random.key(0)), hparams)
