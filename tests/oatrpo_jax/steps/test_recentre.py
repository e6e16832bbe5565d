import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from oatrpo_jax.config import Config
from oatrpo_jax.hyperparams import Hyperparams
from oatrpo_jax.policies.policy import Policy
from oatrpo_jax.reuse.experience import Slots
from oatrpo_jax.reuse.sources import PolicyBatch
from oatrpo_jax.steps.gradient_passes import slot_loss
from oatrpo_jax.steps.ppo import clip_objective, recentre
from oatrpo_jax.steps.trpo import surrogate

CONFIG = Config(hidden_sizes=(8,), clip_center="own")
AS_PRINTED = dataclasses.replace(CONFIG, clip_center="behaviour")
"""Clips around the behaviour (Eq. 8)."""
POLICIES = {
    "discrete": Policy.of(CONFIG, num_actions=3),
    "continuous": Policy.of(CONFIG, num_actions=3, is_continuous=True),
}
HPARAMS = Hyperparams.create(ent_coef=0.0, dual_clip=1.2)
clip_loss = functools.partial(slot_loss, clip_objective)
OTHERS = jnp.array([False, True, False])


@pytest.fixture(scope="module", params=POLICIES)
def policy(request):
    return POLICIES[request.param]


@pytest.fixture(scope="module")
def experience(policy):
    """The learner's parameters, and three slots ``[T=3, E=2]`` that another policy has recorded."""
    keys = jax.random.split(jax.random.key(0), 4)
    params = policy.init(keys[0], view_size=2)
    noise = optax.tree.random_like(keys[1], params)
    source = optax.tree.add_scale(params, 0.5, noise)
    view, mask = jax.random.normal(keys[2], (3, 3, 2, 2)), jnp.ones((3, 3, 2, 3), bool)
    outputs = jax.vmap(lambda view, mask: policy.network.apply(source, view, mask)[0])(view, mask)
    behaviour = policy.distribution(outputs)
    action = behaviour.sample(seed=keys[3])
    advantage = jnp.array([[1.0, -1.0], [2.0, -0.5], [0.3, 5.0]])
    active = jnp.ones((3, 3, 2), bool).at[:, 2, 1].set(False)
    return params, Slots(
        agents_view=view,
        action_mask=mask,
        action=action,
        log_prob=behaviour.log_prob(action),
        advantage=jnp.broadcast_to(advantage, (3, 3, 2)),
        active=active,
    )


def log_ratio(policy, params, slots):
    return policy.on(params, slots).log_prob(slots.action) - slots.log_prob


def test_others_rows_count_by_their_importance_weight_from_the_policy_before_the_step(
    policy, experience
):
    params, slots = experience
    seen = recentre(policy, params, slots, OTHERS, CONFIG, HPARAMS)
    weight = np.where(slots.active, np.exp(log_ratio(policy, params, slots)), 1.0)[1]
    assert weight.min() < 0.9 and weight.max() > 1.3
    np.testing.assert_allclose(
        seen.advantage[1], np.minimum(weight, 1.2) * slots.advantage[1], rtol=1e-5
    )
    # The ratio that is clipped is that to the policy itself: 1 before the step.
    np.testing.assert_allclose(
        np.where(slots.active, log_ratio(policy, params, seen), 0.0)[1], 0.0, atol=1e-6
    )
    for other in (0, 2):  # The learner's own slot, and one that it does not use.
        np.testing.assert_array_equal(seen.log_prob[other], slots.log_prob[other])
        np.testing.assert_array_equal(seen.advantage[other], slots.advantage[other])


def test_around_the_behaviour_the_slots_stay_as_they_are(policy, experience):
    params, slots = experience
    assert recentre(policy, params, slots, OTHERS, AS_PRINTED, HPARAMS) is slots


def gradients(policy, params, slots, config=CONFIG):
    """Of the clipped objective and of the plain surrogate, on another's slot."""
    rows = jax.tree.map(lambda x: x[1], slots)
    batch = PolicyBatch(rows, rows.active / 5.0, jnp.zeros((3, 2)))
    clipped = jax.grad(lambda params: -clip_loss(policy, params, batch, config, HPARAMS)[0])(params)
    return clipped, jax.grad(lambda params: surrogate(policy, params, batch)[0])(params)


