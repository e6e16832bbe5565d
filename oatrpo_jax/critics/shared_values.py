"""What SEAC shares besides policies' experience: returns that each learner judges for itself."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from oatrpo_jax.advantages import standardise
from oatrpo_jax.critics.critic import Critic, ValueNorm
from oatrpo_jax.policies.policy import Policy
from oatrpo_jax.reuse.experience import Experience, PerLearner, log_ratio
from oatrpo_jax.types import PyTree


def own_judgement(
    critic: Critic, critics: PyTree, norm: ValueNorm, features: jax.Array, returns: jax.Array
) -> PerLearner:
    """Returns each learner's advantages ``A_ij = R_j - V_i(o^j)`` (Christianos et al. 2020, Eq. 3).

    They are in units of the critics' output, and 0 as long as there is no such unit: until the
    update after the first returns that differ.

    Args:
        critic: the module of one critic.
        critics: parameters of the local critics, leading axis ``[G]``.
        norm: statistics of the returns before this rollout.
        features: ``[N, T, E, O]`` what critics are given of each slot.
        returns: ``[N, T, E]`` returns R, bootstrapped with the source's own critic.
    """

    def advantage(learner: jax.Array) -> jax.Array:
        params = jax.tree.map(lambda x: x[learner], critics)
        output = jnp.asarray(critic.apply(params, features))
        return standardise(returns, norm.denormalise(output), norm.scale)

    return advantage


def importance_ratio(policy: Policy, actors: PyTree, experience: Experience) -> PerLearner:
    """Returns each learner's ``pi_i(a^j|o^j) / mu_j(a^j|o^j)``, 1 on own and on inactive rows."""

    def ratio(learner: jax.Array) -> jax.Array:
        slots, own = experience.seen_by(learner), experience.own[learner][:, None, None]
        log_prob = policy.log_prob(jax.tree.map(lambda x: x[learner], actors), slots)
        return jnp.exp(jnp.where(own, 0.0, log_ratio(log_prob, slots)))

    return ratio
