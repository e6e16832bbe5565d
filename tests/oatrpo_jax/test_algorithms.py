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
    get_algorithm,
    make_learner,
    make_trainer,
)
from oatrpo_jax.algorithms import shared
from oatrpo_jax.checkpoint import load_checkpoint, save_checkpoint, to_host
from tests.conftest import TO_THE_BIT
from tests.golden.record import SIZES, Program, assert_as_recorded, cases, make, row_of
from tests.probe_envs import Messy, tree_equal
from tests.tiers import DAILY, in_tiers, parse_case

ROWS = [*ALGORITHMS.values(), row_of("fixed", Messy())]
CONFIG = Config(**SIZES)
DAILY_MEMORY = ("oappo, memory", "seac, memory")
"""Rows whose contract is tested every day with policies that remember, too."""
DAILY_VARIANTS = ("oappo, weighted", "oappo, mapping", "oatrpo, quantile", "mappo, other choices")
DAILY_VARIANTS += ("oatrpo, memory, sampled", "mappo, memory")
"""Golden cases under other settings whose numbers are looked at every day."""
DAILY_CONTINUOUS = ("oatrpo, continuous", "oappo, memory, continuous")
"""Rows whose contract is tested every day with continuous actions, too."""
DAILY_NORMALISED = ("ippo, normalised",)
"""Rows whose contract is tested every day with inputs in deviations from their mean, too."""
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
# Those that are in force in one update; for schedules see test_hyperparams.
FIELDS = dataclasses.fields(Hyperparams)
NAMES = [field.name for field in FIELDS if field.default is not None]
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
NAMED = [row.name for row in ROWS]
WITH_MEMORY = [f"{name}, memory" for name in NAMED]
WITH_NORMALISED_INPUTS = [f"{name}, normalised" for name in (*NAMED, *WITH_MEMORY)]
WITH_CONTINUOUS_ACTIONS = [f"{name}, continuous" for name in (*NAMED, *WITH_MEMORY)]
each_algorithm = pytest.mark.parametrize(
    "name",
    in_tiers(
        [*NAMED, *WITH_MEMORY, *WITH_NORMALISED_INPUTS, *WITH_CONTINUOUS_ACTIONS],
        (*DAILY, *DAILY_MEMORY, *DAILY_NORMALISED, *DAILY_CONTINUOUS),
    ),
)

# Two of one kind and another, where the agents are to be grouped first.
LABELS = [0, 1, 0]


@functools.cache
def program_of(case: str) -> Program:
    """The compiled functions of a row, or of a golden variant, that all tests here share."""
    return make(*place_of(case))


def place_of(name: str) -> tuple[str, str]:
    """The problem that a case is of, and how it is called there."""
    case = parse_case(name)
    return "steering" if case.is_continuous else "messy", case.recorded


def row_named(name):
    return program_of(name).trainer.learner.algorithm


def make_grid():
    """Seeds and coefficients ``[P]``: point 0 is BUSY, point i + 1 changes coefficient i."""
    busy = {name: float(getattr(Hyperparams.create(**BUSY), name)) for name in NAMES}
    grid = {name: [value] * (len(NAMES) + 1) for name, value in busy.items()}
    for index, (name, value) in enumerate(busy.items()):
        grid[name][index + 1] = CHANGED.get(name, 0.37 * value)
    return jax.random.split(jax.random.key(1)), Hyperparams.create(**grid)


def two_updates(program, state, grid, point):
    """The learner after two updates with the coefficients of a point, and the second's metrics."""
    hparams = jax.tree.map(lambda x: x[point], grid)
    state, _ = program.step(state, hparams)
    state, metrics = program.step(state, hparams)
    return jax.device_get((state.learner, metrics))


def sweep(program):
    """Two updates from scratch for every point and seed: learners and metrics, ``[P, K, ...]``."""
    keys, grid = make_grid()
    starts = [program.begin(key) for key in keys]
    found = []
    for point in range(len(NAMES) + 1):
        found += [two_updates(program, start, grid, point) for start in starts]
    shape = (len(NAMES) + 1, len(keys))
    return jax.tree.map(lambda *x: np.stack(x).reshape(*shape, *x[0].shape), *found)


