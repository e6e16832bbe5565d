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
)
from oatrpo_jax.advantages import generalized_advantage_estimation
from oatrpo_jax.reuse.divergence import Compared, pairwise_divergence
from oatrpo_jax.reuse.experience import Experience, make_experience, record_log_ratio
from oatrpo_jax.reuse.planning import UpdatePlan, make_plan
from oatrpo_jax.rollout import init_rollout, rollout
from oatrpo_jax.sequential_update import update_policies
from tests.conftest import TO_THE_BIT
from tests.probe_envs import Messy, Steering, spoil_dead_rows, tree_equal
from tests.tiers import in_tiers, parse_case

NUM_STEPS, NUM_ENVS, NUM_AGENTS = 8, 4, 3
CONFIG = Config(hidden_sizes=(8,), num_epochs=2, critic_epochs=2, cg_iterations=3)
ENVS = {
    False: Messy(),
    True: Steering(controls=(1, 1, -1), dimensions=(2, 1, 2), time_limit=6, field=1.0),
}
"""By whether actions are continuous; in both there are agents that die, and masks."""
SPECS = {is_continuous: EnvSpec.from_env(env) for is_continuous, env in ENVS.items()}
SPEC = SPECS[False]
HPARAMS = Hyperparams.create(actor_lr=0.02, critic_lr=0.02, reuse_sigma=0.5, kl_threshold=0.05)


@functools.cache
def learner_of(name, estimator=CONFIG.estimator):
    case = parse_case(name)
    config = dataclasses.replace(
        CONFIG,
        estimator=estimator,
        memory_size=4 * case.remembers,
        normalise_inputs=case.is_normalised,
    )
    return make_learner(SPECS[case.is_continuous], case.row, config)


@functools.partial(jax.jit, static_argnums=0)
def collect(name, actor_state, start_key, key):
    """A trajectory, and the memory before it.

    Where policies remember, it begins in the midst of episodes.
    """
    env, learner = ENVS[parse_case(name).is_continuous], learner_of(name)
    act = functools.partial(learner.act, actor_state)
    start = init_rollout(env, NUM_ENVS, start_key, learner.start(NUM_ENVS))
    if start.memory is not None:
        key, first_key = jax.random.split(key)
        start, *_ = rollout(env, act, start, NUM_STEPS, first_key)
    return rollout(env, act, start, NUM_STEPS, key)[1], start.memory


def actor_of(name):
    """A row that acts in the same way: whatever learners learn by, they act alike."""
    return name.replace(name.partition(",")[0], "oappo", 1)


COLLECT_KEYS = jax.random.split(jax.random.key(1), 3)


def acting(state):
    """What of a learner's state is needed to act."""
    policies = state.policies._replace(opt_state=None)
    return state._replace(policies=policies, critics=None, value_norm=None)


def collected(name):
    """A learner's state with policies that have parted, and a trajectory with deaths."""
    return collected_with_memory(name)[:2]


def memory_of(name):
    """The memory before that trajectory; None where policies remember nothing."""
    return collected_with_memory(name)[2]


def seen_something(norm):
    """Statistics of inputs by which something is to be seen; None stays None."""
    if norm is None:
        return None
    like = jnp.full_like
    views, features = (
        moments._replace(mean=like(moments.mean, mean), variance=like(moments.mean, variance))
        for moments, mean, variance in ((norm.views, 0.3, 0.2), (norm.features, -0.4, 0.5))
    )
    return norm._replace(views=views, features=features)


@functools.cache
def collected_with_memory(name):
    """All three of them."""
    noise_key, *keys = COLLECT_KEYS

    @jax.jit
    def init(key, noise_key):
        state = learner_of(name).init(key)
        noise_keys = iter(jax.random.split(noise_key, 100))
        noise = lambda x: x + 0.3 * jax.random.normal(next(noise_keys), x.shape)  # noqa: E731
        actors = jax.tree.map(noise, state.policies.params)
        state = state._replace(policies=state.policies._replace(params=actors))
        return state._replace(input_norm=seen_something(state.input_norm))

    state = init(jax.random.key(0), noise_key)
    # On the host, where a test changes the trajectory without compiling anything.
    return jax.device_get((state, *collect(actor_of(name), acting(state), *keys)))


@functools.cache
def update_of(name):
    return jax.jit(learner_of(name).update)


def weights_of(learner, state, trajectory):
    """The reuse matrix of an update; what an update is for besides is not compiled."""
    weights = jax.jit(lambda *given: learner.update(*given)[1]["reuse/weight"])
    return weights(state, trajectory, HPARAMS, jax.random.key(2))


@functools.partial(jax.jit, static_argnums=0)
def make_plan_of(name, state, trajectory, memory):
    """What a learner plans for a trajectory, and metrics."""
    learner, seen, actors = learner_of(name), trajectory.observation, state.policies.params
    value = learner.value(state, seen)
    next_value = learner.value(state, trajectory.next_observation)
    advantage = generalized_advantage_estimation(
        trajectory, value, next_value, gamma=HPARAMS.gamma, gae_lambda=HPARAMS.gae_lambda
    )
    num_policies, labels = learner.num_policies, state.labels
    views = state.normalised_views(seen.active_views)
    experience = make_experience(num_policies, labels, trajectory, views, memory, advantage)
    given = learner.policy, learner.algorithm.reuse, actors, experience
    return make_plan(*given, config=learner.config, hparams=HPARAMS, key=jax.random.key(4))


