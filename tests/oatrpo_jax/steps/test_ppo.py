from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from oatrpo_jax.config import Config
from oatrpo_jax.hyperparams import Hyperparams
from oatrpo_jax.policies.policy import Policy
from oatrpo_jax.reuse.experience import Slots
from oatrpo_jax.reuse.sources import PolicyBatch
from oatrpo_jax.steps.gradient_passes import slot_loss
from oatrpo_jax.steps.ppo import clip_objective, clipped_objective


@pytest.mark.parametrize(
    ("ratio", "advantage", "expected"),
    [
        (1.0, 2.0, 2.0),
        (1.5, 2.0, 2.4),  # min(3.0, 1.2 * 2)
        (0.5, 2.0, 1.0),  # min(1.0, 0.8 * 2): a good action made unlikely is corrected
        (1.5, -2.0, -3.0),  # min(-3.0, -2.4): a bad action made likelier is corrected
        (0.5, -2.0, -1.6),  # min(-1.0, -1.6)
    ],
)
def test_clipped_objective_on_own_rows(ratio, advantage, expected):
    objective = clipped_objective(
        jnp.array(ratio), jnp.array(advantage), jnp.array(True), clip_eps=0.2, dual_clip=3.0
    )
    assert float(objective) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("ratio", "advantage", "starts_at_one", "expected"),
    [
        (5.0, -2.0, False, -6.0),  # max(-10, 3 * -2)
        (5.0, -2.0, True, -10.0),  # one's own ratio starts at 1: no cap
        (5.0, 2.0, False, 2.4),  # a positive advantage is clipped as ever
        (2.0, -2.0, False, -4.0),  # below the cap: as ever
    ],
)
def test_dual_clip_caps_others_ratios_where_the_advantage_is_negative(
    ratio, advantage, starts_at_one, expected
):
    objective = clipped_objective(
        jnp.array(ratio),
        jnp.array(advantage),
        jnp.array(starts_at_one),
        clip_eps=0.2,
        dual_clip=3.0,
    )
    assert float(objective) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("ratio", "advantage", "starts_at_one", "slope"),
    [
        (1.1, 2.0, True, 2.0),
        (1.5, 2.0, True, 0.0),  # gained enough
        (0.5, -2.0, True, 0.0),
        (1.5, -2.0, True, -2.0),  # still pulled back
        (5.0, -2.0, False, 0.0),  # a stranger's outlier has no say
    ],
)
def test_gradient_stops_where_the_objective_is_flat(ratio, advantage, starts_at_one, slope):
    gradient = jax.grad(
        lambda ratio: clipped_objective(
            ratio, jnp.array(advantage), jnp.array(starts_at_one), clip_eps=0.2, dual_clip=3.0
        )
    )(jnp.array(ratio))
    assert float(gradient) == pytest.approx(slope)


CONFIG = Config(hidden_sizes=(8,))
POLICY = Policy.of(CONFIG, num_actions=3)


@pytest.fixture(scope="module")
def params():
    return jax.jit(lambda: POLICY.init(jax.random.key(0), view_size=2))()


@jax.jit
def loss_and_gradient(params, batch):
    """The loss, its parts, and its gradient."""
    hparams = Hyperparams.create(ent_coef=0.5, clip_eps=0.2)
    clip_loss = jax.value_and_grad(partial(slot_loss, clip_objective, POLICY), has_aux=True)
    (loss, sums), gradient = clip_loss(params, batch, CONFIG, hparams)
    return loss, sums, gradient


@jax.jit
def make_batch(params) -> PolicyBatch:
    """Four rows, [T=2, E=2]; action 2 is illegal everywhere, the last row inactive."""
    view = jax.random.normal(jax.random.key(1), (2, 2, 2))
    mask = jnp.broadcast_to(jnp.array([True, True, False]), (2, 2, 3))
    logits, _ = POLICY.network.apply(params, view, mask)
    action = jnp.array([[0, 1], [1, 0]])
    active = jnp.array([[True, True], [True, False]])
    rows = Slots(
        agents_view=view,
        action_mask=mask,
        action=action,
        log_prob=POLICY.distribution(logits).log_prob(action) - 0.1,
        advantage=jnp.array([[1.0, -1.0], [2.0, 5.0]]),
        active=active,
    )
    return PolicyBatch(rows, policy_weight=active / 3.0, own_weight=active / 3.0)


def test_loss_is_the_weighted_objective_and_the_entropy_bonus(params):
    batch = make_batch(params)
    loss, sums, _ = loss_and_gradient(params, batch)
    # All ratios are e^0.1 = 1.10517, within the clip; active advantages 1, -1, 2: mean 2/3.
    entropy = POLICY.on(params, batch.rows).entropy()
    mean_entropy = (entropy[0, 0] + entropy[0, 1] + entropy[1, 0]) / 3
    np.testing.assert_allclose(sums["loss"], -1.10517 * 2 / 3, rtol=1e-4)
    np.testing.assert_allclose(loss, -1.10517 * 2 / 3 - 0.5 * mean_entropy, rtol=1e-4)


def test_inactive_rows_change_neither_loss_nor_gradient(params):
    batch = make_batch(params)
    rows = batch.rows
    spoilt = batch._replace(
        rows=rows._replace(
            agents_view=rows.agents_view.at[1, 1].set(1e6),
            advantage=rows.advantage.at[1, 1].set(jnp.nan),
            log_prob=rows.log_prob.at[1, 1].set(-1e9),
        )
    )
    before, _, gradient_before = loss_and_gradient(params, batch)
    after, _, gradient_after = loss_and_gradient(params, spoilt)
    assert before == after
    jax.tree.map(np.testing.assert_array_equal, gradient_before, gradient_after)


def test_an_illegal_action_gets_no_probability_and_no_gradient(params):
    batch = make_batch(params)
    policy = POLICY.on(params, batch.rows)
    np.testing.assert_array_equal(policy.probs[..., 2], 0.0)
    *_, gradient = loss_and_gradient(params, batch)
    head = gradient["params"]["MLP_0"]["Dense_1"]
    np.testing.assert_array_equal(head["kernel"][:, 2], 0.0)
    np.testing.assert_array_equal(head["bias"][2], 0.0)


def test_gradient_agrees_with_finite_differences(params):
    batch = make_batch(params)
    flat, unravel = jax.flatten_util.ravel_pytree(params)
    direction = jax.random.normal(jax.random.key(2), flat.shape)
    loss_at = lambda step: loss_and_gradient(unravel(flat + step * direction), batch)[0]  # noqa: E731
    numeric = (loss_at(1e-2) - loss_at(-1e-2)) / 2e-2
    gradient, _ = jax.flatten_util.ravel_pytree(loss_and_gradient(params, batch)[2])
    np.testing.assert_allclose(gradient @ direction, numeric, rtol=1e-2, atol=1e-4)
