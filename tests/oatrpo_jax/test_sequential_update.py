import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from oatrpo_jax.reuse.experience import (
    PolicyBatch,
    Slots,
    fold_sources,
    make_sources,
    sample_sources,
)
from oatrpo_jax.sequential_update import compound_ratio, draw_mapping

NUM_AGENTS, NUM_ACTIONS = 3, 4


def test_compound_ratio_of_three_agents_leaves_out_the_source():
    # Ratios 2, 3, 5: without agent 0: 15, without 1: 10, without 2: 6.
    log_ratio = jnp.log(jnp.array([2.0, 3.0, 5.0])).reshape(3, 1, 1)
    np.testing.assert_allclose(compound_ratio(log_ratio).ravel(), [15.0, 10.0, 6.0], rtol=1e-6)


def test_compound_ratio_is_one_before_anybody_is_updated():
    np.testing.assert_array_equal(compound_ratio(jnp.zeros((3, 2, 2))), 1.0)


class Game:
    """Three agents with four actions each: all 64 joint actions are the rows, with mu's weight."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.joint = np.array(list(itertools.product(range(NUM_ACTIONS), repeat=NUM_AGENTS)))
        self.behaviour, self.updated = rng.dirichlet(np.ones(4), size=(2, NUM_AGENTS))
        self.candidate = rng.dirichlet(np.ones(4))
        self.advantage = rng.normal(size=len(self.joint))

    def probability(self, policies) -> np.ndarray:
        """Probability of each joint action when agent n plays policies[n]."""
        return np.prod([policies[n][self.joint[:, n]] for n in range(NUM_AGENTS)], axis=0)

    def log_ratio(self, updated_agents) -> np.ndarray:
        """[N, 64, 1] the table that the sequential update keeps."""
        table = np.zeros((NUM_AGENTS, len(self.joint), 1))
        for agent in updated_agents:
            action = self.joint[:, agent]
            ratio = self.updated[agent][action] / self.behaviour[agent][action]
            table[agent, :, 0] = np.log(ratio)
        return table


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("source", range(NUM_AGENTS))
@pytest.mark.parametrize("updated_agents", [(), (0,), (1,), (0, 1), (2, 1)])
def test_surrogate_is_the_exact_expected_joint_advantage(seed, source, updated_agents):
    """Proposition 1: the source's action drawn anew, the updated agents' corrected."""
    game = Game(seed)
    action = game.joint[:, source]
    ratio = game.candidate[action] / game.behaviour[source][action]
    factor = compound_ratio(jnp.asarray(game.log_ratio(updated_agents)))[source, :, 0]
    weight = game.probability(game.behaviour) * np.asarray(ratio * factor)

    now = [game.updated[n] if n in updated_agents else game.behaviour[n] for n in range(NUM_AGENTS)]
    now[source] = game.candidate
    np.testing.assert_allclose(weight.sum(), 1.0, rtol=1e-5)
    exact = np.sum(game.probability(now) * game.advantage)
    np.testing.assert_allclose(np.sum(weight * game.advantage), exact, rtol=1e-4, atol=1e-6)


def test_including_the_source_in_the_factor_would_break_it():
    game = Game(0)
    source, updated_agents = 1, (0, 1)
    action = game.joint[:, source]
    ratio = game.candidate[action] / game.behaviour[source][action]
    everybody = np.exp(game.log_ratio(updated_agents).sum(axis=0))[:, 0]
    weight = game.probability(game.behaviour) * ratio * everybody
    assert abs(weight.sum() - 1.0) > 0.05


def some_slots(num_steps=3, num_envs=4) -> Slots:
    keys = jax.random.split(jax.random.key(0), 3)
    shape = (NUM_AGENTS, num_steps, num_envs)
    logits = jax.random.normal(keys[0], (*shape, NUM_ACTIONS))
    return Slots(
        agents_view=jax.random.normal(keys[1], (*shape, 2)),
        action_mask=jnp.ones((*shape, NUM_ACTIONS), bool),
        action=jnp.zeros(shape, jnp.int32),
        log_prob=jax.nn.log_softmax(logits)[..., 0],
        logits=logits,
        advantage=jax.random.normal(keys[2], shape),
        active=jnp.ones(shape, bool).at[2, :, 1:].set(False),
    )


def total_advantage(batch: PolicyBatch) -> jax.Array:
    return jnp.sum(batch.policy_weight * batch.rows.advantage)


def test_sources_sum_to_the_weighted_mean_over_active_rows():
    slots = some_slots()
    weights = jnp.array([0.5, 0.2, 0.3])
    sources = make_sources(slots, weights, jnp.array([False, True, False]))
    means = [slots.advantage[0].mean(), slots.advantage[1].mean(), slots.advantage[2, :, 0].mean()]
    expected = 0.5 * means[0] + 0.2 * means[1] + 0.3 * means[2]
    np.testing.assert_allclose(fold_sources(total_advantage, sources), expected, rtol=1e-5)
    assert sources.order[0] == 1  # Own experience comes first.


def test_only_used_sources_are_visited():
    slots = some_slots()
    sources = make_sources(slots, jnp.array([0.0, 1.0, 0.0]), jnp.array([False, True, False]))
    visits = fold_sources(lambda batch: jnp.int32(1), sources)
    assert int(visits) == int(sources.count) == 1


def test_a_learners_own_slots_are_visited_even_with_weight_zero():
    # lambda = 0: nothing is learnt from them, but the entropy bonus lives there.
    slots = some_slots()
    sources = make_sources(slots, jnp.array([0.5, 0.0, 0.5]), jnp.array([False, True, False]))
    own = fold_sources(lambda batch: jnp.sum(batch.own_weight), sources)
    assert int(sources.count) == 3
    np.testing.assert_allclose(own, 1.0, rtol=1e-6)


def test_a_slot_without_active_rows_weighs_nothing_and_is_not_nan():
    slots = some_slots()
    dead = slots._replace(active=slots.active.at[2].set(False))
    sources = make_sources(dead, jnp.array([0.5, 0.0, 0.5]), jnp.array([True, False, False]))
    weight = np.asarray(sources.batch.policy_weight)
    np.testing.assert_array_equal(weight[2], 0.0)
    np.testing.assert_allclose(weight.sum(), 0.5, rtol=1e-6)


def test_sampled_sources_agree_with_weighted_ones_in_expectation():
    slots = some_slots()
    weights = jnp.array([0.5, 0.2, 0.3])
    own = jnp.array([False, True, False])
    sources = make_sources(slots, weights, own)

    def estimate(key):
        drawn = sample_sources(key, sources, weights)
        return fold_sources(total_advantage, drawn), fold_sources(
            lambda batch: jnp.sum(batch.own_weight), drawn
        )

    sampled, own_weight = jax.vmap(estimate)(jax.random.split(jax.random.key(1), 4000))
    standard_error = sampled.std() / 4000**0.5
    exact = fold_sources(total_advantage, sources)
    assert abs(sampled.mean() - exact) < 4 * standard_error
    assert abs(own_weight.mean() - 1.0) < 4 * own_weight.std() / 4000**0.5


def test_a_mapping_is_one_hot_and_drawn_from_the_row():
    weights = jnp.array([[0.25, 0.75, 0.0], [0.0, 1.0, 0.0], [0.2, 0.2, 0.6]])
    drawn = jax.vmap(lambda key: draw_mapping(key, weights))(
        jax.random.split(jax.random.key(0), 4000)
    )
    np.testing.assert_array_equal(drawn.sum(axis=-1), 1.0)
    np.testing.assert_array_equal(drawn.max(axis=-1), 1.0)
    # Deviation of a share of 4000 draws: at most 0.5 / 63 = 0.008.
    np.testing.assert_allclose(drawn.mean(axis=0), weights, atol=0.035)
