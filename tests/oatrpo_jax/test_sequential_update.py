import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

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


def test_a_mapping_is_one_hot_and_drawn_from_the_row():
    weights = jnp.array([[0.25, 0.75, 0.0], [0.0, 1.0, 0.0], [0.2, 0.2, 0.6]])
    drawn = jax.vmap(lambda key: draw_mapping(key, weights))(
        jax.random.split(jax.random.key(0), 4000)
    )
    np.testing.assert_array_equal(drawn.sum(axis=-1), 1.0)
    np.testing.assert_array_equal(drawn.max(axis=-1), 1.0)
    # Deviation of a share of 4000 draws: at most 0.5 / 63 = 0.008.
    np.testing.assert_allclose(drawn.mean(axis=0), weights, atol=0.035)