@functools.cache
def plan_of(name):
    """What a learner plans for the trajectory that it has collected."""
    return jax.device_get(make_plan_of(name, *collected_with_memory(name))[0])


@functools.partial(jax.jit, static_argnums=0)
def update_by_plan(learner, policies, plan, hparams=HPARAMS):
    """The policies' parameters after an update as planned, and metrics."""
    given = learner.policy, learner.algorithm, policies, plan
    after, metrics = update_policies(
        *given, config=learner.config, hparams=hparams, key=jax.random.key(5)
    )
    return after.params, metrics


@pytest.mark.parametrize("name", in_tiers(ALGORITHMS, ("oappo", "oatrpo", "ippo", "oappo-auto")))
@pytest.mark.parametrize("scale", [2.0**-20, 2.0**20])
def test_the_scale_of_rewards_changes_no_bit_of_what_is_learnt(name, scale):
    """A millionth or a million times as much; by powers of two, which floats scale by exactly."""
    state, trajectory = collected(name)
    paid = trajectory._replace(reward=trajectory.reward * np.float32(scale))
    results = []
    for given in (trajectory, paid):
        after = state
        for _ in range(2):  # The second update knows a scale of returns.
            after, _ = update_of(name)(after, given, HPARAMS, jax.random.key(2))
        results.append(after)
    plain, scaled = results
    assert plain.value_norm.scale > 0
    np.testing.assert_array_equal(scaled.value_norm.scale, plain.value_norm.scale * scale)
    assert tree_equal(plain._replace(value_norm=None), scaled._replace(value_norm=None))


def test_what_an_active_agent_without_a_legal_action_draws_has_no_probability():
    state, trajectory = collected("oappo")
    seen = trajectory.observation
    stuck = seen._replace(action_mask=np.zeros_like(seen.action_mask))
    _, log_prob = jax.jit(learner_of("oappo").act)(state, stuck, jax.random.key(0))
    # A dead agent need not have one.
    np.testing.assert_array_equal(np.isnan(log_prob), seen.active)


def test_what_a_dead_agent_sees_does_not_make_it_act_out_of_range():
    state, trajectory = collected("oappo")
    blind = spoil_dead_rows(trajectory).observation
    action, log_prob = jax.jit(learner_of("oappo").act)(state, blind, jax.random.key(0))
    assert ((action >= 0) & (action < SPEC.num_actions)).all() and np.isfinite(log_prob).all()


@pytest.mark.parametrize(
    "name",
    in_tiers(
        (
            *("oatrpo-auto", "seac", "oappo, memory", "oatrpo-auto, memory", "seac, memory"),
            *("oatrpo-auto, continuous", "oappo, memory, continuous"),
        ),
        ("oatrpo-auto", "oappo, memory"),
    ),
)
def test_no_matrix_product_of_an_update_is_rounded_on_an_accelerator(name):
    """By default a GPU keeps 11 bits of each factor: ratios would not start at 1."""
    state = jax.eval_shape(learner_of(name).init, jax.random.key(0))
    _, trajectory, memory = collected_with_memory(actor_of(name))
    given = state, trajectory, HPARAMS, jax.random.key(2), memory
    program = update_of(name).lower(*given).as_text()
    products = [line for line in program.splitlines() if "stablehlo.dot_general" in line]
    assert len(products) > 10
    assert all("precision = [HIGHEST, HIGHEST]" in line for line in products)


KINDS = ("oappo", "oatrpo", "happo", "oappo-auto", "oappo-ess", "mappo", "ippo")
REMEMBERING = tuple(f"{row}, memory" for row in ("oappo", "oatrpo", "oappo-auto", "oappo-ess"))
STEERING = tuple(f"{row}, continuous" for row in ("oappo", "oatrpo", "oappo-ess", "oappo-auto"))
STEERING += "happo, continuous", "hatrpo, continuous", "seac, continuous"
STEERING_REMEMBERING = tuple(
    f"{row}, memory, continuous" for row in ("oappo", "oatrpo", "oappo-ess")
)
NORMALISED = ("oappo, normalised", "ippo, normalised", "oatrpo, memory, normalised")
NORMALISED += ("oappo, normalised, continuous", "oappo, memory, normalised, continuous")
NORMALISED += ("seac, normalised",)
KINDS_DAILY = ("oappo", "oatrpo", "oappo-auto", "ippo", REMEMBERING[0], *STEERING[:3])
KINDS_DAILY += NORMALISED[:1]