@functools.cache
def swept(name):
    return sweep(program_of(name))


@each_algorithm
def test_a_step_keeps_the_tree_the_shapes_and_the_dtypes(name):
    trainer = program_of(name).trainer
    state = jax.eval_shape(trainer.init, jax.random.key(0))
    after, _ = jax.eval_shape(trainer.step, state, Hyperparams.create())
    assert jax.tree.structure(state) == jax.tree.structure(after)
    for before, now in zip(jax.tree.leaves(state), jax.tree.leaves(after), strict=True):
        assert (before.shape, before.dtype) == (now.shape, now.dtype)


@each_algorithm
def test_metrics_are_finite_and_the_first_ratio_is_one(name):
    row, (_, metrics) = row_named(name), swept(name)
    for metric, value in metrics.items():
        if not metric.startswith("episode/"):
            assert np.isfinite(value).all(), metric
    np.testing.assert_allclose(metrics["policy/first_ratio"], 1.0, rtol=1e-5)
    if row.reuse.averages:
        sums = metrics["reuse/weight"].sum(axis=-1)
        np.testing.assert_allclose(sums[..., used_policies(name)], 1.0, rtol=1e-5)
        np.testing.assert_array_equal(sums[..., ~used_policies(name)], 0.0)


def used_policies(case):
    """[G] bool, which policies some agent acts with."""
    learner = program_of(case).trainer.learner
    labels = LABELS if learner.algorithm.finds_clusters else learner.policy_of
    return np.isin(np.arange(learner.num_policies), labels)


@each_algorithm
def test_every_policy_in_use_learns_and_every_critic_and_no_other(name):
    starts = [program_of(name).begin(key).learner for key in make_grid()[0]]
    before = jax.tree.map(lambda *x: np.stack(x), *jax.device_get(starts))
    learner, used = swept(name)[0], used_policies(name)
    for old, new in (
        (before.policies.params, learner.policies.params),
        (before.critics.params, learner.critics.params),
    ):
        # [K, G, ...] parameters against [P, K, G, ...].
        change = jax.tree.map(
            lambda x, y: np.abs(y[0] - x).reshape(*x.shape[:2], -1).max(axis=2), old, new
        )
        learnt = np.max(jax.tree.leaves(change), axis=0) > 0  # [K, G] or, central, [K, 1]
        np.testing.assert_array_equal(
            learnt, np.broadcast_to(used if learnt.shape[1] > 1 else True, learnt.shape)
        )


@pytest.mark.parametrize(
    "name",
    in_tiers(
        [*NAMED, *DAILY_MEMORY, "oatrpo, memory", *DAILY_CONTINUOUS],
        ("oappo", "oatrpo-auto", "seac"),
    ),
)
def test_a_sweep_in_one_program_is_the_loop_over_seeds_and_coefficients(name):
    program, (keys, grid) = program_of(name), make_grid()
    # Sigma is 0 at its point: of the lanes one has a closed gate, and others open ones.
    points = np.array([0, NAMES.index("gamma") + 1, NAMES.index("reuse_sigma") + 1])

    def two_steps(key, hparams):
        step = lambda state, _: program.trainer.step(state, hparams)  # noqa: E731
        return jax.lax.scan(step, program.begin(key), length=2)[0].learner

    run = jax.jit(jax.vmap(jax.vmap(two_steps, (0, None)), (None, 0)))
    together = run(keys, jax.tree.map(lambda x: x[points], grid))
    for left, right in zip(jax.tree.leaves(together), jax.tree.leaves(swept(name)[0]), strict=True):
        np.testing.assert_allclose(left, right[points], rtol=5e-3, atol=5e-4)


@each_algorithm
def test_it_is_traced_once_and_repeats_to_the_bit(name):
    program = program_of(name)
    start = program.begin(jax.random.key(3))
    settings = (Hyperparams.create(), Hyperparams.create(gamma=0.5, actor_lr=1e-3))
    runs = []
    for _ in range(2):
        state = start
        for hparams in settings:
            state, _ = program.step(state, hparams)
        runs.append(state)
    assert program.step._cache_size() == 1
    assert tree_equal(*(state.learner for state in runs))


RECORDED = [*cases("messy"), *(f"{case}, continuous" for case in cases("steering"))]


