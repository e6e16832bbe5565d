"""The library in programs that search for NaNs, count in 64 bits, or forbid promotion."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental import checkify

import envs
from oatrpo_jax import ALGORITHMS, Config, Hyperparams, make_train, make_trainer
from oatrpo_jax.optimiser import Learning, adam_init, adam_step
from oatrpo_jax.reuse.divergence import masked_quantile, summarise_rows
from tests.golden.record import SIZES, row_of
from tests.jax_settings import JAX_SETTINGS, type_names
from tests.probe_envs import Messy
from tests.tiers import in_tiers

ROWS = (*ALGORITHMS, "fixed")
USUAL = SIZES
UNUSUAL = SIZES | {
    "divergence": "quantile",
    "value_loss": "clipped",
    "estimator": "sampled",
    "truncation": "neutralise",
    "activation": "relu",
    "layer_norm": True,
    "log_affinity": True,
    "normalise_values": False,
    "normalise_inputs": True,
    "memory_size": 5,
}
each_choice = pytest.mark.parametrize("sizes", [USUAL, UNUSUAL], ids=["usual", "unusual"])


def types_of(row, sizes):
    """Returns the types of a state, of what a step and an evaluation give, and of labels."""
    env = envs.make("maze")
    trainer = make_trainer(env, row_of(row, env), Config(**sizes))
    state = jax.eval_shape(trainer.init, jax.random.key(0))
    step = jax.eval_shape(trainer.step, state, Hyperparams.create())
    played = jax.eval_shape(
        lambda learner, key: trainer.evaluate(learner, key, 3), state.learner, jax.random.key(0)
    )
    return type_names(state), type_names(step[0]), type_names((step[1], played))


@pytest.mark.parametrize("row", in_tiers(ROWS, ("oatrpo-auto", "seps", "seac")))
@each_choice
def test_types_are_the_same_whatever_jax_makes_by_default(row, sizes):
    before, after, metrics = expected = types_of(row, sizes)
    assert before == after
    assert set(metrics.values()) == {("float32", False)}
    for setting in JAX_SETTINGS.values():
        with setting():
            assert types_of(row, sizes) == expected


def test_a_run_in_64_bits_learns_in_32():
    config = Config(**SIZES, num_updates=2)
    with jax.enable_x64(True):
        state, metrics = jax.jit(make_train(envs.make("maze"), "oatrpo", config))(
            jax.random.key(0), Hyperparams.create()
        )
    floats = [x for x in jax.tree.leaves((state, metrics)) if jnp.issubdtype(x.dtype, jnp.floating)]
    assert {str(x.dtype) for x in floats} == {"float32"}
    assert all(np.isfinite(x).all() for x in floats)


@pytest.mark.slow
@pytest.mark.parametrize("row", ROWS)
@each_choice
def test_no_operation_makes_a_nan(row, sizes):
    env = Messy()
    config = Config(**sizes | {"grouping_steps": 64})
    trainer = make_trainer(env, row_of(row, env), config)
    hparams = Hyperparams.create(reuse_sigma=0.3)

    def train_and_play(key):
        state = trainer.init(key)
        state, _ = jax.lax.scan(lambda s, _: trainer.step(s, hparams), state, length=3)
        return trainer.evaluate(state.learner, key, 3)

    run = jax.jit(checkify.checkify(train_and_play, errors=checkify.nan_checks))
    error, _ = run(jax.random.key(0))
    assert error.get() is None


def test_a_quantile_is_that_of_the_entries_that_count():
    x = jnp.array([[4.0, 9.0, 1.0, 2.0], [5.0, 0.0, 0.0, 0.0], [7.0, 7.0, 7.0, 7.0]])
    mask = jnp.array([[True, False, True, True], [True, False, False, False], [False] * 4])
    for quantile in (0.0, 0.3, 0.5, 0.9, 1.0):
        with jax.debug_nans(True):
            found = masked_quantile(x, mask, jnp.float32(quantile))
        # The last row has no entry.
        expected = [np.quantile([1.0, 2.0, 4.0], quantile), 5.0, 0.0]
        np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_the_quantile_of_rows_with_a_nan_is_nan_unless_it_is_not_active():
    kl = jnp.array([[[0.1, jnp.nan]], [[0.1, jnp.nan]]])
    active = jnp.array([[[True, True]], [[True, False]]])
    found = summarise_rows(kl, active, Config(divergence="quantile"), Hyperparams.create())
    np.testing.assert_array_equal(found, np.float32([np.nan, 0.1]))


def test_a_zero_gradient_is_clipped_without_dividing_by_its_norm():
    params = {"x": jnp.ones(3)}
    with jax.debug_nans(True), jax.disable_jit():
        after = adam_step(
            Learning(params, adam_init(params)), {"x": jnp.zeros(3)}, jnp.float32(1), jnp.float32(1)
        )
    np.testing.assert_array_equal(after.params["x"], params["x"])
