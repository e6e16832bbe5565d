"""One iteration of an algorithm: what a trajectory says to each learner, and what they learn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from oatrpo_jax.advantages import trajectory_advantage
from oatrpo_jax.algorithms import Algorithm
from oatrpo_jax.config import Hyperparams
from oatrpo_jax.critics.critic import Critic, ValueNorm, critic_features
from oatrpo_jax.critics.shared_values import importance_ratio, own_judgement
from oatrpo_jax.critics.value_update import Returns, update_critics
from oatrpo_jax.optimiser import Learning
from oatrpo_jax.policies.policy import Policy
from oatrpo_jax.reuse.experience import by_agent, make_experience
from oatrpo_jax.reuse.planning import UpdatePlan, make_plan
from oatrpo_jax.reuse.rules import own_share
from oatrpo_jax.sequential_update import update_policies
from oatrpo_jax.types import Observation, Transition


class LearnerState(NamedTuple):
    """All that a learner changes: arrays only.

    Attributes:
        policies: parameters and optimiser states of the actors, leading axis ``[G]``.
        critics: the same of the critics, leading axis ``[C]``.
        value_norm: statistics of the returns.
        labels: ``[N]`` int32, the policy that each agent acts with.  `Learner.regroup` changes it.
    """

    policies: Learning
    critics: Learning
    value_norm: ValueNorm
    labels: jax.Array


@dataclass(frozen=True)
class Parts:
    """What a learner is made of, all but its arrays.

    Attributes:
        algorithm: the row of the table.
        policy: what one policy's parameters mean.
        critic: the module of one critic.
    """

    algorithm: Algorithm
    policy: Policy
    critic: Critic

    def critic_output(self, state: LearnerState, observation: Observation) -> jax.Array:
        """Returns the values in units of the critics' output, ``[..., 1]`` or ``[..., N]``."""
        features = critic_features(observation, self.algorithm.has_central_critic)
        critic_of = np.zeros(1, int) if self.algorithm.has_central_critic else state.labels
        params = jax.tree.map(lambda x: x[critic_of], state.critics.params)
        output = jax.vmap(self.critic.apply, in_axes=(0, -2), out_axes=-1)(params, features)
        return jnp.asarray(output)


def update_learner(
    parts: Parts,
    state: LearnerState,
    trajectory: Transition,
    memory: jax.Array | None,
    hparams: Hyperparams,
    key: jax.Array,
) -> tuple[LearnerState, dict[str, jax.Array]]:
    """Returns the state after one iteration of the algorithm, and metrics; see `Learner.update`."""
    seen, norm = trajectory.observation, state.value_norm
    output = parts.critic_output(state, seen)
    value = norm.denormalise(output)
    next_value = norm.denormalise(parts.critic_output(state, trajectory.next_observation))
    advantage = trajectory_advantage(trajectory, value, next_value, parts.policy.config, hparams)
    returns = value + advantage
    order_key, policy_key, critic_key = jax.random.split(key, 3)
    num_policies = len(jax.tree.leaves(state.policies.params)[0])
    experience = make_experience(num_policies, state.labels, trajectory, memory, advantage)
    if parts.algorithm.shares_values:
        judgement = own_judgement(
            parts.critic, state.critics.params, norm, experience.slots, by_agent(returns)
        )
        experience = experience._replace(advantage_of=judgement)
    plan, reuse_metrics = make_plan(
        parts.policy,
        parts.algorithm.reuse,
        state.policies.params,
        experience,
        hparams,
        order_key,
    )
    policies, policy_metrics = update_policies(
        parts.policy, parts.algorithm, state.policies, plan, hparams, policy_key
    )
    critics, norm, critic_metrics = update_critics(
        parts.critic,
        state.critics,
        norm,
        _returns(parts, state, seen, output, returns, plan),
        hparams,
        critic_key,
    )
    metrics = policy_metrics | critic_metrics | reuse_metrics
    return LearnerState(policies, critics, norm, state.labels), metrics


def _returns(
    parts: Parts,
    state: LearnerState,
    seen: Observation,
    output: jax.Array,
    returns: jax.Array,
    plan: UpdatePlan,
) -> Returns:
    """Returns what critics are to learn, and how much of it each of them."""
    central, ratio_of = parts.algorithm.has_central_critic, None
    weights = jnp.ones((1, 1), jnp.float32) if central else own_share(plan.experience.own)
    if parts.algorithm.shares_values:
        weights = plan.weights
        ratio_of = importance_ratio(parts.policy, state.policies.params, plan.experience)
    return Returns(critic_features(seen, central), output, returns, weights, ratio_of)