@pytest.mark.parametrize(
    "name",
    in_tiers(KINDS + REMEMBERING + STEERING + STEERING_REMEMBERING + NORMALISED, KINDS_DAILY),
)
def test_dead_rows_influence_nothing(name):
    """Identity 5: what a dead agent saw, did and was worth changes no bit of the result."""
    state, trajectory = collected(name)
    dead = ~trajectory.observation.active
    assert dead.any() and not dead.all()
    spoilt = spoil_dead_rows(trajectory)
    rest = HPARAMS, jax.random.key(2), memory_of(name)
    before, metrics = update_of(name)(state, trajectory, *rest)
    after, _ = update_of(name)(state, spoilt, *rest)
    assert tree_equal(before.input_norm, after.input_norm)
    if not learner_of(name).algorithm.has_central_critic:
        # A local critic learns what the dead see, as far as it is finite.
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(after))
    else:
        assert tree_equal(before, after)
    assert all(np.isfinite(value).all() for value in metrics.values())


@pytest.mark.parametrize(
    "name", in_tiers(KINDS[:3] + STEERING[:3], ("oappo", "oatrpo", "oappo, continuous"))
)
def test_an_agent_dead_throughout_makes_no_nan_and_is_nobodys_source(name):
    state, trajectory = collected(name)
    seen = trajectory.observation
    active = seen.active & (np.arange(NUM_AGENTS) != 1)
    lifeless = trajectory._replace(observation=seen._replace(active=active))
    after, metrics = update_of(name)(state, lifeless, HPARAMS, jax.random.key(2))
    for leaf in jax.tree.leaves((after, metrics)):
        assert np.isfinite(leaf).all()
    weights = np.asarray(metrics["reuse/weight"])
    np.testing.assert_array_equal(weights[[0, 2], 1], 0.0)
    np.testing.assert_allclose(weights.sum(axis=1), 1.0, rtol=1e-6)


@pytest.mark.parametrize("name", in_tiers(KINDS[:3], ("oappo", "oatrpo")))
def test_illegal_actions_stay_impossible(name):
    state, trajectory = collected(name)
    after, _ = update_of(name)(state, trajectory, HPARAMS, jax.random.key(2))
    seen = trajectory.observation
    act = jax.jit(jax.vmap(learner_of(name).act, (None, None, 0)))
    actions, log_prob = jax.device_get(act(after, seen, jax.random.split(jax.random.key(3), 20)))
    legal = np.take_along_axis(
        np.broadcast_to(seen.action_mask, (20, *seen.action_mask.shape)), actions[..., None], -1
    )
    assert legal.all()
    assert (log_prob > -1e3).all()


@pytest.mark.parametrize(
    "name",
    in_tiers(
        ("oappo", "oatrpo", *REMEMBERING[:2], *STEERING[:2], *STEERING_REMEMBERING[:2]),
        ("oappo", "oatrpo", REMEMBERING[0], STEERING[0]),
    ),
)
@pytest.mark.parametrize("estimator", in_tiers(("weighted", "paired"), ("weighted",)))
def test_relabelling_the_agents_permutes_the_result(name, estimator):
    """Identity 4, with the order relabelled alike; sums run in another order, hence a tolerance.

    A key draws other rows from agents of other names, unless there is only one to draw from.
    """
    (state, _), plan = collected(name), plan_of(name)
    if estimator == "paired":
        own = np.eye(NUM_AGENTS, dtype=np.float32)
        plan = plan._replace(weights=0.7 * own + 0.3 * np.roll(own, 1, axis=1))
    new_from_old = np.array([2, 0, 1])  # new label i was old label new_from_old[i]
    old_to_new = np.argsort(new_from_old)

    def permute(tree):
        return jax.tree.map(lambda x: np.asarray(x)[new_from_old], tree)

    def permute_pairs(tree):
        return jax.tree.map(lambda x: x[:, new_from_old], permute(tree))

    def permute_experience(experience):
        return Experience(
            permute(experience.slots),
            permute_pairs(experience.own),
            memories=permute_pairs(experience.memories),
        )

    compared = plan.compared
    relabelled = UpdatePlan(
        experience=permute_experience(plan.experience),
        order=old_to_new[plan.order],
        weights=permute_pairs(plan.weights),
        compared=Compared(permute_experience(compared.experience), permute(compared.outputs)),
    )
    learner = learner_of(name, estimator)
    expected = permute(update_by_plan(learner, state.policies, plan)[0])
    actual, _ = update_by_plan(learner, permute(state.policies), relabelled)
    for left, right in zip(jax.tree.leaves(expected), jax.tree.leaves(actual), strict=True):
        np.testing.assert_allclose(left, right, rtol=2e-3, atol=2e-4)


@pytest.mark.parametrize("name", ["oappo", "oappo, continuous"])
def test_relabelling_permutes_divergences_and_weights(name):
    state, trajectory = collected(name)
    permutation = np.array([2, 0, 1])
    swap = lambda x: x[:, :, permutation]  # noqa: E731
    seen = trajectory.observation
    relabelled = trajectory._replace(
        observation=seen._replace(
            agents_view=swap(seen.agents_view),
            action_mask=swap(seen.action_mask),
            active=swap(seen.active),
        ),
        action=swap(trajectory.action),
        log_prob=swap(trajectory.log_prob),
    )
    policies = jax.tree.map(lambda x: x[permutation], state.policies)
    _, before = update_of(name)(state, trajectory, HPARAMS, jax.random.key(2))
    _, after = update_of(name)(
        state._replace(policies=policies), relabelled, HPARAMS, jax.random.key(2)
    )
    for metric in ("reuse/divergence", "reuse/weight"):
        expected = np.asarray(before[metric])[permutation][:, permutation]
        np.testing.assert_allclose(after[metric], expected, rtol=1e-3, atol=1e-6)