def test_the_clip_begins_with_the_gradient_of_the_importance_weighted_advantage(policy, experience):
    params, slots = experience
    uncapped = HPARAMS.replace(dual_clip=jnp.float32(1e6))
    _, expected = gradients(policy, params, slots)
    found, _ = gradients(policy, params, recentre(policy, params, slots, OTHERS, CONFIG, uncapped))
    jax.tree.map(
        lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-6), found, expected
    )
    # Around the behaviour the clip takes part of it away from the first step on.
    cut, _ = gradients(policy, params, slots, AS_PRINTED)
    gaps = jax.tree.map(lambda x, y: float(jnp.abs(x - y).max()), cut, expected)
    assert max(jax.tree.leaves(gaps)) > 1e-2


def test_a_ratio_that_starts_at_one_has_no_second_cap():
    # Another's row, A = -1, w = 2, and the policy has moved to rho = 5: -(2 x 5), not -(2 x 3).
    policy, hparams = POLICIES["continuous"], Hyperparams.create(ent_coef=0.0, dual_clip=3.0)
    zeros, ones = jnp.zeros((1, 1, 3)), jnp.ones((1, 1))
    params = policy.init(jax.random.key(0), view_size=3)
    outputs, _ = policy.network.apply(params, zeros, zeros == 0)
    rows = Slots(
        agents_view=zeros,
        action_mask=zeros == 0,
        action=zeros,
        log_prob=policy.distribution(outputs).log_prob(zeros) - jnp.log(5.0),
        advantage=-2.0 * ones,
        active=ones > 0,
    )
    _, sums = clip_loss(policy, params, PolicyBatch(rows, ones, 0 * ones), CONFIG, hparams)
    assert float(sums["loss"]) == pytest.approx(10.0, rel=1e-5)


def test_advantages_that_are_noise_draw_to_the_behaviour_only_around_it():
    # A learner whose mean is one deviation below the behaviour's, advantages +1 and -1 at random:
    # the expected gradient is 0, and what the clip around the behaviour lets pass is not.
    policy = Policy.of(CONFIG, num_actions=1, is_continuous=True)
    shape = (1, 200, 100)
    zeros, mask = jnp.zeros((*shape, 1)), jnp.ones((*shape, 1), bool)
    params = policy.init(jax.random.key(0), view_size=1)
    outputs, _ = policy.network.apply(params, zeros, mask)
    deviation = float(jnp.exp(outputs[0, 0, 0, 1]))
    behaviour = policy.distribution(outputs.at[..., 0].add(deviation))
    action = behaviour.sample(seed=jax.random.key(1))
    slots = Slots(
        agents_view=zeros,
        action_mask=mask,
        action=action,
        log_prob=behaviour.log_prob(action),
        advantage=jax.random.rademacher(jax.random.key(2), shape).astype(jnp.float32),
        active=jnp.ones(shape, bool),
    )

    def pull(config, slots):
        """The slope of the objective in the learner's mean, in units of its deviation."""
        rows = jax.tree.map(lambda x: x[0], slots)
        batch = PolicyBatch(rows, jnp.full(shape[1:], 1 / rows.active.size), jnp.zeros(shape[1:]))
        clip = jax.grad(functools.partial(clip_loss, policy), has_aux=True)
        slope, _ = clip(params, batch, config, Hyperparams.create(ent_coef=0.0))
        return -float(slope["params"]["MLP_0"]["Dense_1"]["bias"][0]) * deviation

    # In units of the deviation, r = exp(1/2 - z): r < 1.2 where z > 0.318, which A > 0 needs, and
    # 0.8 < r < 3 where -0.599 < z < 0.723, which A < 0 needs.  Half each, and the learner's density
    # phi has the integral phi(a) - phi(b) of z phi: (phi(0.318) - phi(-0.599) + phi(0.723)) / 2
    # = (0.3793 - 0.3335 + 0.3072) / 2 = 0.1765 towards the behaviour.
    assert pull(AS_PRINTED, slots) == pytest.approx(0.1765, abs=0.02)
    seen = recentre(policy, params, slots, jnp.array([True]), CONFIG, Hyperparams.create())
    assert abs(pull(CONFIG, seen)) < 0.03
