"""The signature that local steps share: PPO or TRPO is a value, not a branch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import jax
import jax.numpy as jnp

from oatrpo_jax.hyperparams import Hyperparams
from oatrpo_jax.optimiser import Learning
from oatrpo_jax.policies.policy import Policy
from oatrpo_jax.reuse.experience import Slots
from oatrpo_jax.reuse.sources import DrawSources
from oatrpo_jax.types import PyTree


class Condition(NamedTuple):
    """Condition 1 for the policy after the step, on the rows that the reuse rule has looked at.

    Attributes:
        divergence: parameters -> ``[]`` the largest divergence from a reused source's behaviour.
        limit: ``[]``, the most that it may be.
    """

    divergence: Callable[[PyTree], jax.Array]
    limit: jax.Array


class StepFunction(Protocol):
    """Improves one policy on the sources it is given."""

    def __call__(
        self,
        policy: Policy,
        learning: Learning,
        draw: DrawSources,
        condition: Condition | None,
        hparams: Hyperparams,
        key: jax.Array,
    ) -> tuple[Learning, dict[str, jax.Array]]:
        """Returns the improved policy and scalar metrics, ``policy/...``; consumes the key."""
        ...


Prepare = Callable[[Policy, PyTree, Slots, jax.Array, Hyperparams], Slots]
"""(policy, its parameters before the step, slots, ``[N]`` bool the others' that are used,
coefficients) -> the slots as the step is to see them."""


def as_recorded(
    policy: Policy, params: PyTree, slots: Slots, others: jax.Array, hparams: Hyperparams
) -> Slots:
    """Returns the slots as they are."""
    del policy, params, others, hparams
    return slots


@dataclass(frozen=True)
class PolicyStep:
    """A kind of local step.

    Attributes:
        apply: the step.
        init: parameters -> the optimiser state that the step carries along.
        reads: the settings and coefficients that the step reads.
        reads_when_shared: those that it reads only where it may see others' experience.
        prepare: what becomes of others' experience before the step, see `Prepare`.
    """

    apply: StepFunction
    init: Callable[[PyTree], PyTree]
    reads: frozenset[str]
    reads_when_shared: frozenset[str] = frozenset()
    prepare: Prepare = as_recorded


def weighted_sum(weight: jax.Array, x: jax.Array) -> jax.Array:
    """Returns the sum of weight x value over rows; a row of weight 0 adds 0 whatever it holds."""
    return jnp.sum(weight * jnp.where(weight > 0, x, 0.0))