def assert_found_anew(name):
    """Fails unless log-probabilities of what active agents did are those recorded."""
    slots, policy = plan_of(name).experience.slots, learner_of(name).policy
    state = collected(name)[0]
    actors = jax.tree.map(lambda x: x[state.labels], state.policies.params)
    outputs = jax.jit(jax.vmap(policy.outputs))(actors, slots)
    log_prob = policy.distribution(outputs).log_prob(slots.action)
    np.testing.assert_allclose(log_prob[slots.active], slots.log_prob[slots.active], atol=1e-5)


@pytest.mark.parametrize(
    "name", in_tiers(("oappo", *STEERING[:2], *NORMALISED), ("oappo", *STEERING[:2], NORMALISED[0]))
)
def test_log_probabilities_found_anew_are_those_recorded_while_acting(name):
    assert_found_anew(name)
    given = *collected(name), HPARAMS, jax.random.key(2), memory_of(name)
    _, metrics = update_of(name)(*given)
    np.testing.assert_allclose(metrics["policy/first_ratio"], 1.0, atol=1e-6)


@pytest.mark.parametrize(
    "name", in_tiers((REMEMBERING[0], *STEERING_REMEMBERING[:2]), REMEMBERING[:1])
)
def test_a_rollout_is_gone_through_again_with_the_outputs_recorded_while_acting(name):
    """Episodes end in it, and in some environments it begins in the midst of one."""
    _, trajectory = collected(name)
    ended, memory = trajectory.terminated | trajectory.truncated, memory_of(name)
    assert ended[:-1].any() and (memory != 0).any(axis=(1, 2, 3)).any()
    assert_found_anew(name)
    given = *collected(name), HPARAMS, jax.random.key(2), memory
    _, metrics = update_of(name)(*given)
    np.testing.assert_allclose(metrics["policy/first_ratio"], 1.0, atol=1e-6)


@pytest.mark.parametrize(
    "name", in_tiers((REMEMBERING[0], STEERING_REMEMBERING[0]), REMEMBERING[:1])
)
def test_policies_that_are_the_same_agree_on_what_anybody_recorded(name):
    """In the midst of episodes too: each has the memory that it would have had itself."""
    state, _ = collected(name)
    copied = jax.tree.map(lambda x: x[[0, 0, 0]], state.policies)
    state = state._replace(policies=copied)
    trajectory, memory = jax.device_get(collect(name, acting(state), *COLLECT_KEYS[1:]))
    assert (memory != 0).any()
    _, metrics = make_plan_of(name, state, trajectory, memory)
    np.testing.assert_allclose(metrics["reuse/divergence"], 0.0, atol=1e-6)
    # Who begins another's experience with a memory of nothing does not agree.
    forgetful = memory * np.eye(NUM_AGENTS, dtype=np.float32)[:, :, None]
    _, metrics = make_plan_of(name, state, trajectory, forgetful)
    assert (metrics["reuse/divergence"] > 1e-5).sum() >= NUM_AGENTS


@pytest.mark.parametrize("name", ["oappo", "oappo, continuous"])
@pytest.mark.parametrize("estimator", ["weighted", "sampled", "mapping"])
def test_every_estimator_updates_every_policy_with_finite_results(estimator, name):
    policies, plan = collected(name)[0].policies, plan_of(name)
    plan = plan._replace(weights=np.full((NUM_AGENTS, NUM_AGENTS), 1 / 3, np.float32))
    learner = learner_of(name, estimator)
    after, metrics = update_by_plan(learner, policies, plan)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((after, metrics)))
    kernel = lambda params: np.asarray(params["params"]["MLP_0"]["Dense_0"]["kernel"])  # noqa: E731
    change = np.abs(kernel(after) - kernel(policies.params))
    assert (change.max(axis=(1, 2)) > 0).all()
    paired, _ = update_by_plan(learner_of(name), policies, plan)
    assert not tree_equal(after, paired)


