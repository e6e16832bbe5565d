"""Agents in clusters that the state names, and embeddings that tell them apart."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from oatrpo_jax import Config, EnvSpec, Hyperparams, Observation, Transition, make_learner
from oatrpo_jax.algorithms import get_algorithm
from oatrpo_jax.identity import IdentityConfig, embed_agents
from oatrpo_jax.rollout import init_rollout, rollout
from oatrpo_jax.steps.a2c import POLICY_GRADIENT
from tests.probe_envs import Messy, Steering

CONFIG = Config(num_epochs=2, critic_epochs=1, hidden_sizes=(8,))
SPEC = EnvSpec.from_env(Messy())
HPARAMS = Hyperparams.create(actor_lr=0.02, critic_lr=0.02)


@functools.cache
def learner():
    return make_learner(SPEC, "seps", CONFIG)


@functools.cache
def fresh():
    return jax.jit(learner().init)(jax.random.key(0))


@functools.cache
def trajectory():
    @jax.jit
    def collect(state, start_key, key):
        env, act = Messy(), functools.partial(learner().act, state)
        return rollout(env, act, init_rollout(env, 4, start_key), 6, key)[1]

    return collect(fresh(), jax.random.key(1), jax.random.key(2))


def learn(learner, *given):
    """The policies after an update, and metrics; critics are not compiled, as none is asked for."""
    after, metrics = learner.update(*given)
    return after.policies.params, {
        name: value for name, value in metrics.items() if not name.startswith("critic/")
    }


@functools.cache
def update():
    """One program: seeds with different clusters differ in data alone."""
    each = jax.vmap(functools.partial(learn, learner()), (0, None, None, None))
    states = [
        learner().regroup(fresh(), labels)
        for labels in ([0, 0, 0], [0, 1, 2], [0, 1, 0], [1, 0, 1])
    ]
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *states)
    return jax.device_get(jax.jit(each)(stacked, trajectory(), HPARAMS, jax.random.key(3)))


def policies(params, lane):
    return jax.tree.map(lambda x: x[lane], params)


def assert_close(left, right):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-6), left, right)


def test_one_cluster_is_mappo():
    mappo = make_learner(SPEC, "mappo", CONFIG)
    state = jax.jit(mappo.init)(jax.random.key(0))
    alone = jax.jit(functools.partial(learn, mappo))
    expected, metrics = alone(state, trajectory(), HPARAMS, jax.random.key(3))
    params, ours = update()
    assert_close(jax.tree.map(lambda x: x[:1], policies(params, 0)), expected)
    for name in ("policy/entropy", "policy/loss", "policy/grad_norm", "reuse/num_admitted"):
        np.testing.assert_allclose(ours[name][0], metrics[name], rtol=1e-4, atol=1e-6)


def test_policies_of_nobody_stay_as_they_are_and_count_nowhere():
    start = jax.device_get(fresh().policies.params)
    params, metrics = update()
    unchanged = jax.tree.map(lambda x, y: (x[1:] == y[1:]).all(), policies(params, 0), start)
    assert all(jax.tree.leaves(unchanged))
    np.testing.assert_allclose(metrics["reuse/weight"][0], [[1 / 3] * 3, [0] * 3, [0] * 3])


def test_agents_of_one_label_share_a_policy_evenly():
    _, metrics = update()
    np.testing.assert_allclose(metrics["reuse/weight"][2], [[0.5, 0, 0.5], [0, 1, 0], [0, 0, 0]])
    np.testing.assert_allclose(metrics["reuse/weight"][1], np.eye(3))


def test_agents_act_with_the_policy_of_their_label():
    @jax.jit
    def logits_of(state, view):
        noise = lambda x: x + jax.random.normal(jax.random.key(1), x.shape)  # noqa: E731
        policies = state.policies._replace(params=jax.tree.map(noise, state.policies.params))
        return learner().outputs(state._replace(policies=policies), view, jnp.ones((3, 3), bool))

    one = np.asarray(trajectory().observation.agents_view)[0, 0, :1]
    view = np.broadcast_to(one, (3, 2))
    logits = np.asarray(logits_of(learner().regroup(fresh(), [2, 0, 2]), view))
    np.testing.assert_array_equal(logits[0], logits[2])
    assert (logits[0] != logits[1]).any()


@pytest.mark.parametrize("labels", [[0, 0], [0, 0, 3], [0, -1, 0]])
def test_labels_without_a_policy_or_an_agent_are_refused(labels):
    with pytest.raises(ValueError, match="labels: expected"):
        learner().regroup(fresh(), labels)


@pytest.mark.parametrize("owners", [(0, 0), (0, 0, 3), (0, -1, 0), (0.0, 0.5, 1.0), ()])
def test_an_ownership_without_a_policy_or_an_agent_is_refused(owners):
    row = dataclasses.replace(get_algorithm("mappo"), ownership=lambda num_agents: owners)
    with pytest.raises(ValueError, match="ownership: expected"):
        make_learner(SPEC, row, CONFIG)


def test_an_ownership_may_be_any_number_of_policies():
    row = dataclasses.replace(get_algorithm("mappo"), ownership=lambda num_agents: (1, 0, 1))
    assert make_learner(SPEC, row, CONFIG).num_policies == 2


def test_mappo_has_no_second_policy_to_act_with():
    mappo = make_learner(SPEC, "mappo", CONFIG)
    with pytest.raises(ValueError, match="policies from 0 to 0"):
        mappo.regroup(jax.eval_shape(mappo.init, jax.random.key(0)), [0, 0, 1])


def slippery_world(slips, num_steps=32, num_envs=16):
    """Walkers on a line of 5: action 1 takes a step, or two if the agent slips; others are dead."""
    keys = jax.random.split(jax.random.key(0), 2)
    shape = (num_steps, num_envs, len(slips))
    place = jax.random.randint(keys[0], shape, 0, 5)
    action = jax.random.randint(keys[1], shape, 0, 2)
    after = (place + action * (1 + jnp.asarray(slips))) % 5
    active = jnp.ones(shape, bool).at[-1].set(False)
    after = jnp.where(active, after, 0)  # What the dead are shown is nobody's business.

    def observe(place):
        mask, state = jnp.ones((*shape, 2), bool), jnp.zeros((*shape[:2], 1))
        return Observation(jax.nn.one_hot(place, 5), mask, state, active)

    never = jnp.zeros(shape[:2], bool)
    zeros = jnp.zeros(shape[:2])
    return Transition(observe(place), action, zeros, zeros, never, never, observe(after))


@functools.cache
def embedded():
    config = IdentityConfig(latent_size=3, hidden_sizes=(16,), num_epochs=60, batch_size=32)
    world = slippery_world((0, 1, 0, 1))

    @jax.jit
    def embed(key, reward=world.reward):
        return embed_agents(world._replace(reward=reward), 2, config, key)

    return embed, jax.device_get(embed(jax.random.key(1)))


def distances(embeddings):
    return np.linalg.norm(embeddings.mean[:, None] - embeddings.mean[None], axis=-1)


def test_agents_that_the_world_answers_alike_are_embedded_alike():
    _, (embeddings, losses) = embedded()
    apart = distances(embeddings)
    same = max(apart[0, 2], apart[1, 3])
    other = min(apart[0, 1], apart[0, 3], apart[2, 1], apart[2, 3])
    assert other > 5 * same
    # One that told nothing had to guess between two places in the half of rows that move, and
    # the best guess, half of each, leaves 1/2 x (1/4 + 1/4) = 0.25.
    assert losses["reconstruction"] < 0.1


def test_agents_that_are_steered_alike_are_embedded_alike():
    """Of continuous actions: two agents move as they act, and two the other way."""
    config = IdentityConfig(latent_size=3, hidden_sizes=(16,), num_epochs=60, batch_size=32)
    env = Steering(controls=(1, 1, -1, -1))
    embed = jax.jit(lambda world: embed_agents(world, 2, config, jax.random.key(1)))

    def act(seen, key):
        return jax.random.normal(key, seen.action_mask.shape), jnp.zeros(seen.active.shape)

    @jax.jit
    def collect(start_key, key):
        return rollout(env, act, init_rollout(env, 16, start_key), 32, key)[1]

    world = jax.device_get(collect(*jax.random.split(jax.random.key(0))))
    # The team's reward says nothing of who is steered how, and is noise to each agent.
    world = world._replace(reward=np.zeros_like(world.reward))
    embeddings, losses = jax.device_get(embed(world))
    apart = distances(embeddings)
    # One that told nothing had to guess which way the agent moves, by |move| of about 0.17.
    assert losses["reconstruction"] < 0.005
    assert apart[:2, 2:].min() > 5 * max(apart[0, 1], apart[2, 3])
    # Of dead agents, and in dimensions that agents have not, no action is looked at.
    seen = world.observation
    mask, active = np.array(seen.action_mask), np.array(seen.active)
    mask[:, :, 1, 1], active[3] = False, False
    fewer = world._replace(observation=seen._replace(action_mask=mask, active=active))
    noise = np.where(mask & active[..., None], world.action, np.nan)
    one, two = (embed(each)[0].mean for each in (fewer, fewer._replace(action=noise)))
    assert np.isfinite(one).all()
    np.testing.assert_array_equal(one, two)


def test_uncertainty_is_far_below_the_distance_of_unlike_agents_and_above_that_of_like_ones():
    _, (embeddings, _) = embedded()
    apart, spread = distances(embeddings), np.linalg.norm(embeddings.deviation, axis=-1).mean()
    assert apart[0, 2] < spread < apart[0, 1]


def test_the_same_key_embeds_to_the_bit_alike():
    embed, (embeddings, _) = embedded()
    again, _ = embed(jax.random.key(1))
    np.testing.assert_array_equal(embeddings.mean, again.mean)


def test_the_scale_of_rewards_changes_no_bit_of_an_embedding():
    embed, (unpaid, _) = embedded()
    reward = np.random.default_rng(0).normal(size=(32, 16)).astype(np.float32)
    paid, more = (embed(jax.random.key(1), reward * 2.0**power)[0] for power in (-20, 20))
    np.testing.assert_array_equal(paid.mean, more.mean)
    assert not np.array_equal(paid.mean, unpaid.mean)


def test_clusters_may_have_local_critics_and_policy_gradient_steps():
    row = dataclasses.replace(
        get_algorithm("seps"), has_central_critic=False, policy_step=POLICY_GRADIENT
    )
    local = make_learner(SPEC, row, CONFIG)
    start = local.regroup(jax.jit(local.init)(jax.random.key(0)), [0, 1, 0])
    after, _ = jax.jit(local.update)(start, trajectory(), HPARAMS, jax.random.key(3))
    for new, old in ((after.policies, start.policies), (after.critics, start.critics)):
        change = jax.tree.map(
            lambda x, y: np.abs(x - np.asarray(y)).reshape(3, -1).max(axis=1),
            new.params,
            old.params,
        )
        learnt = np.max(jax.tree.leaves(change), axis=0) > 0
        assert learnt.tolist() == [True, True, False]
