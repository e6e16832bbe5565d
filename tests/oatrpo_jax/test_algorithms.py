"""One contract that every algorithm keeps: adding a row to the table is how it is tested."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from oatrpo_jax import (
    ALGORITHMS,
    Config,
    EnvSpec,
    Hyperparams,
    Observation,
    Transition,
    fixed_algorithm,
    get_algorithm,
    make_learner,
    make_trainer,
)
from oatrpo_jax.algorithms import shared
from oatrpo_jax.reuse.rules import allowed_reuse
from tests.probe_envs import Messy, tree_equal

FIXED = fixed_algorithm(allowed_reuse([[1, 1, 0], [1, 1, 0], [0, 0, 1]]))
ROWS = [*ALGORITHMS.values(), FIXED]
CONFIG = Config(
    num_envs=4,
    rollout_length=6,
    num_epochs=2,
    critic_epochs=2,
    num_minibatches=2,
    hidden_sizes=(8,),
    cg_iterations=3,
    line_search_steps=4,
    grouping_steps=24,
    grouping_epochs=1,
)
# Coefficients at which every one of them matters within two updates.
BUSY = {
    "actor_lr": 0.02,
    "critic_lr": 0.02,
    "max_grad_norm": 0.05,
    "clip_eps": 0.01,
    "dual_clip": 1.0,
    "reuse_sigma": 0.5,
    "huber_delta": 0.3,
    "value_clip_eps": 0.05,
    "accept_ratio": 0.1,
    "kl_threshold": 0.05,
    "cg_damping": 0.01,
}
NAMES = [field.name for field in dataclasses.fields(Hyperparams)]
# What a coefficient is changed to so that it bites: by default a third of its value.
CHANGED = {
    "reuse_sigma": 0.0,
    "reuse_lambda": 1.0,
    "seac_coef": 0.0,
    "dual_clip": 50.0,
    "line_search_decay": 0.9,
}
# A line search that accepts its first candidate, or a gate whose quantile stays on one side of
# sigma, reads these without effect; test_trpo and test_reuse have them.
RARELY_FELT = {"line_search_decay", "accept_ratio", "divergence_quantile"}
each_algorithm = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)


# Two of one kind and another, where the agents are to be grouped first.
LABELS = [0, 1, 0]


@functools.cache
def trainer_of(row, config=CONFIG):
    return make_trainer(Messy(), row, config)


def begin(trainer, key):
    state = trainer.init(key)
    if not trainer.learner.algorithm.finds_clusters:
        return state
    return state._replace(learner=trainer.learner.regroup(state.learner, LABELS))


def two_steps(row, config, key, hparams):
    trainer = trainer_of(row, config)
    return jax.lax.scan(
        lambda state, _: trainer.step(state, hparams), begin(trainer, key), length=2
    )


@functools.cache
def compiled_step(row):
    return jax.jit(trainer_of(row).step)


@functools.cache
def sweep(row, config):
    """Two updates from scratch for [P, K]: point 0 is BUSY, point i + 1 changes coefficient i."""
    busy = {name: float(getattr(Hyperparams.create(**BUSY), name)) for name in NAMES}
    grid = {name: [value] * (len(NAMES) + 1) for name, value in busy.items()}
    for index, (name, value) in enumerate(busy.items()):
        grid[name][index + 1] = CHANGED.get(name, 0.37 * value)
    train = functools.partial(two_steps, row, config)
    program = jax.jit(jax.vmap(jax.vmap(train, (0, None)), (None, 0)))
    hparams = Hyperparams.create(**grid)
    keys = jax.random.split(jax.random.key(1))
    return (keys, hparams, *jax.device_get(program(keys, hparams)))


@each_algorithm
def test_a_step_keeps_the_tree_the_shapes_and_the_dtypes(row):
    trainer = trainer_of(row)
    state = jax.eval_shape(trainer.init, jax.random.key(0))
    after, _ = jax.eval_shape(trainer.step, state, Hyperparams.create())
    assert jax.tree.structure(state) == jax.tree.structure(after)
    for before, now in zip(jax.tree.leaves(state), jax.tree.leaves(after), strict=True):
        assert (before.shape, before.dtype) == (now.shape, now.dtype)


@each_algorithm
def test_metrics_are_finite_and_the_first_ratio_is_one(row):
    *_, metrics = sweep(row, CONFIG)
    for name, value in metrics.items():
        if not name.startswith("episode/"):
            assert np.isfinite(value).all(), name
    np.testing.assert_allclose(metrics["policy/first_ratio"], 1.0, rtol=1e-5)
    if row.reuse.averages:
        sums = metrics["reuse/weight"].sum(axis=-1)
        np.testing.assert_allclose(sums[..., used_policies(row)], 1.0, rtol=1e-5)
        np.testing.assert_array_equal(sums[..., ~used_policies(row)], 0.0)


def used_policies(row):
    """[G] bool, which policies some agent acts with."""
    learner = trainer_of(row).learner
    labels = LABELS if row.finds_clusters else learner.policy_of
    return np.isin(np.arange(learner.num_policies), labels)


@each_algorithm
def test_every_policy_in_use_learns_and_every_critic_and_no_other(row):
    keys, _, state, _ = sweep(row, CONFIG)
    before = jax.jit(jax.vmap(trainer_of(row).init))(keys).learner
    used = used_policies(row)
    for old, new in (
        (before.policies.params, state.learner.policies.params),
        (before.critics.params, state.learner.critics.params),
    ):
        # [K, G, ...] parameters against [P, K, G, ...].
        change = jax.tree.map(
            lambda x, y: jnp.abs(y[0] - x).reshape(*x.shape[:2], -1).max(axis=2), old, new
        )
        learnt = np.max(jax.tree.leaves(change), axis=0) > 0  # [K, G] or, central, [K, 1]
        np.testing.assert_array_equal(
            learnt, np.broadcast_to(used if learnt.shape[1] > 1 else True, learnt.shape)
        )


@each_algorithm
def test_a_sweep_in_one_program_is_the_loop_over_seeds_and_coefficients(row):
    keys, hparams, together, _ = sweep(row, CONFIG)
    for point, seed in ((0, 0), (NAMES.index("gamma") + 1, 1)):
        state = begin(trainer_of(row), keys[seed])
        one = jax.tree.map(lambda x: x[point], hparams)  # noqa: B023
        for _ in range(2):
            state, _ = compiled_step(row)(state, one)
        for left, right in zip(
            jax.tree.leaves(together.learner), jax.tree.leaves(state.learner), strict=True
        ):
            np.testing.assert_allclose(left[point, seed], right, rtol=5e-3, atol=5e-4)


@each_algorithm
def test_it_is_traced_once_and_repeats_to_the_bit(row):
    step = compiled_step(row)
    start = begin(trainer_of(row), jax.random.key(3))
    settings = (Hyperparams.create(), Hyperparams.create(gamma=0.5, actor_lr=1e-3))
    runs = []
    for _ in range(2):
        state = start
        for hparams in settings:
            state, _ = step(state, hparams)
        runs.append(state)
    assert step._cache_size() == 1
    assert tree_equal(*(state.learner for state in runs))


@pytest.mark.slow  # Op by op an update takes 40 seconds.
@each_algorithm
def test_an_update_gives_the_same_jitted_and_op_by_op(row):
    config = Config(
        num_epochs=1,
        critic_epochs=1,
        hidden_sizes=(4,),
        cg_iterations=1,
        line_search_steps=1,
    )
    learner = make_learner(EnvSpec(3, 3, 2, 2), row, config)
    state = jax.jit(learner.init)(jax.random.key(4))
    arguments = (state, made_up_trajectory(), Hyperparams.create(), jax.random.key(5))
    jitted, _ = jax.jit(learner.update)(*arguments)
    with jax.disable_jit():
        plain, _ = learner.update(*arguments)
    for left, right in zip(jax.tree.leaves(jitted), jax.tree.leaves(plain), strict=True):
        np.testing.assert_allclose(left, right, rtol=2e-3, atol=2e-5)


def made_up_trajectory() -> Transition:
    """[T=2, E=2] of three agents with three actions."""
    keys = jax.random.split(jax.random.key(6), 4)
    observation = Observation(
        agents_view=jax.random.normal(keys[0], (2, 2, 3, 2)),
        action_mask=jnp.ones((2, 2, 3, 3), bool),
        global_state=jax.random.normal(keys[1], (2, 2, 2)),
        active=jnp.ones((2, 2, 3), bool).at[1, 0, 2].set(False),
    )
    return Transition(
        observation=observation,
        action=jax.random.randint(keys[2], (2, 2, 3), 0, 3),
        log_prob=jnp.full((2, 2, 3), jnp.log(1 / 3)),
        reward=jax.random.normal(keys[3], (2, 2)),
        terminated=jnp.array([[False, True], [False, False]]),
        truncated=jnp.array([[False, False], [True, False]]),
        next_observation=observation,
    )


@each_algorithm
def test_a_coefficient_matters_if_and_only_if_the_row_says_that_it_is_read(row):
    check_what_matters(row, CONFIG)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["oappo", "oatrpo"])
def test_settings_decide_whether_the_quantile_and_the_value_clip_are_read(name):
    config = dataclasses.replace(CONFIG, divergence="quantile", value_loss="clipped")
    row = get_algorithm(name)
    assert row.reads(config) - row.reads(CONFIG) == {"divergence_quantile", "value_clip_eps"}
    check_what_matters(row, config)


def check_what_matters(row, config):
    """Compares what each changed coefficient did with what the row says that it reads."""
    _, _, state, _ = sweep(row, config)
    leaves = jax.tree.leaves(state.learner)
    matters = {
        name
        for index, name in enumerate(NAMES)
        if any((leaf[index + 1] != leaf[0]).any() for leaf in leaves)
    }
    read = row.reads(config) & set(NAMES)
    assert matters <= read, f"not declared: {matters - read}"
    assert read <= matters | RARELY_FELT, f"without effect: {read - matters - RARELY_FELT}"


SAME = [("oappo", "happo"), ("oatrpo", "hatrpo")]


@pytest.mark.parametrize(("off_agent", "own_only"), SAME)
@pytest.mark.parametrize("without_reuse", ["reuse_lambda", "reuse_sigma"])
def test_without_reuse_off_agent_algorithms_are_their_own_only_forms(
    off_agent, own_only, without_reuse
):
    """Identity 1: lambda = 1 or sigma = 0 gives HAPPO and HATRPO, to the bit."""
    point = NAMES.index(without_reuse) + 1
    left, right = (sweep(get_algorithm(name), CONFIG)[2].learner for name in (off_agent, own_only))
    left = jax.tree.map(lambda x: x[point], left)
    assert tree_equal(left, jax.tree.map(lambda x: x[0], right))


def test_with_reuse_they_are_not():
    left, right = (sweep(get_algorithm(name), CONFIG)[2].learner for name in ("oappo", "happo"))
    assert not tree_equal(left, right)


@pytest.mark.parametrize("name", ["mappo", "happo"])
@pytest.mark.parametrize("estimator", ["sampled", "mapping"])
def test_the_estimator_is_read_only_where_experience_is_reused(name, estimator):
    programs = []
    for config in (CONFIG, dataclasses.replace(CONFIG, estimator=estimator)):
        learner = make_learner(EnvSpec(3, 3, 2, 2), name, dataclasses.replace(config, num_envs=2))
        state = jax.eval_shape(learner.init, jax.random.key(0))
        arguments = (state, made_up_trajectory(), Hyperparams.create(), jax.random.key(0))
        programs.append(str(jax.make_jaxpr(learner.update)(*arguments)))
    assert programs[0] == programs[1]
    assert "estimator" not in get_algorithm(name).reads(CONFIG)


def test_mappo_has_one_policy_and_happo_one_per_agent():
    policies = {name: len(trainer_of(ALGORITHMS[name]).learner.own) for name in ALGORITHMS}
    assert policies["mappo"] == policies["ippo"] == 1
    assert policies["oappo"] == policies["hatrpo"] == policies["ippo-separate"] == 3


def test_any_row_may_be_changed_in_any_column():
    row = dataclasses.replace(get_algorithm("hatrpo"), name="matrpo", ownership=shared)
    learner = make_learner(EnvSpec(3, 3, 2, 2), row)
    _, metrics = jax.eval_shape(
        learner.update,
        jax.eval_shape(learner.init, jax.random.key(0)),
        made_up_trajectory(),
        Hyperparams.create(),
        jax.random.key(0),
    )
    assert metrics["reuse/weight"].shape == (1, 3)


def test_an_unknown_name_lists_the_valid_ones():
    with pytest.raises(ValueError, match="expected one of oappo, oatrpo"):
        get_algorithm("opapo")