@pytest.mark.parametrize("estimator", in_tiers(("paired", "weighted", "sampled"), ("paired",)))
def test_no_trust_region_step_leaves_the_gate_of_a_source_that_it_reuses(estimator):
    """Condition 1, on every source whatever the estimator; with a wide gate steps do leave it."""
    learner, policies = learner_of("oatrpo", estimator), collected("oatrpo")[0].policies
    plan = plan_of("oatrpo")
    plan = plan._replace(weights=np.full((NUM_AGENTS, NUM_AGENTS), 1 / 3, np.float32))
    measure = functools.partial(pairwise_divergence, learner.policy, config=CONFIG, hparams=HPARAMS)
    measure = jax.jit(measure)
    is_other = ~np.eye(NUM_AGENTS, dtype=bool)

    def most(params):
        return np.asarray(measure(params, compared=plan.compared))[is_other].max()

    def most_after(sigma):
        wide = HPARAMS.replace(kl_threshold=jnp.float32(1), accept_ratio=jnp.float32(0))
        hparams = wide.replace(reuse_sigma=jnp.float32(sigma))
        return most(update_by_plan(learner, policies, plan, hparams)[0])

    sigma = 1.05 * most(policies.params)
    assert most_after(sigma) <= sigma * (1 + 1e-5)
    assert most_after(1e9) > sigma * 1.1


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [
        ("reward", jnp.zeros(NUM_ENVS), r"trajectory.reward: expected floating \[8, 4\], got"),
        ("terminated", jnp.zeros((NUM_STEPS, NUM_ENVS)), "trajectory.terminated: expected bool"),
        (
            "action",
            jnp.zeros((NUM_STEPS, NUM_ENVS, 2), int),
            r"integer \[T, E, 3\], got int32 \[8, 4, 2\]",
        ),
        ("log_prob", jnp.zeros((1, 1, 1)), r"trajectory.log_prob: expected floating \[8, 4, 3\]"),
    ],
)
def test_a_trajectory_of_another_shape_is_refused_by_the_name_of_the_field(field, value, complaint):
    state, trajectory = collected("oappo")
    with pytest.raises(ValueError, match=complaint):
        learner_of("oappo").update(
            state, trajectory._replace(**{field: value}), HPARAMS, jax.random.key(0)
        )


def test_views_of_another_width_and_unmapped_sweeps_are_refused():
    state, trajectory = collected("oappo")
    seen = trajectory.observation
    narrow = trajectory._replace(observation=seen._replace(agents_view=seen.agents_view[..., 1:]))
    with pytest.raises(ValueError, match=r"observation.agents_view: expected"):
        learner_of("oappo").update(state, narrow, HPARAMS, jax.random.key(0))
    update = learner_of("oappo").update
    for many, named in (
        (HPARAMS.replace(gamma=jnp.array([0.9, 0.95])), "gamma"),
        (Hyperparams.create(reuse_sigma=[0.1, 1.0]), "reuse_sigma"),
        (Hyperparams.create(reuse_sigma=[0.1, 1.0], gamma=[0.9, 0.95]), "gamma, reuse_sigma"),
        (Hyperparams.create(gamma=[0.9, 0.9]), "hparams"),
    ):
        with pytest.raises(ValueError, match=rf"^{named}: expected a scalar, .* vmap"):
            update(state, trajectory, many, jax.random.key(0))
    unnamed = r"^hparams: expected a scalar, got shape \(2,\), that .* create was given a list"
    with pytest.raises(ValueError, match=unnamed):
        jax.eval_shape(update, state, trajectory, many, jax.random.key(0))
    with pytest.raises(ValueError, match=r"^hparams: expected Hyperparams, got dict"):
        update(state, trajectory, {"gamma": 0.9}, jax.random.key(0))
    with pytest.raises(ValueError, match=r"^trajectory: expected a Transition, got dict"):
        update(state, trajectory._asdict(), HPARAMS, jax.random.key(0))
    plain = trajectory._replace(observation=tuple(seen))
    with pytest.raises(ValueError, match=r"^trajectory.observation: expected an Observation, got"):
        update(state, plain, HPARAMS, jax.random.key(0))


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [
        ("agents_view", jnp.zeros((2, 3, 5)), r"agents_view: expected floating \[2, 3, \d\], got"),
        ("agents_view", jnp.zeros(2), r"agents_view: expected floating"),
        ("agents_view", jnp.zeros((2, 3, 2), int), r"agents_view: expected floating .* got int32"),
        ("action_mask", jnp.ones((2, 3, 4), bool), r"action_mask: expected bool"),
        ("action_mask", jnp.ones((4, 3, 3), bool), r"action_mask: expected bool"),
        ("active", jnp.ones((2, 3)), r"active: expected bool \[2, 3\], got float32"),
        ("active", jnp.ones(2, bool), r"active: expected bool \[2, 3\]"),
        ("global_state", jnp.zeros((2, 99)), r"global_state: expected floating"),
    ],
)
def test_acting_and_valuing_refuse_an_observation_of_other_shapes(field, value, complaint):
    (state, trajectory), learner = collected("oappo"), learner_of("oappo")
    seen = jax.tree.map(lambda x: x[0, :2], trajectory.observation)
    wrong = seen._replace(**{field: value})
    act = functools.partial(learner.act, key=jax.random.key(0))
    with pytest.raises(ValueError, match=rf"^observation\.{complaint}"):
        (learner.value if field == "global_state" else act)(state, wrong)


ZEROS = jnp.zeros((NUM_ENVS, NUM_AGENTS, NUM_AGENTS, 4))
TO_ACT = r"; learner\.start\(num_envs\) makes the first one, and act gives the next"
TO_LEARN = r"; give the one from before the trajectory's first step"
BAD_MEMORIES = {
    "none": (None, r"that of policies with memory_size = 4, got None"),
    "list": (ZEROS.tolist(), r"an array, got list; make it one by jnp\.asarray"),
    "integers": (ZEROS.astype(int), r"floating \[4, .*, got int32 \[4, 3, 3, 4\]"),
    "too few environments": (ZEROS[:2], r"floating .* got float32 \[2, 3, 3, 4\]"),
    "another size": (ZEROS[..., 1:], r"floating .* got float32 \[4, 3, 3, 3\]"),
    "no environments": (ZEROS[0], r"floating .* got float32 \[3, 3, 4\]"),
}


