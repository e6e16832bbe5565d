"""The algorithms: each is one row of a table over the same update."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from oatrpo_jax.config import Config
from oatrpo_jax.hyperparams import ENDS
from oatrpo_jax.reuse.rules import (
    DIVERGENCE,
    ReuseRule,
    agreement_reuse,
    fixed_reuse,
    own_reuse,
    sample_size_reuse,
    shared_experience,
    threshold_reuse,
)
from oatrpo_jax.steps.a2c import POLICY_GRADIENT
from oatrpo_jax.steps.ppo import CLIP
from oatrpo_jax.steps.signature import PolicyStep
from oatrpo_jax.steps.trpo import TRUST_REGION

Ownership = Callable[[int], tuple[int, ...]]
"""num_agents -> the policy that each agent acts with, ``[N]`` numbers from 0 to G - 1."""


def separate(num_agents: int) -> tuple[int, ...]:
    """Returns the ownership in which every agent has parameters of its own."""
    return tuple(range(num_agents))


def shared(num_agents: int) -> tuple[int, ...]:
    """Returns the ownership in which all agents act with the same parameters."""
    return (0,) * num_agents


@dataclass(frozen=True)
class Algorithm:
    """One row of the table.

    Attributes:
        name: as on the command line.
        description: one line for help texts and tables.
        reuse: the rule behind the reuse matrix.
        policy_step: the local step.
        is_sequential: whether learners are corrected for those updated before them.
        ownership: who owns parameters; by default every agent has its own.
        has_central_critic: whether one critic sees the global state, or each policy has a critic
            that sees its agents' views.
        shares_values: whether experience is also reused by the critics, and each learner judges
            what it reuses by its own critic; needs local critics.
        finds_clusters: whether agents are grouped before training, by `grouping`; until then the
            ownership holds, and there is a policy for each agent in case they all differ.

    Raises:
        ValueError: if a central critic were to share.
    """

    name: str
    description: str
    reuse: ReuseRule
    policy_step: PolicyStep
    is_sequential: bool
    ownership: Ownership = separate
    has_central_critic: bool = True
    shares_values: bool = False
    finds_clusters: bool = False

    def __post_init__(self) -> None:
        if self.shares_values and self.has_central_critic:
            raise ValueError(
                f"{self.name}: expected local critics with shares_values, got a central one, "
                "which sees all experience already; set one of the two to False"
            )

    def reads(self, config: Config, is_continuous: bool = False) -> frozenset[str]:
        """Returns the settings and coefficients that change what this algorithm does.

        Args:
            config: some of it decides whether the rest is read.
            is_continuous: whether actions are vectors of real numbers.
        """
        names = _READ_BY_ALL | self.reuse.reads | self.policy_step.reads
        if is_continuous:
            names |= {"initial_log_std"}
        if self.reuse.shares:
            names |= self.policy_step.reads_when_shared
        if self.reuse.draws_sources:
            names |= {"estimator"}
        if self.finds_clusters:
            names |= {"grouping_steps", "grouping_epochs"}
        if config.log_affinity:
            names |= DIVERGENCE
        if config.divergence != "quantile":
            names -= {"divergence_quantile"}
        if config.value_loss == "clipped":
            names |= {"value_clip_eps"}
        return names | {end for name, end in ENDS.items() if name in names}


_READ_BY_ALL = frozenset(
    (
        *("num_envs", "rollout_length", "reset_interval", "num_updates"),
        *("hidden_sizes", "activation", "layer_norm", "memory_size", "normalise_inputs"),
        *("num_minibatches", "max_grad_norm", "log_affinity"),
        *("gamma", "gae_lambda", "truncation"),
        *("critic_epochs", "critic_lr", "value_loss", "huber_delta"),
        *("normalise_values", "value_norm_decay"),
    )
)
"""By rollouts, networks and updates, and for advantages and by critics."""

_TABLE = (
    Algorithm(
        name="oappo",
        description="off-agent PPO: clipped steps on own and admitted experience, in turn",
        reuse=threshold_reuse(),
        policy_step=CLIP,
        is_sequential=True,
    ),
    Algorithm(
        name="oatrpo",
        description="off-agent TRPO: the same within a trust region",
        reuse=threshold_reuse(),
        policy_step=TRUST_REGION,
        is_sequential=True,
    ),
    Algorithm(
        name="oappo-auto",
        description="off-agent PPO that weighs sources by itself, by the error of their gradients",
        reuse=agreement_reuse(),
        policy_step=CLIP,
        is_sequential=True,
    ),
    Algorithm(
        name="oatrpo-auto",
        description="off-agent TRPO that weighs sources in the same way",
        reuse=agreement_reuse(),
        policy_step=TRUST_REGION,
        is_sequential=True,
    ),
    Algorithm(
        name="oappo-ess",
        description="off-agent PPO that weighs sources by their effective sample size",
        reuse=sample_size_reuse(),
        policy_step=CLIP,
        is_sequential=True,
    ),
    Algorithm(
        name="happo",
        description="heterogeneous-agent PPO: clipped steps on own experience, in turn",
        reuse=own_reuse(),
        policy_step=CLIP,
        is_sequential=True,
    ),
    Algorithm(
        name="hatrpo",
        description="heterogeneous-agent TRPO: trust-region steps on own experience, in turn",
        reuse=own_reuse(),
        policy_step=TRUST_REGION,
        is_sequential=True,
    ),
    Algorithm(
        name="mappo",
        description="multi-agent PPO: one policy for all agents, a central critic",
        ownership=shared,
        reuse=own_reuse(),
        policy_step=CLIP,
        is_sequential=False,
    ),
    Algorithm(
        name="ippo",
        description="independent PPO: one policy for all agents, a critic on local views",
        ownership=shared,
        reuse=own_reuse(),
        policy_step=CLIP,
        is_sequential=False,
        has_central_critic=False,
    ),
    Algorithm(
        name="ippo-separate",
        description="independent PPO, every agent with an actor and a critic of its own",
        reuse=own_reuse(),
        policy_step=CLIP,
        is_sequential=False,
        has_central_critic=False,
    ),
    Algorithm(
        name="seps",
        description="selective parameter sharing: one policy for each cluster of like agents",
        ownership=shared,
        reuse=own_reuse(),
        policy_step=CLIP,
        is_sequential=False,
        finds_clusters=True,
    ),
    Algorithm(
        name="seac",
        description="shared experience actor-critic: A2C on everybody's experience, critics too",
        reuse=shared_experience(),
        policy_step=POLICY_GRADIENT,
        is_sequential=False,
        has_central_critic=False,
        shares_values=True,
    ),
    Algorithm(
        name="seac-ppo",
        description="shared experience with clipped steps and a central critic",
        reuse=shared_experience(),
        policy_step=CLIP,
        is_sequential=False,
    ),
)

ALGORITHMS = {row.name: row for row in _TABLE}
"""The rows that need no further data; `fixed` needs a reuse matrix, see `fixed_algorithm`."""


def fixed_algorithm(reuse: ReuseRule | Sequence[Sequence[float]]) -> Algorithm:
    """Returns OAPPO with a reuse matrix set by hand (the paper's NR, UR, RR and AR).

    Args:
        reuse: a rule, or an ``[N, N]`` matrix of weights with rows that sum to 1.
    """
    return dataclasses.replace(
        ALGORITHMS["oappo"],
        name="fixed",
        description="clipped steps in turn, with a reuse matrix set by hand",
        reuse=reuse if isinstance(reuse, ReuseRule) else fixed_reuse(reuse),
    )


def get_algorithm(algorithm: str | Algorithm) -> Algorithm:
    """Returns the row of that name; a row is returned as it is.

    Raises:
        ValueError: for an unknown name, listing the valid ones.
    """
    if isinstance(algorithm, Algorithm):
        return algorithm
    if algorithm not in ALGORITHMS:
        raise ValueError(
            f"unknown algorithm {algorithm!r}; expected one of {', '.join(ALGORITHMS)}, "
            "or a row made by fixed_algorithm(matrix)"
        )
    return ALGORITHMS[algorithm]
