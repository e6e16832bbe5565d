"""Telling agents apart: the choice of clusters, and whether they are the colours of the maze."""

import json
import warnings

import jax
import numpy as np
import pytest
from PIL import Image

import envs
from experiments import run
from experiments.analysis.cluster_plots import save_clusters
from experiments.training.clustering import choose_partition
from experiments.training.grouping import DEFAULT, embed_seeds
from oatrpo_jax import Config, make_trainer
from oatrpo_jax.identity import Embeddings

SMALL = ["--env", "maze", "--num-envs", "4", "--hidden-sizes", "8", "--rollout-length", "16"]


def embeddings(places, deviation=0.2):
    """Agents at places on a line, in two dimensions."""
    mean = np.stack([np.asarray(places, float), np.zeros(len(places))], axis=-1)
    return Embeddings(mean, np.full(mean.shape, deviation))


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        ([0, 5, 0.1, 5.1], [0, 1, 0, 1]),
        ([5, 0, 0.1, 5.1, 10, 9.9], [0, 1, 1, 0, 2, 2]),
        ([0, 0.1, 0.2, 7, 7.1, 0.15], [0, 0, 0, 1, 1, 0]),
        ([0, 4, 8, 8.1], [0, 1, 2, 2]),
    ],
)
def test_agents_that_lie_together_share_a_label(places, expected):
    assert choose_partition(embeddings(places)).labels.tolist() == expected


def test_two_pairs_are_two_clusters_though_the_index_of_bare_means_prefers_three():
    from sklearn.metrics import davies_bouldin_score

    pairs = embeddings([0, 0.2, 5, 5.2])
    bare = {
        count: davies_bouldin_score(pairs.mean, labels)
        for count, labels in ((2, [0, 0, 1, 1]), (3, [0, 1, 2, 2]))
    }
    # Spread 0.1 each, 5 apart: (0.1 + 0.1) / 5 = 0.04.  Single points have none: 0.1 / 4.9 or 5.1.
    assert bare[2] == pytest.approx(0.04)
    assert bare[3] < 0.021
    assert choose_partition(pairs).labels.tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize(("distance", "expected"), [(1.0, [0, 1]), (0.1, [0, 0])])
def test_two_agents_are_told_apart_if_farther_than_their_draws_spread(distance, expected):
    # Deviation 0.2 in two dimensions: draws lie 0.2 x sqrt(pi / 2) = 0.25 from their mean.
    assert choose_partition(embeddings([0, distance])).labels.tolist() == expected


def test_one_agent_and_agents_all_alike_are_one_cluster():
    assert choose_partition(embeddings([3])).labels.tolist() == [0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # k-means warns of points that coincide; we expect them.
        assert choose_partition(embeddings([1, 1, 1, 1])).labels.tolist() == [0] * 4


def test_the_picture_has_a_panel_per_seed(tmp_path):
    found = [embeddings([0, 5, 0.1]), embeddings([0, 5, 4.9])]
    path = tmp_path / "clusters.png"
    names = ["red 0", "black 1", "red 2"]
    save_clusters(names, [3, 4], found, [choose_partition(each) for each in found], path)
    with Image.open(path) as image:
        assert image.width > 1.5 * image.height
        assert np.asarray(image.convert("L")).std() > 0


def colours_found(name, num_per_colour, num_seeds=5):
    """Labels of each seed, and those that the colours would give."""
    env = envs.make(name, num_per_colour=num_per_colour)
    trainer = make_trainer(env, "seps", Config())
    seeds = range(num_seeds)
    learners = jax.vmap(trainer.learner.init)(jax.vmap(jax.random.key)(np.arange(num_seeds)))
    found = [choose_partition(each) for each in embed_seeds(trainer, learners, seeds)]
    colours = list(dict.fromkeys(env.agent_types))
    return [partition.labels.tolist() for partition in found], [
        colours.index(colour) for colour in env.agent_types
    ]


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


@pytest.mark.slow
def test_a_run_tells_of_its_clusters_and_goes_on_with_them(tmp_path, capsys):
    out = tmp_path / "run"
    argv = [*SMALL, "--total-steps", "128", "--algorithm", "seps", "--seeds", "2"]
    assert run.main([*argv, "--out", str(out)]) == 0
    assert "seed 1: {red 0, red 1} {black 2, black 3}" in capsys.readouterr().out
    clusters = json.loads((out / "clusters.json").read_text())
    summary = json.loads((out / "summary.json").read_text())
    assert summary["seps"] == clusters
    assert clusters["env_steps"] == DEFAULT.env_steps == 64 * 128
    assert [seed["labels"] for seed in clusters["seeds"]] == [[0, 0, 1, 1]] * 2
    assert (out / "clusters.png").exists()
    before = (out / "clusters.png").stat().st_mtime_ns
    assert run.main(["--resume", str(out), "--total-steps", "256"]) == 0
    assert (out / "clusters.png").stat().st_mtime_ns == before
    longer = json.loads((out / "summary.json").read_text())
    assert longer["env_steps"] == 256 and longer["seps"] == clusters
    rows = (out / "metrics.csv").read_text().splitlines()
    column = rows[0].split(",").index("reuse/weight/0/1")
    # Policy 0 is that of both reds, from the first update to the last.
    assert {row.split(",")[column] for row in rows[1:]} == {"0.5"}