@pytest.mark.parametrize(("memory", "complaint"), BAD_MEMORIES.values(), ids=BAD_MEMORIES)
def test_a_memory_that_does_not_fit_is_refused(memory, complaint):
    learner, (_, trajectory) = learner_of("oappo, memory"), collected("oappo")
    state = jax.eval_shape(learner.init, jax.random.key(0))
    seen, key = jax.tree.map(lambda x: x[0], trajectory.observation), jax.random.key(0)
    to_act, to_learn = ("", "") if "list" in complaint else (TO_ACT, TO_LEARN)
    with pytest.raises(ValueError, match=f"^memory: expected {complaint}{to_act}"):
        learner.act(state, seen, key, memory=memory)
    with pytest.raises(ValueError, match=f"^memory: expected {complaint}{to_act}"):
        learner.outputs(state, seen.active_views, seen.action_mask, memory=memory)
    with pytest.raises(ValueError, match=f"^memory: expected {complaint}{to_learn}"):
        learner.update(state, trajectory, HPARAMS, key, memory)


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_a_memory_of_another_precision_is_made_float32(dtype):
    (state, trajectory, memory), name = collected_with_memory("oappo, memory"), "oappo, memory"
    other = np.asarray(memory, dtype)
    single, learner, key = other.astype(np.float32), learner_of(name), jax.random.key(2)
    assert (single != 0).any()
    seen = jax.tree.map(lambda x: x[0], trajectory.observation)
    act = jax.jit(learner.act)
    expected, found = (act(state, seen, key, memory=each) for each in (single, other))
    assert found[2].dtype == np.float32
    assert tree_equal(found, expected)
    given = state, trajectory, HPARAMS, key
    results = (jax.tree.leaves(update_of(name)(*given, each)[0]) for each in (single, other))
    for one, two in zip(*results, strict=True):  # Another program may add up in another order.
        assert one.dtype == two.dtype
        np.testing.assert_allclose(one, two, rtol=1e-3, atol=5e-6)


@pytest.mark.parametrize("name", ["oappo", "oappo, memory"])
def test_a_memory_in_the_place_of_greedy_is_refused(name):
    learner, (_, trajectory) = learner_of(name), collected("oappo")
    state = jax.eval_shape(learner.init, jax.random.key(0))
    seen, key = jax.tree.map(lambda x: x[0], trajectory.observation), jax.random.key(0)
    for act in (learner.act, jax.jit(learner.act)):
        with pytest.raises(ValueError, match=r"^greedy: expected True or False, .* memory=\.\.\."):
            act(state, seen, key, ZEROS)


def test_a_memory_with_which_agents_only_act_does_not_do_for_learning_from_others():
    learner, (_, trajectory) = learner_of("oappo, memory"), collected("oappo")
    state, key = jax.eval_shape(learner.init, jax.random.key(0)), jax.random.key(0)
    own = learner.start(NUM_ENVS, to_learn=False)
    assert own.shape == (NUM_ENVS, NUM_AGENTS, 1, 4)
    complaint = r"^memory: expected floating \[4, 3, 3, 4\], got float32 \[4, 3, 1, 4\]"
    with pytest.raises(ValueError, match=complaint + TO_LEARN):
        learner.update(state, trajectory, HPARAMS, key, own)
    seen = jax.tree.map(lambda x: x[0], trajectory.observation)
    *_, after = jax.eval_shape(learner.act, state, seen, key, memory=own)
    assert after.shape == own.shape


def test_policies_that_remember_nothing_refuse_a_memory():
    learner, (state, trajectory) = learner_of("oappo"), collected("oappo")
    seen, key = jax.tree.map(lambda x: x[0], trajectory.observation), jax.random.key(0)
    complaint = r"^memory: expected None, .* memory_size = 0, got .*; leave it out"
    with pytest.raises(ValueError, match=complaint):
        learner.act(state, seen, key, memory=ZEROS)
    with pytest.raises(ValueError, match=complaint):
        learner.update(state, trajectory, HPARAMS, key, ZEROS)
    assert learner.start(NUM_ENVS) is None


@pytest.mark.parametrize(
    ("name", "log_affinity", "num_memories"),
    [
        ("oappo", False, 3),
        ("seac", False, 3),
        ("happo", False, 1),
        ("happo", True, 3),
        ("mappo", True, 1),
        ("seps", False, 1),
        ("seps", True, 3),
    ],
)
def test_policies_go_through_what_others_see_where_they_are_asked_about_it(
    name, log_affinity, num_memories
):
    config = dataclasses.replace(CONFIG, memory_size=4, log_affinity=log_affinity)
    memory = make_learner(SPEC, name, config).start(5)
    assert memory.shape == (5, NUM_AGENTS, num_memories, 4) and not memory.any()


