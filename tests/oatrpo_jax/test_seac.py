"""SEAC against plain numpy, and what must not matter to it."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from oatrpo_jax import Config, EnvSpec, Hyperparams, Observation, Transition, make_learner
from oatrpo_jax.algorithms import get_algorithm
from oatrpo_jax.reuse.rules import own_reuse, shared_experience
from tests.probe_envs import spoil_dead_rows, tree_equal

SPEC = EnvSpec(num_agents=2, num_actions=3, view_size=2, state_size=2)
CONFIG = Config(
    num_epochs=1,
    critic_epochs=1,
    hidden_sizes=(2,),
    normalise_values=False,
)
GAMMA, ENT_COEF, SEAC_COEF = 0.9, 0.05, 0.5
HPARAMS = Hyperparams.create(
    gamma=GAMMA, gae_lambda=1.0, ent_coef=ENT_COEF, seac_coef=SEAC_COEF, max_grad_norm=1e6
)


def forward(params, view, mask=None):
    """The network in numpy: tanh layer and linear head; returns the outputs and the layer."""
    net = params["params"]["MLP_0"]
    hidden = np.tanh(view @ net["Dense_0"]["kernel"] + net["Dense_0"]["bias"])
    output = hidden @ net["Dense_1"]["kernel"] + net["Dense_1"]["bias"]
    return (output if mask is None else np.where(mask, output, -1e9)), hidden


def backward(params, view, hidden, output_gradient):
    """The gradient of sum(output_gradient x output) for rows ``[T, E]``, by the chain rule."""
    head = params["params"]["MLP_0"]["Dense_1"]["kernel"]
    flat = lambda x: x.reshape(-1, x.shape[-1])  # noqa: E731
    before = flat((output_gradient @ head.T) * (1 - hidden**2))
    return {
        "Dense_0": {"kernel": flat(view).T @ before, "bias": before.sum(axis=0)},
        "Dense_1": {
            "kernel": flat(hidden).T @ flat(output_gradient),
            "bias": flat(output_gradient).sum(axis=0),
        },
    }


def softmax(logits):
    weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)


def hand_made():
    """Two agents, T = 3, E = 1: an illegal action, a dead row, and an episode's end."""
    view = np.array(
        [[[[1.0, 0.0], [0.0, 1.0]]], [[[0.5, -1.0], [2.0, 0.3]]], [[[-1.0, 1.0], [0.2, 0.7]]]]
    )
    mask = np.ones((3, 1, 2, 3), bool)
    mask[1, 0, 0, 2] = mask[2, 0, 1, 0] = False
    active = np.ones((3, 1, 2), bool)
    active[2, 0, 0] = False
    next_view = np.concatenate([view[1:], [[[[0.4, 0.4], [-0.6, 0.1]]]]])
    return view, mask, active, next_view


@functools.cache
def numbers():
    """The learner's state with unlike agents, a trajectory, and the same in numpy."""
    learner = make_learner(SPEC, "seac", CONFIG)
    noise = lambda tree, seed: jax.tree.map(  # noqa: E731
        lambda x: x + jax.random.normal(jax.random.key(seed), x.shape), tree
    )

    @jax.jit
    def init(key):
        state = learner.init(key)
        return state._replace(
            policies=state.policies._replace(params=noise(state.policies.params, 1)),
            critics=state.critics._replace(params=noise(state.critics.params, 2)),
        )

    state = init(jax.random.key(0))
    view, mask, active, next_view = hand_made()
    observation = Observation(
        view.astype(np.float32), mask, np.zeros((3, 1, 2), np.float32), active
    )
    following = observation._replace(agents_view=next_view.astype(np.float32))
    action = np.array([[[0, 2]], [[1, 1]], [[0, 2]]])
    actors, critics = (
        [jax.tree.map(lambda x: np.asarray(x[agent], float), tree.params) for agent in range(2)]  # noqa: B023
        for tree in (state.policies, state.critics)
    )
    behaviour = np.stack(
        [softmax(forward(actors[n], view[:, :, n], mask[:, :, n])[0]) for n in range(2)], axis=2
    )
    mu = np.take_along_axis(behaviour, action[..., None], axis=-1)[..., 0]
    trajectory = Transition(
        observation=observation,
        action=action.astype(np.int32),
        log_prob=np.log(mu).astype(np.float32),
        reward=np.array([[1.0], [-0.5], [2.0]], np.float32),
        terminated=np.array([[False], [True], [False]]),
        truncated=np.zeros((3, 1), bool),
        next_observation=following,
    )
    # Step 1 ends an episode; step 2 bootstraps from what each agent's own critic says comes next.
    bootstrap = [forward(critics[n], next_view[2, 0, n])[0][0] for n in range(2)]
    returns = np.array([[1.0 - GAMMA * 0.5, -0.5, 2.0 + GAMMA * bootstrap[n]] for n in range(2)])
    return learner, state, trajectory, (view, mask, active, action, mu, actors, critics, returns)


