"""Who acts with which policy: parameters of one's own, shared by all, or by cluster."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.core

Ownership = Callable[[int], tuple[int, ...]]
"""num_agents -> the policy that each agent acts with, ``[N]`` numbers from 0 to G - 1."""


def separate(num_agents: int) -> tuple[int, ...]:
    """Returns the ownership in which every agent has parameters of its own."""
    return tuple(range(num_agents))


def shared(num_agents: int) -> tuple[int, ...]:
    """Returns the ownership in which all agents act with the same parameters."""
    return (0,) * num_agents


def check_labels(labels: jax.Array, num_agents: int, num_policies: int) -> None:
    """Raises a ValueError unless there is a label for each agent, and a policy for each label.

    Args:
        labels: ``[N]``; inside a jit only their number is known.
        num_agents: N.
        num_policies: G.
    """
    if labels.shape != (num_agents,):
        raise ValueError(
            f"labels: expected one for each of {num_agents} agents, got shape {labels.shape}"
        )
    if not isinstance(labels, jax.core.Tracer) and not (
        0 <= labels.min() <= labels.max() < num_policies
    ):
        raise ValueError(
            f"labels: expected policies from 0 to {num_policies - 1}, got {labels.tolist()}"
        )
