"""The signature that local steps share: PPO or TRPO is a value, not a branch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import jax
import jax.numpy as jnp

from oatrpo_jax.config import Hyperparams
from oatrpo_jax.optimiser import Learning
from oatrpo_jax.policies.policy import Policy
from oatrpo_jax.reuse.sources import PolicyBatch, Sources
from oatrpo_jax.types import PyTree

DrawSources = Callable[[jax.Array], Sources[PolicyBatch]]
"""key -> the sources of one pass: the same each time, or rows drawn afresh (`sampled`)."""


class StepFunction(Protocol):
    """Improves one policy on the sources it is given."""

    def __call__(
        self,
        policy: Policy,
        learning: Learning,
        draw: DrawSources,
        divergence_limit: jax.Array,
        hparams: Hyperparams,
        key: jax.Array,
    ) -> tuple[Learning, dict[str, jax.Array]]:
        """Returns the improved policy and scalar metrics, ``policy/...``; consumes the key."""
        ...


@dataclass(frozen=True)
class PolicyStep:
    """A kind of local step.

    Attributes:
        apply: the step.
        init: parameters -> the optimiser state that the step carries along.
        reads: the settings and coefficients that the step reads.
        reads_when_shared: those that it reads only where it may see others' experience.
    """

    apply: StepFunction
    init: Callable[[PyTree], PyTree]
    reads: frozenset[str]
    reads_when_shared: frozenset[str] = frozenset()


def weighted_sum(weight: jax.Array, x: jax.Array) -> jax.Array:
    """Returns the sum of weight x value over rows; a row of weight 0 adds 0 whatever it holds."""
    return jnp.sum(weight * jnp.where(weight > 0, x, 0.0))