@pytest.mark.parametrize(
    "case",
    in_tiers(
        RECORDED, (*DAILY, *DAILY_VARIANTS, *DAILY_MEMORY, *DAILY_NORMALISED, *DAILY_CONTINUOUS)
    ),
)
def test_its_numbers_are_those_recorded(case):
    assert_as_recorded(*place_of(case), program_of(case))


@pytest.mark.slow  # Op by op an update takes 40 seconds.
@pytest.mark.parametrize(
    "name", in_tiers([*NAMED, *DAILY_MEMORY, "oatrpo, memory", *DAILY_CONTINUOUS], DAILY)
)
def test_an_update_gives_the_same_jitted_and_op_by_op(name):
    config = Config(
        num_epochs=1,
        critic_epochs=1,
        hidden_sizes=(4,),
        cg_iterations=1,
        line_search_steps=1,
        memory_size=program_of(name).trainer.config.memory_size and 3,
        normalise_inputs=parse_case(name).is_normalised,
    )
    spec = EnvSpec(3, 3, 2, 2, is_continuous=parse_case(name).is_continuous)
    learner = make_learner(spec, row_named(name), config)
    state = jax.jit(learner.init)(jax.random.key(4))
    trajectory, memory = made_up_trajectory(spec.is_continuous), learner.start(2)
    arguments = (state, trajectory, Hyperparams.create(), jax.random.key(5), memory)
    jitted, _ = jax.jit(learner.update)(*arguments)
    with jax.disable_jit():
        plain, _ = learner.update(*arguments)
    for left, right in zip(jax.tree.leaves(jitted), jax.tree.leaves(plain), strict=True):
        np.testing.assert_allclose(left, right, rtol=2e-3, atol=2e-5)


def made_up_trajectory(is_continuous: bool = False) -> Transition:
    """[T=2, E=2] of three agents with three actions, or three dimensions."""
    keys = jax.random.split(jax.random.key(6), 4)
    observation = Observation(
        agents_view=jax.random.normal(keys[0], (2, 2, 3, 2)),
        action_mask=jnp.ones((2, 2, 3, 3), bool),
        global_state=jax.random.normal(keys[1], (2, 2, 2)),
        active=jnp.ones((2, 2, 3), bool).at[1, 0, 2].set(False),
    )
    action = jax.random.randint(keys[2], (2, 2, 3), 0, 3)
    return Transition(
        observation=observation,
        action=jax.random.normal(keys[2], (2, 2, 3, 3)) if is_continuous else action,
        log_prob=jnp.full((2, 2, 3), jnp.log(1 / 3)),
        reward=jax.random.normal(keys[3], (2, 2)),
        terminated=jnp.array([[False, True], [False, False]]),
        truncated=jnp.array([[False, False], [True, False]]),
        next_observation=observation,
    )


def test_every_setting_and_every_coefficient_is_read_by_some_row():
    widest = Config(divergence="quantile", value_loss="clipped", log_affinity=True)
    read = {name for row in ALGORITHMS.values() for name in row.reads(widest, is_continuous=True)}
    fields = (*dataclasses.fields(Config), *dataclasses.fields(Hyperparams))
    assert read == {field.name for field in fields} - {"schedule_updates"}


@each_algorithm
def test_a_coefficient_matters_if_and_only_if_the_row_says_that_it_is_read(name):
    check_what_matters(row_named(name), CONFIG, swept(name)[0])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["oappo", "oatrpo"])
def test_settings_decide_whether_the_quantile_and_the_value_clip_are_read(name):
    config = dataclasses.replace(CONFIG, divergence="quantile", value_loss="clipped")
    row, trainer = get_algorithm(name), make_trainer(Messy(), name, config)
    assert row.reads(config) - row.reads(CONFIG) == {"divergence_quantile", "value_clip_eps"}
    program = Program(trainer, jax.jit(trainer.init), jax.jit(trainer.step))
    check_what_matters(row, config, sweep(program)[0])