@pytest.mark.parametrize("name", ["oappo", "ippo"])
def test_what_is_not_read_may_have_any_shape(name):
    learner, seen = learner_of(name), collected("oappo")[1].observation
    state = jax.eval_shape(learner.init, jax.random.key(0))
    no_state, no_views = (
        seen._replace(global_state=jnp.zeros(1)),
        seen._replace(agents_view=jnp.zeros(1), active=jnp.zeros(1, bool)),
    )
    jax.eval_shape(learner.act, state, no_state, jax.random.key(0))
    jax.eval_shape(learner.value, state, no_views if name == "oappo" else no_state)


def test_lists_are_refused_by_the_name_of_the_field():
    state, trajectory = collected("oappo")
    learner, seen, key = learner_of("oappo"), trajectory.observation, jax.random.key(0)
    for name in ("agents_view", "active"):
        listed = seen._replace(**{name: getattr(seen, name).tolist()})
        with pytest.raises(ValueError, match=rf"^observation.{name}: expected an array, got list"):
            learner.act(state, listed, key)
    with pytest.raises(ValueError, match=r"^observation.global_state: expected an array, got list"):
        learner.value(state, seen._replace(global_state=seen.global_state.tolist()))
    for name in ("action", "reward"):
        listed = trajectory._replace(**{name: getattr(trajectory, name).tolist()})
        with pytest.raises(ValueError, match=rf"^trajectory.{name}: expected an array, got list"):
            learner.update(state, listed, HPARAMS, key)
    for value in ([0.9], None):
        with pytest.raises(ValueError, match=r"^gamma: expected an array, got .*; make it one by"):
            learner.update(state, trajectory, HPARAMS.replace(gamma=value), key)
    with pytest.raises(ValueError, match=r"^state.labels: expected an array, got list"):
        learner.act(state._replace(labels=[0, 1, 2]), seen, key)


def test_a_state_that_is_not_that_of_one_learner_is_refused():
    (state, trajectory), learner = collected("oappo"), learner_of("oappo")
    several = jax.tree.map(lambda x: x[None], state)
    given = trajectory.observation, jax.random.key(0)
    with pytest.raises(ValueError, match=r"^state: .*with labels \[3\], got labels \[1, 3\]"):
        learner.act(several, *given)
    with pytest.raises(ValueError, match=r"^state: expected a LearnerState, got dict"):
        learner.value(state._asdict(), trajectory.observation)
    with pytest.raises(ValueError, match=r"^state: "):
        learner.update(several, trajectory, HPARAMS, jax.random.key(0))
    with pytest.raises(ValueError, match=r"^observation: expected an Observation, got dict"):
        learner.act(state, trajectory.observation._asdict(), jax.random.key(0))
    acting = jax.vmap(learner.act, in_axes=(0, None, None))
    assert jax.eval_shape(acting, several, *given)[0].shape == (1, NUM_STEPS, NUM_ENVS, 3)


def test_the_second_learner_of_happo_is_corrected_for_the_first():
    """Eq. 6 end to end: its advantages are multiplied by what the first has become likelier by."""
    learner = learner_of("happo")
    # OAPPO's states and slots are HAPPO's as well.
    (state, _), experience = collected("oappo"), plan_of("oappo").experience
    slots, own = experience.slots, experience.own
    live = slots.advantage[slots.active]
    assert abs(float(live.mean())) < 1e-5 and abs(float(live.std()) - 1) < 1e-3

    def run(slots, learner):
        plan = plan_of("oappo")._replace(
            experience=Experience(slots, own), order=np.arange(3), weights=own.astype(np.float32)
        )
        return update_by_plan(learner, state.policies, plan)[0]

    one = lambda tree, index: jax.tree.map(lambda x: x[index], tree)  # noqa: E731
    sequential = run(slots, learner)
    record = jax.jit(functools.partial(record_log_ratio, learner.policy))
    table = np.asarray(
        record(one(sequential, 0), slots, own[0], np.zeros_like(slots.log_prob)),
    )
    assert (table[1:] == 0).all() and (table[0][~slots.active[0]] == 0).all()
    assert np.abs(table[0]).max() > 0.01
    # By hand: nobody is corrected, but the advantages already have the first one's ratio in them.
    row = dataclasses.replace(learner.algorithm, is_sequential=False)
    alone = make_learner(SPEC, row, CONFIG)
    corrected = run(slots._replace(advantage=slots.advantage * np.exp(table[0])), alone)
    expected, uncorrected = one(corrected, 1), one(run(slots, alone), 1)
    for actual, wanted in zip(
        jax.tree.leaves(one(sequential, 1)), jax.tree.leaves(expected), strict=True
    ):
        np.testing.assert_allclose(actual, wanted, rtol=1e-4, atol=1e-6)
    assert not tree_equal(uncorrected, expected)


