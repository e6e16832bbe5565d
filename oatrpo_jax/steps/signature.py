"""The signature that local steps share: PPO or TRPO is a value, not a branch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import jax
import jax.numpy as jnp

from oatrpo_jax.config import Config
from oatrpo_jax.hyperparams import Hyperparams
from oatrpo_jax.optimiser import Learning
from oatrpo_jax.policies.policy import Policy
from oatrpo_jax.reuse.experience import Slots, log_ratio
from oatrpo_jax.reuse.sources import DrawSources, PolicyBatch
from oatrpo_jax.types import PyTree


class Condition(NamedTuple):
    """Condition 1 for the policy after the step, on the rows that the reuse rule has looked at.

    Attributes:
        divergence: parameters -> ``[]`` the largest divergence from a reused source's behaviour.
        limit: ``[]``, the most that it may be.
    """

    divergence: Callable[[PyTree], jax.Array]
    limit: jax.Array


class Task(NamedTuple):
    """What a learner is given in its turn.

    Attributes:
        draw: gives the sources of each pass.
        condition: what the policy after the step must fulfil; None for nothing.  A step that
            clips bounds itself, and does not ask.
    """

    draw: DrawSources
    condition: Condition | None = None


class StepFunction(Protocol):
    """Improves one policy on the sources it is given."""

    def __call__(
        self,
        policy: Policy,
        learning: Learning,
        task: Task,
        config: Config,
        hparams: Hyperparams,
        key: jax.Array,
    ) -> tuple[Learning, dict[str, jax.Array]]:
        """Returns the improved policy and scalar metrics, ``policy/...``; consumes the key."""
        ...


class Prepare(Protocol):
    """Changes others' experience before a step."""

    def __call__(
        self,
        policy: Policy,
        params: PyTree,
        slots: Slots,
        others: jax.Array,
        config: Config,
        hparams: Hyperparams,
    ) -> Slots:
        """Returns the slots as the step is to see them.

        Args:
            policy: whose parameters they are.
            params: before the step.
            slots: all experience.
            others: ``[N]`` bool, the slots of others that are used.
            config: the settings.
            hparams: the coefficients.
        """
        ...


@dataclass(frozen=True)
class PolicyStep:
    """A kind of local step.

    Attributes:
        apply: the step.
        init: parameters -> the optimiser state that the step carries along.
        reads: the settings and coefficients that the step reads.
        reads_when_shared: those that it reads only where it may see others' experience.
        prepare: what becomes of others' experience before the step; None for nothing.
    """

    apply: StepFunction
    init: Callable[[PyTree], PyTree]
    reads: frozenset[str]
    reads_when_shared: frozenset[str] = frozenset()
    prepare: Prepare | None = None


class Scored(NamedTuple):
    """What a policy makes of one slot's rows.

    Attributes:
        log_prob: ``[T, E]`` log pi(a|o), 0 on inactive rows.
        log_ratio: ``[T, E]`` log pi(a|o) - log mu(a|o), 0 on inactive rows.
        ratio: ``[T, E]`` its exponential.
        sums: of ``entropy``, ``ratio``, and ``own_weight`` itself, weighted by ``own_weight``.
    """

    log_prob: jax.Array
    log_ratio: jax.Array
    ratio: jax.Array
    sums: dict[str, jax.Array]


def score(policy: Policy, params: PyTree, batch: PolicyBatch) -> Scored:
    """Returns ratios to the behaviour on one slot's rows, and the sums that all steps report."""
    distribution = policy.on(params, batch.rows)
    log_prob = jnp.where(batch.rows.active, distribution.log_prob(batch.rows.action), 0.0)
    change = log_ratio(log_prob, batch.rows)
    ratio = jnp.exp(change)
    sums = {
        "entropy": weighted_sum(batch.own_weight, distribution.entropy()),
        "ratio": weighted_sum(batch.own_weight, ratio),
        "own_weight": jnp.sum(batch.own_weight),
    }
    return Scored(log_prob, change, ratio, sums)


def weighted_sum(weight: jax.Array, x: jax.Array) -> jax.Array:
    """Returns the sum of weight x value over rows; a row of weight 0 adds 0 whatever it holds."""
    return jnp.sum(weight * jnp.where(weight > 0, x, 0.0))