def golden(learner_index):
    """Losses and gradients of one learner, term by term as in the paper, Eq. 3."""
    *_, (view, mask, active, action, mu, actors, critics, returns) = numbers()
    i = learner_index
    losses = {"policy": 0.0, "value": 0.0}
    grads = {"policy": [], "value": []}
    for j in range(2):
        o, a, live = view[:, :, j], action[:, :, j], active[:, :, j]
        logits, hidden = forward(actors[i], o, mask[:, :, j])
        probability = softmax(logits)
        chosen = np.eye(3)[a]
        pi = (probability * chosen).sum(axis=-1)
        value, value_hidden = forward(critics[i], o)
        difference = returns[j][:, None] - value[..., 0]  # A_ij = R_j - V_i(o^j)
        coef, ratio = 1.0 if i == j else SEAC_COEF, pi / mu[:, :, j]
        weight = coef * live / live.sum() * ratio
        losses["policy"] -= (weight * np.log(pi) * difference).sum()
        # Critics learn the row of the dead agent too, which did nothing that a ratio could be of.
        value_weight = coef / live.size * np.where(live, ratio, 1.0)
        losses["value"] += (value_weight * 0.5 * difference**2).sum()
        gradient = -(weight * difference)[..., None] * (chosen - probability)
        if i == j:  # d entropy / d logit = -p (log p + entropy)
            log_p = np.log(np.maximum(probability, 1e-30))
            entropy = -(probability * log_p).sum(axis=-1, keepdims=True)
            slope = -probability * (log_p + entropy)
            gradient -= ENT_COEF * (live / live.sum())[..., None] * slope
        grads["policy"].append(backward(actors[i], o, hidden, gradient))
        value_gradient = -(value_weight * difference)[..., None]
        grads["value"].append(backward(critics[i], o, value_hidden, value_gradient))
    total = {name: jax.tree.map(lambda *x: sum(x), *parts) for name, parts in grads.items()}
    return losses, total


@pytest.fixture(scope="module")
def update():
    return jax.jit(numbers()[0].update)


@pytest.fixture(scope="module")
def updated(update):
    _, state, trajectory, _ = numbers()
    after, metrics = update(state, trajectory, HPARAMS, jax.random.key(3))
    return after, metrics


def adams_gradient(learning, agent):
    """Adam's first moment after one step is 0.1 x gradient."""
    moment = learning.opt_state[1][0].mu["params"]["MLP_0"]
    return jax.tree.map(lambda x: np.asarray(x[agent]) / 0.1, moment)


@pytest.mark.parametrize("agent", [0, 1])
def test_gradients_are_those_of_the_papers_loss(updated, agent):
    after, _ = updated
    _, expected = golden(agent)
    for learning, name in ((after.policies, "policy"), (after.critics, "value")):
        actual = adams_gradient(learning, agent)
        assert max(np.abs(x).max() for x in jax.tree.leaves(expected[name])) > 0.01
        jax.tree.map(
            lambda x, y: np.testing.assert_allclose(x, y, rtol=2e-4, atol=2e-5),
            actual,
            expected[name],
        )


def test_losses_are_those_of_the_paper(updated):
    _, metrics = updated
    both = [golden(agent)[0] for agent in range(2)]
    for metric, name in (("policy/loss", "policy"), ("critic/loss", "value")):
        expected = np.mean([losses[name] for losses in both])
        np.testing.assert_allclose(metrics[metric], expected, rtol=1e-4)


def test_others_are_summed_and_not_averaged(updated):
    np.testing.assert_allclose(updated[1]["reuse/weight"], [[1, 0.5], [0.5, 1]])


INDEPENDENT = dataclasses.replace(
    get_algorithm("seac"), name="a2c", reuse=own_reuse(), shares_values=True
)


def test_without_the_coefficient_it_is_independent_a2c_to_the_bit(update):
    _, state, trajectory, _ = numbers()
    nothing = dataclasses.replace(HPARAMS, seac_coef=jnp.float32(0))
    independent = jax.jit(make_learner(SPEC, INDEPENDENT, CONFIG).update)
    given = state, trajectory, nothing, jax.random.key(3)
    assert tree_equal(update(*given)[0], independent(*given)[0])


def test_the_order_of_the_learners_is_immaterial(update, updated):
    _, state, trajectory, _ = numbers()
    # Eight keys draw both orders of two learners; nothing else is drawn.
    for key in jax.random.split(jax.random.key(4), 8):
        assert tree_equal(update(state, trajectory, HPARAMS, key)[0], updated[0])


def test_dead_rows_do_not_change_policies(update, updated):
    _, state, trajectory, _ = numbers()
    spoilt = spoil_dead_rows(trajectory)
    # The next step's value is part of the last live step's return, so it stays as it was.
    after, _ = update(state, spoilt, HPARAMS, jax.random.key(3))
    policies = after.policies, updated[0].policies
    for left, right in zip(*map(jax.tree.leaves, policies), strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-5, atol=1e-6)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(after))


def test_a_central_critic_cannot_share_values():
    with pytest.raises(ValueError, match="expected local critics"):
        dataclasses.replace(get_algorithm("seac"), has_central_critic=True)


def test_a_sum_of_experience_is_not_drawn_from():
    assert not shared_experience().draws_sources
    assert "estimator" not in get_algorithm("seac-ppo").reads(Config())