def test_a_source_none_of_whose_rows_was_looked_at_is_not_admitted():
    config = dataclasses.replace(CONFIG, divergence_rows=2)
    learner = make_learner(SPEC, "oappo", config)
    state, trajectory = collected("oappo")
    seen = trajectory.observation
    # One sequence is looked at, that of the first environment; agent 1 lives in the others only.
    active = np.ones_like(seen.active)
    active[:, 0, 1] = False
    trajectory = trajectory._replace(observation=seen._replace(active=active))
    weights = np.asarray(weights_of(learner, state, trajectory))
    np.testing.assert_array_equal(weights[[0, 2], 1], 0.0)


def test_a_policy_with_which_nobody_acts_learns_nothing_whatever_the_rule():
    row = dataclasses.replace(get_algorithm("seps"), reuse=get_algorithm("oappo").reuse)
    learner = make_learner(SPEC, row, CONFIG)
    state = learner.regroup(jax.jit(learner.init)(jax.random.key(0)), [0, 1, 0])
    _, trajectory = collected("oappo")

    @jax.jit
    def learn(*given):
        after, metrics = learner.update(*given)
        return after.policies.params, metrics["reuse/weight"]

    start = state.policies.params
    after, weights = learn(state, trajectory, HPARAMS, jax.random.key(2))
    np.testing.assert_array_equal(np.asarray(weights)[2], 0.0)
    for new, old in zip(jax.tree.leaves(after), jax.tree.leaves(start), strict=True):
        np.testing.assert_array_equal(np.asarray(new)[2], np.asarray(old)[2])


def test_the_clipped_value_loss_moves_the_critic_however_the_statistics_jump():
    config = dataclasses.replace(CONFIG, value_loss="clipped", critic_epochs=1)
    learner = make_learner(SPEC, "oappo", config)
    state, trajectory = collected("oappo")
    rich = trajectory._replace(reward=trajectory.reward + 10.0)
    # The policies' update is not compiled, as nobody asks for it.
    grad_norm = jax.jit(lambda *given: learner.update(*given)[1]["critic/grad_norm"])
    assert grad_norm(state, rich, HPARAMS, jax.random.key(2)) > 0.1


def test_greedy_actions_are_the_likeliest_and_need_no_luck():
    state, trajectory = collected("oappo")
    act = jax.jit(functools.partial(learner_of("oappo").act, greedy=True))
    one, log_prob = act(state, trajectory.observation, jax.random.key(0))
    two, _ = act(state, trajectory.observation, jax.random.key(1))
    np.testing.assert_array_equal(one, two)
    # Three actions: the likeliest has at least a third.
    assert (np.exp(log_prob) > 1 / 3 - 1e-6).all()


@pytest.mark.parametrize(("name", "num_values"), [("oappo", 1), ("mappo", 1), ("ippo", 3)])
def test_a_central_critic_gives_one_value_and_local_ones_one_per_agent(name, num_values):
    learner, seen = learner_of(name), collected("oappo")[1].observation
    state = jax.eval_shape(learner.init, jax.random.key(0))
    value = jax.eval_shape(learner.value, state, seen)
    assert value.shape == (NUM_STEPS, NUM_ENVS, num_values)


def test_minibatches_that_do_not_divide_the_trajectory_are_refused():
    learner = make_learner(SPEC, "oappo", Config(num_minibatches=16, hidden_sizes=(8,)))
    state, trajectory = collected("oappo")
    with pytest.raises(ValueError, match="does not divide the 4 environments"):
        jax.eval_shape(learner.update, state, trajectory, HPARAMS, jax.random.key(0))


def test_a_fixed_matrix_of_the_wrong_size_is_refused():
    learner = make_learner(SPEC, fixed_algorithm(np.eye(2)), CONFIG)
    state, trajectory = collected("oappo")
    with pytest.raises(ValueError, match="expected shape"):
        jax.eval_shape(learner.update, state, trajectory, HPARAMS, jax.random.key(0))


@pytest.mark.thorough
def test_one_agent_alone_is_ordinary_ppo():
    spec = EnvSpec(num_agents=1, num_actions=2, view_size=2, state_size=2)
    keys = jax.random.split(jax.random.key(0), 3)
    observation = Observation(
        agents_view=jax.random.normal(keys[0], (4, 2, 1, 2)),
        action_mask=jnp.ones((4, 2, 1, 2), bool),
        global_state=jnp.zeros((4, 2, 2)),
        active=jnp.ones((4, 2, 1), bool),
    )
    never = jnp.zeros((4, 2), bool)
    trajectory = Transition(
        observation=observation,
        action=jnp.zeros((4, 2, 1), jnp.int32),
        log_prob=jnp.full((4, 2, 1), jnp.log(0.5)),
        reward=jax.random.normal(keys[1], (4, 2)),
        terminated=never,
        truncated=never,
        next_observation=observation,
    )
    results = {}
    for name in ("oappo", "mappo"):
        learner = make_learner(spec, name, CONFIG)
        state = jax.jit(learner.init)(jax.random.key(1))
        update = jax.jit(learner.update, compiler_options=TO_THE_BIT)
        results[name], metrics = update(state, trajectory, HPARAMS, keys[2])
        np.testing.assert_array_equal(metrics["reuse/weight"], [[1.0]])
    assert tree_equal(results["oappo"], results["mappo"])
