"""The embeddings of the agents as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.training.clustering import Partition
from oatrpo_jax.identity import Embeddings

MAX_PANELS = 6
NUM_DRAWS = 60
MARKERS = "osD^vP*X<>"


def save_clusters(
    names: Sequence[str],
    seeds: Sequence[int],
    embeddings: Sequence[Embeddings],
    partitions: Sequence[Partition],
    path: Path,
) -> None:
    """Saves the embeddings of the first seeds, projected on their two principal axes.

    Args:
        names: of the agents, ``[N]``.
        seeds: numbers, ``[K]``.
        embeddings: of each seed.
        partitions: of each seed.
        path: of the picture.
    """
    shown = min(len(seeds), MAX_PANELS)
    columns = min(shown, 3)
    rows = -(-shown // columns)
    figure = Figure(figsize=(4.6 * columns, 4.4 * rows), layout="constrained")
    panels = np.ravel(figure.subplots(rows, columns, squeeze=False))
    for axes, seed, embedding, partition in zip(
        panels, seeds, embeddings, partitions, strict=False
    ):
        count = int(partition.labels.max()) + 1
        axes.set_title(f"seed {seed}: {count} cluster{'s' * (count != 1)}")
        _draw(axes, names, embedding, partition.labels)
    for axes in panels[shown:]:
        axes.set_axis_off()
    figure.suptitle(
        "Embeddings of the agents' identities, two principal axes; colour: cluster, dots: draws"
    )
    figure.savefig(path, dpi=110)


def _draw(axes: Axes, names: Sequence[str], embedding: Embeddings, labels: np.ndarray) -> None:
    from sklearn.decomposition import PCA  # Takes seconds to import.

    num_agents, size = embedding.mean.shape
    noise = np.random.default_rng(0).standard_normal((NUM_DRAWS, num_agents, size))
    draws = embedding.mean + embedding.deviation * noise
    plane = PCA(2).fit(draws.reshape(-1, size))
    cloud = plane.transform(draws.reshape(-1, size)).reshape(NUM_DRAWS, num_agents, 2)
    means = plane.transform(embedding.mean)
    for agent, label in enumerate(labels):
        colour, marker = f"C{label % 10}", MARKERS[label % len(MARKERS)]
        axes.scatter(*cloud[:, agent].T, s=6, color=colour, alpha=0.2, linewidths=0)
        axes.scatter(*means[agent], s=60, color=colour, marker=marker, edgecolors="black", zorder=3)
    for label in range(labels.max() + 1):
        members = np.flatnonzero(labels == label).tolist()
        _name(axes, means[members], [names[member] for member in members])
    axes.margins(0.2)
    axes.set_aspect("equal", adjustable="datalim")
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)


def _name(axes: Axes, means: np.ndarray, names: Sequence[str]) -> None:
    """Writes a cluster's members beside it; their marks lie too close for one name each."""
    x, y = means.mean(axis=0)
    shown = [*names[:4], f"and {len(names) - 4} more"] if len(names) > 5 else names
    axes.annotate(
        "\n".join(shown),
        (x, y),
        xytext=(9, 0),
        textcoords="offset points",
        va="center",
        fontsize=9,
        bbox={"boxstyle": "round,pad=0.2", "facecolor": "white", "alpha": 0.7, "edgecolor": "none"},
    )
