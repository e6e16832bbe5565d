"""The embeddable core: acting, valuing and updating, with no environment inside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import jax
import jax.numpy as jnp
import numpy as np

from oatrpo_jax import checks
from oatrpo_jax.algorithms import Algorithm, get_algorithm
from oatrpo_jax.config import Config
from oatrpo_jax.critics.critic import Critic, ValueNorm
from oatrpo_jax.env_spec import EnvSpec
from oatrpo_jax.hyperparams import Hyperparams
from oatrpo_jax.input_norm import InputNorm
from oatrpo_jax.optimiser import Learning, adam_init
from oatrpo_jax.policies.layers import Layers
from oatrpo_jax.policies.policy import Policy
from oatrpo_jax.types import Observation, Transition, in_float32
from oatrpo_jax.update import LearnerState, Parts, update_learner


@dataclass(frozen=True)
class Learner:
    """Pure functions over a `LearnerState`; make one with `make_learner`.

    Every method may be jitted, vmapped and called inside somebody else's loop.

    Raises:
        ValueError: if the algorithm's ownership does not say of each agent one of at most N
            policies.
    """

    spec: EnvSpec
    algorithm: Algorithm
    config: Config

    def __post_init__(self) -> None:
        num_agents = self.spec.num_agents
        checks.check_labels("ownership", self.policy_of, num_agents, num_policies=num_agents)

    @cached_property
    def policy_of(self) -> np.ndarray:
        """``[N]`` the policy that each agent acts with at first."""
        return np.asarray(self.algorithm.ownership(self.spec.num_agents))

    @cached_property
    def num_policies(self) -> int:
        """G; some may be in use by nobody where the algorithm finds clusters."""
        if self.algorithm.finds_clusters:
            return self.spec.num_agents
        return int(self.policy_of.max()) + 1

    @cached_property
    def parts(self) -> Parts:
        """The algorithm, and what parameters of policies and critics mean."""
        policy = Policy.of(self.config, self.spec.num_actions, self.spec.is_continuous)
        return Parts(self.config, self.algorithm, policy, Critic(Layers.of(self.config)))

    @property
    def policy(self) -> Policy:
        """What one policy's parameters mean."""
        return self.parts.policy

    def init(self, key: jax.Array) -> LearnerState:
        """Returns fresh parameters; the key is consumed.  No LAPACK inside, so jit it freely."""
        actor_key, critic_key = jax.random.split(key)
        central = self.algorithm.has_central_critic
        features = jnp.zeros(self.spec.state_size if central else self.spec.view_size)
        actor_keys = jax.random.split(actor_key, self.num_policies)
        critic_keys = jax.random.split(critic_key, 1 if central else self.num_policies)
        actors = jax.vmap(lambda key: self.policy.init(key, self.spec.view_size))(actor_keys)
        critics = jax.vmap(lambda key: self.parts.critic.init(key, features))(critic_keys)
        return LearnerState(
            policies=Learning(actors, jax.vmap(self.algorithm.policy_step.init)(actors)),
            critics=Learning(critics, jax.vmap(adam_init)(critics)),
            value_norm=ValueNorm.create(self.config.normalise_values),
            labels=jnp.asarray(self.policy_of, jnp.int32),
            input_norm=InputNorm.create(self.spec.view_size, len(features))
            if self.config.normalise_inputs
            else None,
        )

    def regroup(self, state: LearnerState, labels: Sequence[int] | jax.Array) -> LearnerState:
        """Returns the learner with the agents grouped: those of one label share a policy.

        What agents remember by their former policy is not the new one's: begin with `start` anew.

        Args:
            state: the learner's.
            labels: ``[N]`` the policy that each agent is to act with, from 0 to G - 1; anything
                else is a ValueError.
        """
        labels = jnp.asarray(labels, jnp.int32)
        checks.check_labels("labels", labels, self.spec.num_agents, self.num_policies)
        return state._replace(labels=labels)

    @property
    def num_memories(self) -> int:
        """L: policies that have to remember what each agent sees, for `update` to judge it."""
        reads_others = self.algorithm.reuse.shares or self.config.log_affinity
        return self.num_policies if reads_others else 1

    def start(self, num_envs: int, to_learn: bool = True) -> jax.Array | None:
        """Returns the memory of all agents where episodes start: zeros ``[num_envs, N, L, H]``.

        None where policies remember nothing.  Who steps environments gives `act` the memory, and
        puts that of `start` in its place wherever an episode has ended.

        Args:
            num_envs: E.
            to_learn: whether `update` is to learn from what happens: L is then `num_memories`,
                and 1 if not.
        """
        num_memories = self.num_memories if to_learn else 1
        shape = num_envs, self.spec.num_agents, num_memories, self.config.memory_size
        return jnp.zeros(shape, jnp.float32) if self.policy.remembers else None

    def act(
        self,
        state: LearnerState,
        observation: Observation,
        key: jax.Array,
        greedy: bool = False,
        *,
        memory: jax.Array | None = None,
    ) -> tuple[jax.Array, ...]:
        """Returns ``[..., N]`` actions and their log-probabilities, and the memory afterwards.

        Continuous actions are ``[..., N, D]``, and it is their log-densities.  The memory is left
        out where policies remember nothing.  The log-probability is NaN where an active agent has
        no legal action.

        Args:
            state: the learner's.
            observation: with any leading axes.
            key: consumed; without effect if greedy.
            greedy: take the likeliest action, the mean of continuous ones, instead of drawing one.
            memory: ``[..., N, L, H]`` before, see `start`; None where policies remember nothing.

        Raises:
            ValueError: if state, observation or memory do not have the sizes in ``spec``.
        """
        checks.check_observation(self.spec, state, observation, checks.READ_TO_ACT)
        checks.check_greedy(greedy)
        view, mask = observation.active_views, observation.action_mask
        outputs, after = self._step(state, view, mask, memory)
        policy = self.policy.distribution(outputs)
        action = policy.mode() if greedy else policy.sample(seed=key)
        is_stuck = observation.active & ~jnp.any(mask, axis=-1)
        log_prob = jnp.where(is_stuck, jnp.nan, policy.log_prob(action))
        chosen = action.astype(self.policy.action_type), log_prob
        return chosen if after is None else (*chosen, after)

    def outputs(
        self,
        state: LearnerState,
        view: jax.Array,
        mask: jax.Array,
        *,
        memory: jax.Array | None = None,
    ) -> jax.Array | tuple[jax.Array, jax.Array]:
        """Returns ``[..., N, Z]`` outputs, each agent's by its own policy, and the memory after it.

        They are ``[..., N, A]`` logits where actions are discrete, and ``[..., N, 2 D]`` means and
        log deviations where they are continuous: `Policy.distribution` is what they stand for.
        The memory is left out where policies remember nothing.  Raises as `act`.

        Args:
            state: the learner's.
            view: ``[..., N, O]`` local observations, 0 for agents that are not active.
            mask: ``[..., N, A]`` bool, True where the action is legal, or the dimension exists.
            memory: as for `act`.
        """
        outputs, after = self._step(state, view, mask, memory)
        return outputs if after is None else (outputs, after)

    def _step(
        self, state: LearnerState, view: jax.Array, mask: jax.Array, memory: jax.Array | None
    ) -> tuple[jax.Array, jax.Array | None]:
        """Returns outputs and memory; a ValueError unless the memory fits what is seen."""
        advice = "learner.start(num_envs) makes the first one, and act gives the next"
        self._check_memory(memory, view.shape[:-1], {1, self.num_memories}, advice)
        view, memory = in_float32((view, memory))
        return self.parts.step_team(state, view, mask, memory)

    def _check_memory(
        self, memory: jax.Array | None, each: tuple[int, ...], legal: set[int], advice: str
    ) -> None:
        """Raises a ValueError unless a memory goes with something that has axes ``[..., N]``."""
        leading = [(*each, number) for number in sorted(legal)]
        checks.check_memory(memory, self.config.memory_size, leading, advice)

    def value(self, state: LearnerState, observation: Observation) -> jax.Array:
        """Returns ``[..., M]`` values: M = 1 for a central critic, else one per agent.

        Before the first update they are 0, unless values are not normalised.  Raises as `act`.
        """
        reads = checks.READ_TO_VALUE[self.algorithm.has_central_critic]
        checks.check_observation(self.spec, state, observation, reads)
        features = self.parts.critic_input(state, in_float32(observation))
        return state.value_norm.denormalise(self.parts.critic_output(state, features))

    def update(
        self,
        state: LearnerState,
        trajectory: Transition,
        hparams: Hyperparams,
        key: jax.Array,
        memory: jax.Array | None = None,
    ) -> tuple[LearnerState, dict[str, jax.Array]]:
        """Returns the state after one iteration of the algorithm, and metrics.

        Args:
            state: the learner's, with which the trajectory was collected.
            trajectory: a Transition with leading axes ``[T, E]``, any T and E.
            hparams: coefficients, scalars and without ends: `Hyperparams.at` gives those in force.
            key: consumed.
            memory: ``[E, N, L, H]`` before the trajectory's first step, see `start`; None where
                policies remember nothing.

        Raises:
            ValueError: if a shape or a kind of number is not the one said here, naming the field,
                or if ``num_minibatches`` does not divide E.
        """
        checks.check_update_input(self.spec, state, trajectory, hparams)
        advice = "give the one from before the trajectory's first step"
        self._check_memory(memory, trajectory.log_prob.shape[1:], {self.num_memories}, advice)
        trajectory, memory = in_float32((trajectory, memory))
        return update_learner(self.parts, state, trajectory, memory, hparams, key)


def make_learner(
    spec: EnvSpec, algorithm: str | Algorithm, config: Config | None = None
) -> Learner:
    """Returns the learner of an algorithm for environments of the given sizes.

    Args:
        spec: the sizes; `EnvSpec.from_env` reads them off an environment.
        algorithm: a name in the table, or a row.
        config: static settings; the defaults if not given.

    Raises:
        ValueError: for an unknown algorithm, or an ownership that does not fit the agents.
    """
    return Learner(spec, get_algorithm(algorithm), config or Config())
