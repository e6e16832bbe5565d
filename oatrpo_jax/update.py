"""One iteration of an algorithm: what a trajectory says to each learner, and what they learn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from oatrpo_jax.advantages import generalized_advantage_estimation
from oatrpo_jax.algorithms import Algorithm
from oatrpo_jax.config import Config
from oatrpo_jax.critics.critic import Critic, ValueNorm, critic_features
from oatrpo_jax.critics.shared_values import importance_ratio, own_judgement
from oatrpo_jax.critics.value_update import Returns, update_critics
from oatrpo_jax.hyperparams import Hyperparams
from oatrpo_jax.input_norm import InputNorm
from oatrpo_jax.optimiser import Learning
from oatrpo_jax.policies.acting import step_team
from oatrpo_jax.policies.policy import Policy
from oatrpo_jax.reuse.experience import PerLearner, by_agent, make_experience
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
        input_norm: statistics of what networks see; None where it is not standardised.
    """

    policies: Learning
    critics: Learning
    value_norm: ValueNorm
    labels: jax.Array
    input_norm: InputNorm | None

    def normalised_views(self, views: jax.Array) -> jax.Array:
        """Returns ``[..., O]`` views as policies see them."""
        return views if self.input_norm is None else self.input_norm.views.normalise(views)

    def normalised_features(self, features: jax.Array) -> jax.Array:
        """Returns ``[..., F]`` features as critics see them."""
        return features if self.input_norm is None else self.input_norm.features.normalise(features)


@dataclass(frozen=True)
class Parts:
    """What a learner is made of, all but its arrays.

    Attributes:
        config: static settings.
        algorithm: the row of the table.
        policy: what one policy's parameters mean.
        critic: the module of one critic.
    """

    config: Config
    algorithm: Algorithm
    policy: Policy
    critic: Critic

    def step_team(
        self, state: LearnerState, view: jax.Array, mask: jax.Array, memory: jax.Array | None
    ) -> tuple[jax.Array, jax.Array | None]:
        """Returns outputs and memory afterwards of the policies that agents act with.

        ``[..., N, Z]`` and ``[..., N, L, H]``; for the arguments see `Learner.outputs`.
        """
        params, seen = state.policies.params, state.normalised_views(view)
        return step_team(self.policy, params, state.labels, seen, mask, memory)

    def critic_input(self, state: LearnerState, observation: Observation) -> jax.Array:
        """Returns what critics are given of each slot, ``[..., 1, S]`` or ``[..., N, O]``."""
        features = critic_features(observation, self.algorithm.has_central_critic)
        return state.normalised_features(features)

    def critic_output(self, state: LearnerState, features: jax.Array) -> jax.Array:
        """Returns the values in units of the critics' output, ``[..., 1]`` or ``[..., N]``."""
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
    config, algorithm, policy, critic = parts.config, parts.algorithm, parts.policy, parts.critic
    features = parts.critic_input(state, seen)
    output = parts.critic_output(state, features)
    value = norm.denormalise(output)
    next_features = parts.critic_input(state, trajectory.next_observation)
    next_value = norm.denormalise(parts.critic_output(state, next_features))
    advantage = generalized_advantage_estimation(
        trajectory,
        value,
        next_value,
        gamma=hparams.gamma,
        gae_lambda=hparams.gae_lambda,
        neutralise=config.truncation == "neutralise",
    )
    returns = value + advantage
    order_key, policy_key, critic_key = jax.random.split(key, 3)
    actors, num_policies = state.policies.params, len(jax.tree.leaves(state.policies.params)[0])
    views = state.normalised_views(seen.active_views)
    experience = make_experience(num_policies, state.labels, trajectory, views, memory, advantage)
    if algorithm.shares_values:
        judged = state.normalised_features(by_agent(seen.active_views))
        judgement = own_judgement(critic, state.critics.params, norm, judged, by_agent(returns))
        experience = experience._replace(advantage_of=judgement)
    plan, reuse_metrics = make_plan(
        policy, algorithm.reuse, actors, experience, config=config, hparams=hparams, key=order_key
    )
    policies, policy_metrics = update_policies(
        policy, algorithm, state.policies, plan, config=config, hparams=hparams, key=policy_key
    )
    to_learn = Returns(features, output, returns, *_shares(parts, state, plan))
    critics, norm, critic_metrics = update_critics(
        critic, state.critics, norm, to_learn, config=config, hparams=hparams, key=critic_key
    )
    metrics = policy_metrics | critic_metrics | reuse_metrics
    # At the end: ratios start at 1 by the statistics with which was acted.
    input_norm = _next_input_norm(parts, state, seen)
    return LearnerState(policies, critics, norm, state.labels, input_norm), metrics


def _next_input_norm(parts: Parts, state: LearnerState, seen: Observation) -> InputNorm | None:
    """Returns the statistics of what networks see, with what they have seen in a rollout."""
    if (norm := state.input_norm) is None:
        return None
    central = parts.algorithm.has_central_critic
    features = critic_features(seen, central)
    is_counted = jnp.ones(features.shape[:-1], bool) if central else seen.active
    views = norm.views.update(seen.active_views, seen.active)
    return InputNorm(views, norm.features.update(features, is_counted))


def _shares(
    parts: Parts, state: LearnerState, plan: UpdatePlan
) -> tuple[jax.Array, PerLearner | None]:
    """Returns how much each critic learns from each slot, and the ratios of its rows, if any."""
    if parts.algorithm.shares_values:
        ratio_of = importance_ratio(parts.policy, state.policies.params, plan.experience)
        return plan.weights, ratio_of
    if parts.algorithm.has_central_critic:
        return jnp.ones((1, 1), jnp.float32), None
    return own_share(plan.experience.own), None