def check_what_matters(row, config, learners):
    """Compares what each changed coefficient did with what the row says that it reads."""
    leaves = jax.tree.leaves(learners)
    matters = {
        name
        for index, name in enumerate(NAMES)
        if any((leaf[index + 1] != leaf[0]).any() for leaf in leaves)
    }
    read = row.reads(config) & set(NAMES)
    assert matters <= read, f"not declared: {matters - read}"
    assert read <= matters | RARELY_FELT, f"without effect: {read - matters - RARELY_FELT}"


SAME = [
    ("oappo", "happo"),
    pytest.param("oatrpo", "hatrpo", marks=pytest.mark.thorough),
    pytest.param("oappo, weighted", "happo", marks=pytest.mark.thorough),
    pytest.param("oatrpo, weighted", "hatrpo", marks=pytest.mark.thorough),
    pytest.param("oappo, memory", "happo, memory", marks=pytest.mark.thorough),
    pytest.param("oatrpo, memory", "hatrpo, memory", marks=pytest.mark.thorough),
    pytest.param("oappo, continuous", "happo, continuous", marks=pytest.mark.thorough),
    pytest.param("oatrpo, continuous", "hatrpo, continuous", marks=pytest.mark.thorough),
]
WITHOUT_REUSE = ["reuse_lambda", "reuse_sigma"]


@functools.cache
def exact_program_of(name):
    return make(*place_of(name), TO_THE_BIT)


@pytest.mark.parametrize(("off_agent", "own_only"), SAME)
@pytest.mark.parametrize("without_reuse", WITHOUT_REUSE)
def test_without_reuse_off_agent_algorithms_are_their_own_only_forms(
    off_agent, own_only, without_reuse
):
    """Identity 1: lambda = 1 or sigma = 0 gives HAPPO and HATRPO, to the bit."""
    assert tree_equal(*learnt_without_reuse(off_agent, own_only, without_reuse))


@pytest.mark.thorough
@pytest.mark.parametrize("without_reuse", WITHOUT_REUSE)
@pytest.mark.parametrize(("off_agent", "own_only"), [("oappo", "happo"), ("oatrpo", "hatrpo")])
def test_so_they_are_with_a_memory_and_continuous_actions_but_for_the_order_of_sums(
    off_agent, own_only, without_reuse
):
    # XLA fuses the two programs in different ways: the second update's gradients differ by 1e-7.
    kind = ", memory, continuous"
    learners = learnt_without_reuse(off_agent + kind, own_only + kind, without_reuse)
    for one, two in zip(*map(jax.tree.leaves, learners), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-6)


def learnt_without_reuse(off_agent, own_only, without_reuse):
    """The learners of both after two updates."""
    (key, _), grid = make_grid()
    points = {off_agent: NAMES.index(without_reuse) + 1, own_only: 0}
    learners = []
    for name, point in points.items():
        program = exact_program_of(name)
        learners.append(two_updates(program, program.begin(key), grid, point)[0])
    return learners


@pytest.mark.parametrize("kind", in_tiers(("", ", continuous"), ("",)))
def test_with_reuse_they_are_not(kind):
    left, right = (swept(name + kind)[0] for name in ("oappo", "happo"))
    assert not tree_equal(left, right)


def test_a_run_saved_in_the_midst_of_episodes_goes_on_to_the_bit(tmp_path):
    program = program_of("oappo, memory")
    state, _ = program.step(program.begin(jax.random.key(1)), Hyperparams.create())
    under_way = np.asarray(state.rollout.episode_length) > 0
    is_remembered = (np.asarray(state.rollout.memory) != 0).any(axis=(1, 2, 3))
    assert under_way.any()
    np.testing.assert_array_equal(is_remembered, under_way)
    save_checkpoint(tmp_path / "state", to_host(state))
    loaded = load_checkpoint(tmp_path / "state", jax.eval_shape(lambda: state))
    on, again = (program.step(each, Hyperparams.create()) for each in (state, loaded))
    assert same_bits(on, again)


def same_bits(one, other):
    left, right = to_host(one), to_host(other)
    return left.keys() == right.keys() and all(
        left[name].tobytes() == right[name].tobytes() for name in left
    )


@pytest.mark.parametrize("name", ["mappo", "happo"])
@pytest.mark.parametrize("estimator", ["weighted", "sampled", "mapping"])
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
    policies = {name: make_learner(EnvSpec(3, 3, 2, 2), name).num_policies for name in ALGORITHMS}
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
