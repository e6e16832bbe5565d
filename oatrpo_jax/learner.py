"""The embeddable core: acting, valuing and updating, with no environment inside."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np

from oatrpo_jax.advantages import generalized_advantage_estimation, normalise
from oatrpo_jax.algorithms import Algorithm, get_algorithm
from oatrpo_jax.config import Config, EnvSpec, Hyperparams
from oatrpo_jax.critic import (
    CriticBatch,
    ValueNorm,
    critic_active,
    critic_features,
    critic_update,
    explained_variance,
)
from oatrpo_jax.networks import Actor, Critic, policy_distribution, policy_logits
from oatrpo_jax.policy_step import Learning, adam_init
from oatrpo_jax.policy_update import UpdatePlan, update_policies
from oatrpo_jax.reuse import Affinity, pairwise_divergence, subsample_rows
from oatrpo_jax.sources import Slots, Sources
from oatrpo_jax.types import Observation, PyTree, Transition


class LearnerState(NamedTuple):
    """All that a learner changes: arrays only.

    Attributes:
        policies: parameters and optimiser states of the actors, leading axis ``[G]``.
        critics: the same of the critics, leading axis ``[C]``.
        value_norm: statistics of the returns.
    """

    policies: Learning
    critics: Learning
    value_norm: ValueNorm


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
        """``[N]`` the policy that each agent acts with."""
        return np.asarray(self.algorithm.ownership(self.spec.num_agents))

    @cached_property
    def own(self) -> np.ndarray:
        """``[G, N]`` bool, True where agent n acts with policy g."""
        return np.arange(self.policy_of.max() + 1)[:, None] == self.policy_of

    @cached_property
    def critic_of(self) -> np.ndarray:
        """``[M]`` the critic of each critic slot: one slot if central, else one per agent."""
        return np.zeros(1, int) if self.algorithm.has_central_critic else self.policy_of

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
        view = jnp.zeros(self.spec.view_size)
        mask = jnp.ones(self.spec.num_actions, bool)
        central = self.algorithm.has_central_critic
        features = jnp.zeros(self.spec.state_size if central else self.spec.view_size)
        actor_keys = jax.random.split(actor_key, len(self.own))
        critic_keys = jax.random.split(critic_key, self.critic_of.max() + 1)
        actors = jax.vmap(lambda key: self.actor.init(key, view, mask))(actor_keys)
        critics = jax.vmap(lambda key: self.critic.init(key, features))(critic_keys)
        step = self.algorithm.policy_step
        return LearnerState(
            policies=Learning(actors, jax.vmap(step.init)(actors)),
            critics=Learning(critics, jax.vmap(adam_init)(critics)),
            value_norm=ValueNorm.create(),
        )

    def act(
        self, state: LearnerState, observation: Observation, key: jax.Array, greedy: bool = False
    ) -> tuple[jax.Array, jax.Array]:
        """Returns ``[..., N]`` actions and their log-probabilities.

        Args:
            state: the learner's.
            observation: with any leading axes.
            key: consumed; without effect if greedy.
            greedy: take the likeliest action instead of drawing one.
        """
        policy = policy_distribution(
            self.logits(state.policies.params, observation.agents_view, observation.action_mask)
        )
        action = policy.mode() if greedy else policy.sample(seed=key)
        return action.astype(jnp.int32), policy.log_prob(action)

    def logits(self, actors: PyTree, view: jax.Array, mask: jax.Array) -> jax.Array:
        """Returns ``[..., N, A]`` logits, each agent's by its own policy.

        Args:
            actors: parameters of the policies, leading axis ``[G]``.
            view: ``[..., N, O]`` local observations.
            mask: ``[..., N, A]`` bool, True where the action is legal.
        """
        params = jax.tree.map(lambda x: x[self.policy_of], actors)
        logits = jax.vmap(self.actor.apply, in_axes=(0, -2, -2), out_axes=-2)(params, view, mask)
        return jnp.asarray(logits)

    def value(self, state: LearnerState, observation: Observation) -> jax.Array:
        """Returns ``[..., M]`` values: M = 1 for a central critic, else one per agent."""
        features = critic_features(observation, self.algorithm.has_central_critic)
        params = jax.tree.map(lambda x: x[self.critic_of], state.critics.params)
        output = jax.vmap(self.critic.apply, in_axes=(0, -2), out_axes=-1)(params, features)
        return state.value_norm.denormalise(jnp.asarray(output))

    def update(
        self, state: LearnerState, trajectory: Transition, hparams: Hyperparams, key: jax.Array
    ) -> tuple[LearnerState, dict[str, jax.Array]]:
        """Returns the state after one iteration of the algorithm, and metrics.

        Args:
            state: the learner's, with which the trajectory was collected.
            trajectory: a Transition with leading axes ``[T, E]``, any T and E.
            hparams: coefficients.
            key: consumed.

        Raises:
            ValueError: if ``num_minibatches`` does not divide E.
        """
        chex.assert_shape(trajectory.action, (None, None, self.spec.num_agents))
        value = self.value(state, trajectory.observation)
        advantage = self._advantage(state, trajectory, value, hparams)
        slots = self._slots(state, trajectory, advantage)
        order_key, policy_key, critic_key = jax.random.split(key, 3)
        plan, reuse_metrics = self._plan(state, slots, hparams, order_key)
        policies, policy_metrics = update_policies(
            self.actor,
            self.config,
            self.algorithm,
            state.policies,
            slots,
            plan=plan,
            hparams=hparams,
            key=policy_key,
        )
        critics, value_norm, critic_metrics = self._update_critics(
            state, trajectory, value, value + advantage, hparams, critic_key
        )
        metrics = policy_metrics | critic_metrics | reuse_metrics
        return LearnerState(policies, critics, value_norm), metrics

    def _advantage(
        self, state: LearnerState, trajectory: Transition, value: jax.Array, hparams: Hyperparams
    ) -> jax.Array:
        """Returns ``[T, E, M]`` advantages, not normalised."""
        wide = lambda x: jnp.broadcast_to(x[..., None], value.shape)  # noqa: E731
        return generalized_advantage_estimation(
            reward=wide(trajectory.reward),
            value=value,
            next_value=self.value(state, trajectory.next_observation),
            terminated=wide(trajectory.terminated),
            truncated=wide(trajectory.truncated),
            gamma=hparams.gamma,
            gae_lambda=hparams.gae_lambda,
            neutralise=self.config.truncation == "neutralise",
        )

    def _slots(self, state: LearnerState, trajectory: Transition, advantage: jax.Array) -> Slots:
        """Returns the trajectory by agent, ``[N, T, E]``, with normalised advantages."""
        seen = trajectory.observation
        each = jnp.broadcast_to(advantage, trajectory.action.shape)
        slots = Slots(
            agents_view=seen.agents_view,
            action_mask=seen.action_mask,
            action=trajectory.action,
            log_prob=trajectory.log_prob,
            logits=self.logits(state.policies.params, seen.agents_view, seen.action_mask),
            advantage=normalise(each, seen.active),
            active=seen.active,
        )
        return jax.tree.map(lambda x: jnp.moveaxis(x, 2, 0), slots)

    def _plan(
        self, state: LearnerState, slots: Slots, hparams: Hyperparams, key: jax.Array
    ) -> tuple[UpdatePlan, dict[str, jax.Array]]:
        """Returns a shuffled order and the reuse matrix for this iteration, and metrics."""
        rows = subsample_rows(slots, self.config.divergence_rows)

        def logits_of(learner: jax.Array) -> jax.Array:
            params = jax.tree.map(lambda x: x[learner], state.policies.params)
            return policy_logits(self.actor, params, rows)

        divergence, sample_size = pairwise_divergence(
            logits_of, rows, len(self.own), self.config, hparams
        )
        own = jnp.asarray(self.own)
        affinity = Affinity(
            divergence=jnp.where(own, 0.0, divergence),
            own=own,
            has_rows=jnp.any(slots.active, axis=(1, 2)),
        )
        reuse = self.algorithm.reuse
        weights = reuse.weights(affinity, hparams)
        order = jax.random.permutation(key, len(self.own))
        return UpdatePlan(order, weights, own, reuse.divergence_limit(hparams)), {
            "reuse/divergence": affinity.divergence,
            "reuse/weight": weights,
            "reuse/effective_sample_size": sample_size,
            "reuse/num_admitted": jnp.mean(jnp.sum((weights > 0) & ~own, axis=1)),
        }

    def _update_critics(
        self,
        state: LearnerState,
        trajectory: Transition,
        value: jax.Array,
        returns: jax.Array,
        hparams: Hyperparams,
        key: jax.Array,
    ) -> tuple[Learning, ValueNorm, dict[str, jax.Array]]:
        """Returns the critics and the value statistics after learning ``[T, E, M]`` returns."""
        central = self.algorithm.has_central_critic
        active = critic_active(trajectory.observation, central)
        norm = state.value_norm
        if self.config.normalise_values:
            norm = norm.update(returns, active, hparams.value_norm_decay)
        batch = CriticBatch(
            features=critic_features(trajectory.observation, central),
            target=norm.normalise(returns),
            old_output=norm.normalise(value),
            weight=active / jnp.maximum(jnp.sum(active, axis=(0, 1)), 1),
        )
        slots = jax.tree.map(lambda x: jnp.moveaxis(x, 2, 0), batch)
        own = np.arange(self.critic_of.max() + 1)[:, None] == self.critic_of

        def one_critic(arguments: tuple[Learning, jax.Array, jax.Array]):
            learning, own, key = arguments
            weight = slots.weight / jnp.sum(own)
            sources = Sources(slots._replace(weight=weight), jnp.argsort(~own), jnp.sum(own))
            return critic_update(self.critic, self.config, learning, sources, hparams, key)

        critics, metrics = jax.lax.map(
            one_critic, (state.critics, jnp.asarray(own), jax.random.split(key, len(own)))
        )
        metrics = jax.tree.map(jnp.mean, metrics)
        metrics["critic/explained_variance"] = explained_variance(value, returns, active)
        return critics, norm, metrics


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
