"""The embeddable core: acting, valuing and updating, with no environment inside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from oatrpo_jax import checks
from oatrpo_jax.advantages import trajectory_advantage
from oatrpo_jax.algorithms import Algorithm, get_algorithm
from oatrpo_jax.config import Config, EnvSpec, Hyperparams
from oatrpo_jax.critics.critic import Critic, ValueNorm, critic_features
from oatrpo_jax.critics.shared_values import importance_ratio, own_judgement
from oatrpo_jax.critics.value_update import Returns, update_critics
from oatrpo_jax.optimiser import Learning, adam_init
from oatrpo_jax.policies.distributions import policy_distribution
from oatrpo_jax.policies.networks import Actor
from oatrpo_jax.reuse.experience import Experience, make_slots
from oatrpo_jax.reuse.planning import UpdatePlan, make_plan
from oatrpo_jax.reuse.rules import own_share
from oatrpo_jax.sequential_update import update_policies
from oatrpo_jax.types import Observation, Transition, in_float32


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
class Learner:
    """Pure functions over a `LearnerState`; make one with `make_learner`.

    Every method may be jitted, vmapped and called inside somebody else's loop.
    """

    spec: EnvSpec
    algorithm: Algorithm
    config: Config

    @cached_property
    def policy_of(self) -> np.ndarray:
        """``[N]`` the policy that each agent acts with at first."""
        return np.asarray(self.algorithm.ownership(self.spec.num_agents))

    @cached_property
    def num_policies(self) -> int:
        """G; some may be in use by nobody where the algorithm finds clusters."""
        return self.spec.num_agents if self.algorithm.finds_clusters else self.policy_of.max() + 1

    @cached_property
    def actor(self) -> Actor:
        """The module of one policy."""
        return Actor(self.config, self.spec.num_actions)

    @cached_property
    def critic(self) -> Critic:
        """The module of one critic."""
        return Critic(self.config)

    def init(self, key: jax.Array) -> LearnerState:
        """Returns fresh parameters; the key is consumed.  No LAPACK inside, so jit it freely."""
        actor_key, critic_key = jax.random.split(key)
        view, mask = jnp.zeros(self.spec.view_size), jnp.ones(self.spec.num_actions, bool)
        central = self.algorithm.has_central_critic
        features = jnp.zeros(self.spec.state_size if central else self.spec.view_size)
        actor_keys = jax.random.split(actor_key, self.num_policies)
        critic_keys = jax.random.split(critic_key, 1 if central else self.num_policies)
        actors = jax.vmap(lambda key: self.actor.init(key, view, mask))(actor_keys)
        critics = jax.vmap(lambda key: self.critic.init(key, features))(critic_keys)
        return LearnerState(
            policies=Learning(actors, jax.vmap(self.algorithm.policy_step.init)(actors)),
            critics=Learning(critics, jax.vmap(adam_init)(critics)),
            value_norm=ValueNorm.create(self.config.normalise_values),
            labels=jnp.asarray(self.policy_of, jnp.int32),
        )

    def regroup(self, state: LearnerState, labels: Sequence[int] | jax.Array) -> LearnerState:
        """Returns the learner with the agents grouped: those of one label share a policy.

        Args:
            state: the learner's.
            labels: ``[N]`` the policy that each agent is to act with, from 0 to G - 1; anything
                else is a ValueError.
        """
        labels = jnp.asarray(labels, jnp.int32)
        checks.check_labels(labels, self.spec.num_agents, self.num_policies)
        return state._replace(labels=labels)

    def act(
        self, state: LearnerState, observation: Observation, key: jax.Array, greedy: bool = False
    ) -> tuple[jax.Array, jax.Array]:
        """Returns ``[..., N]`` actions and their log-probabilities.

        The log-probability is NaN where an active agent has no legal action.

        Args:
            state: the learner's.
            observation: with any leading axes.
            key: consumed; without effect if greedy.
            greedy: take the likeliest action instead of drawing one.

        Raises:
            ValueError: if state or observation do not have the sizes in ``spec``.
        """
        checks.check_observation(self.spec, state, observation, checks.READ_TO_ACT)
        mask = observation.action_mask
        policy = policy_distribution(self.logits(state, observation.active_views, mask))
        action = policy.mode() if greedy else policy.sample(seed=key)
        is_stuck = observation.active & ~jnp.any(mask, axis=-1)
        return action.astype(jnp.int32), jnp.where(is_stuck, jnp.nan, policy.log_prob(action))

    def logits(self, state: LearnerState, view: jax.Array, mask: jax.Array) -> jax.Array:
        """Returns ``[..., N, A]`` logits, each agent's by the policy that its label says.

        Args:
            state: the learner's.
            view: ``[..., N, O]`` local observations.
            mask: ``[..., N, A]`` bool, True where the action is legal.
        """
        params = jax.tree.map(lambda x: x[state.labels], state.policies.params)
        logits = jax.vmap(self.actor.apply, in_axes=(0, -2, -2), out_axes=-2)(params, view, mask)
        return jnp.asarray(logits)

    def value(self, state: LearnerState, observation: Observation) -> jax.Array:
        """Returns ``[..., M]`` values: M = 1 for a central critic, else one per agent.

        Before the first update they are 0, unless values are not normalised.  Raises as `act`.
        """
        reads = checks.READ_TO_VALUE[self.algorithm.has_central_critic]
        checks.check_observation(self.spec, state, observation, reads)
        return state.value_norm.denormalise(self._critic_output(state, observation))

    def _critic_output(self, state: LearnerState, observation: Observation) -> jax.Array:
        """Returns the values in units of the critics' output."""
        features = critic_features(observation, self.algorithm.has_central_critic)
        critic_of = np.zeros(1, int) if self.algorithm.has_central_critic else state.labels
        params = jax.tree.map(lambda x: x[critic_of], state.critics.params)
        output = jax.vmap(self.critic.apply, in_axes=(0, -2), out_axes=-1)(params, features)
        return jnp.asarray(output)

    def update(
        self, state: LearnerState, trajectory: Transition, hparams: Hyperparams, key: jax.Array
    ) -> tuple[LearnerState, dict[str, jax.Array]]:
        """Returns the state after one iteration of the algorithm, and metrics.

        Args:
            state: the learner's, with which the trajectory was collected.
            trajectory: a Transition with leading axes ``[T, E]``, any T and E.
            hparams: coefficients, scalars.
            key: consumed.

        Raises:
            ValueError: if a shape or a kind of number is not the one said here, naming the field,
                or if ``num_minibatches`` does not divide E.
        """
        checks.check_update_input(self.spec, state, trajectory, hparams)
        trajectory = in_float32(trajectory)
        seen = trajectory.observation
        output = self._critic_output(state, seen)
        value = state.value_norm.denormalise(output)
        next_value = self.value(state, trajectory.next_observation)
        advantage = trajectory_advantage(trajectory, value, next_value, self.config, hparams)
        returns = value + advantage
        order_key, policy_key, critic_key = jax.random.split(key, 3)
        plan, reuse_metrics = make_plan(
            self.actor,
            self.algorithm.reuse,
            state.policies.params,
            self._experience(state, trajectory, advantage, returns),
            hparams,
            order_key,
        )
        policies, policy_metrics = update_policies(
            self.actor, self.algorithm, state.policies, plan, hparams, policy_key
        )
        critics, value_norm, critic_metrics = update_critics(
            self.critic,
            state.critics,
            state.value_norm,
            self._returns(state, seen, output, returns, plan),
            hparams,
            critic_key,
        )
        metrics = policy_metrics | critic_metrics | reuse_metrics
        return LearnerState(policies, critics, value_norm, state.labels), metrics

    def _experience(
        self, state: LearnerState, trajectory: Transition, advantage: jax.Array, returns: jax.Array
    ) -> Experience:
        """Returns a trajectory by agent, with what each learner thinks of it."""
        seen = trajectory.observation
        logits = self.logits(state, seen.active_views, seen.action_mask)
        slots = make_slots(trajectory, logits, advantage)
        own = jnp.arange(self.num_policies)[:, None] == state.labels
        if not self.algorithm.shares_values:
            return Experience(slots, own)
        critics, by_slot = state.critics.params, jnp.moveaxis(returns, 2, 0)
        judgement = own_judgement(self.critic, critics, state.value_norm, slots, by_slot)
        return Experience(slots, own, judgement)

    def _returns(
        self,
        state: LearnerState,
        seen: Observation,
        output: jax.Array,
        returns: jax.Array,
        plan: UpdatePlan,
    ) -> Returns:
        """Returns what critics are to learn, and how much of it each of them."""
        central, ratio_of = self.algorithm.has_central_critic, None
        weights = jnp.ones((1, 1), jnp.float32) if central else own_share(plan.experience.own)
        if self.algorithm.shares_values:
            weights = plan.weights
            ratio_of = importance_ratio(self.actor, state.policies.params, plan.experience)
        return Returns(critic_features(seen, central), output, returns, weights, ratio_of)


def make_learner(
    spec: EnvSpec, algorithm: str | Algorithm, config: Config | None = None
) -> Learner:
    """Returns the learner of an algorithm for environments of the given sizes.

    Args:
        spec: the sizes; `EnvSpec.from_env` reads them off an environment.
        algorithm: a name in the table, or a row.
        config: static settings; the defaults if not given.

    Raises:
        ValueError: for an unknown algorithm.
    """
    return Learner(spec, get_algorithm(algorithm), config or Config())
