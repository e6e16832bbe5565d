"""SEPS on the maze: are the clusters its colours?"""

import jax
import pytest

import envs
from oatrpo_jax import Config, make_trainer

SEEDS = 5


def colours_found(name, num_per_colour):
    """Labels of each seed, and those that the colours would give."""
    env = envs.make(name, num_per_colour=num_per_colour)
    trainer = make_trainer(env, "seps", Config())
    keys = jax.random.split(jax.random.key(0), SEEDS)
    labels = jax.jit(jax.vmap(lambda key: trainer.begin(key)[1].labels))(keys)
    colours = list(dict.fromkeys(env.agent_types))
    return labels.tolist(), [colours.index(colour) for colour in env.agent_types]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "num_per_colour"),
    [
        ("maze:black-red", 1),
        ("maze:black-red", 2),
        ("maze:black-red", 3),
        ("maze:black-blue-red", 2),
        ("maze:black-blue-red", 3),
    ],
)
def test_the_clusters_are_the_colours(name, num_per_colour):
    found, colours = colours_found(name, num_per_colour)
    assert sum(labels == colours for labels in found) >= 4, found


@pytest.mark.slow
def test_three_agents_of_three_colours_cannot_be_three_clusters():
    """At most N - 1 clusters: two colours share a policy, if not always the same two."""
    found, _ = colours_found("maze:black-blue-red", 1)
    assert all(max(labels) == 1 for labels in found)
