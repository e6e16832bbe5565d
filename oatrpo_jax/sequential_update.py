"""Algorithm 1 of the paper: learners in a shuffled order, each corrected for those before it."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp

from oatrpo_jax.advantages import masked_mean
from oatrpo_jax.algorithms import Algorithm
from oatrpo_jax.config import Config
from oatrpo_jax.hyperparams import Hyperparams
from oatrpo_jax.optimiser import Learning
from oatrpo_jax.policies.policy import Policy
from oatrpo_jax.reuse.divergence import divergence_from_sources
from oatrpo_jax.reuse.experience import record_log_ratio
from oatrpo_jax.reuse.planning import UpdatePlan
from oatrpo_jax.reuse.rules import ReuseRule
from oatrpo_jax.reuse.sources import ESTIMATORS, as_recorded
from oatrpo_jax.steps.signature import Condition, Task
from oatrpo_jax.types import PyTree


def compound_ratio(log_ratio: jax.Array) -> jax.Array:
    """Returns how much likelier the *other* agents have become to act as they did (Eq. 6).

    ``exp(sum over l != j of L[l])`` for source j: the slot's own action is left out, because the
    learner's importance ratio accounts for it; so each action gets exactly one ratio.

    Args:
        log_ratio: ``[N, T, E]`` log pi_new - log mu of agents already updated, 0 for the others.
    """
    return jnp.exp(jnp.sum(log_ratio, axis=0) - log_ratio)


def update_policies(
    policy: Policy,
    algorithm: Algorithm,
    policies: Learning,
    plan: UpdatePlan,
    *,
    config: Config,
    hparams: Hyperparams,
    key: jax.Array,
) -> tuple[Learning, dict[str, jax.Array]]:
    """Returns all policies after each has learnt once, in the plan's order, and metrics.

    Args:
        policy: whose parameters they are.
        algorithm: has the local step, and whether learners are corrected for those before them.
        policies: parameters and optimiser states with a leading ``[G]`` axis.
        plan: the experience, the order and the reuse matrix.
        config: static settings.
        hparams: coefficients.
        key: consumed.
    """
    mapping_key, step_key = jax.random.split(key)
    step_keys = jax.random.split(step_key, len(plan.order))
    experience, reuse = plan.experience, algorithm.reuse
    step = algorithm.policy_step
    estimator = config.estimator if reuse.draws_sources else "weighted"
    if estimator == "mapping":
        plan = plan._replace(weights=draw_mapping(mapping_key, plan.weights))

    def turn(carry: tuple[Learning, jax.Array], now: tuple[jax.Array, jax.Array]):
        policies, log_ratio = carry
        learner, key = now
        compound = compound_ratio(log_ratio)
        slots, own = experience.seen_by(learner), experience.own[learner]
        corrected = slots._replace(advantage=slots.advantage * compound)
        learning = jax.tree.map(lambda x: x[learner], policies)
        prepare = as_recorded
        if reuse.shares and step.prepare is not None:
            prepare = functools.partial(
                step.prepare, policy, learning.params, config=config, hparams=hparams
            )
        task = Task(
            draw=ESTIMATORS[estimator](corrected, plan.weights[learner], own, prepare),
            condition=condition_of(policy, reuse, plan, learner, config, hparams),
        )
        learnt, metrics = step.apply(policy, learning, task, config, hparams, key)
        policies = jax.tree.map(lambda all_, one: all_.at[learner].set(one), policies, learnt)
        if algorithm.is_sequential:
            log_ratio = record_log_ratio(policy, learnt.params, slots, own, log_ratio)
        metrics["policy/compound_ratio_max"] = jnp.max(compound)
        return (policies, log_ratio), metrics

    start = (policies, jnp.zeros_like(experience.slots.log_prob))
    (policies, _), metrics = jax.lax.scan(turn, start, (plan.order, step_keys))
    return policies, summarise(metrics, jnp.any(experience.own, axis=1)[plan.order])


def condition_of(
    policy: Policy,
    reuse: ReuseRule,
    plan: UpdatePlan,
    learner: jax.Array,
    config: Config,
    hparams: Hyperparams,
) -> Condition | None:
    """Returns what a rule asks of a learner's policy after its step; None if nothing."""
    if reuse.divergence_limit is None:
        return None
    reused = (plan.weights[learner] > 0) & ~plan.experience.own[learner]

    def largest(params: PyTree) -> jax.Array:
        found = divergence_from_sources(policy, params, learner, plan.compared, config, hparams)
        return jnp.max(jnp.where(reused, found, 0.0))

    def divergence(params: PyTree) -> jax.Array:
        return jax.lax.cond(jnp.any(reused), largest, lambda _: jnp.float32(0), params)

    return Condition(divergence, reuse.divergence_limit(hparams))


def draw_mapping(key: jax.Array, weights: jax.Array) -> jax.Array:
    """Returns one-hot weights: each learner's single source, drawn from its row (Algorithm 1).

    A row of zeros, that of a policy with which nobody acts, stays as it is.
    """
    drawn = jax.random.categorical(key, jnp.log(weights), axis=1)
    chosen = jax.nn.one_hot(drawn, weights.shape[1], dtype=weights.dtype)
    return jnp.where(jnp.any(weights > 0, axis=1, keepdims=True), chosen, weights)


def summarise(metrics: dict[str, jax.Array], used: jax.Array) -> dict[str, jax.Array]:
    """Returns each metric's mean over learners; the largest of those named ``_max``.

    Args:
        metrics: ``[G]`` each.
        used: ``[G]`` bool, False for a policy with which nobody acts; it does not count.
    """
    return {
        name: jnp.max(value) if name.endswith("_max") else masked_mean(value, used)
        for name, value in metrics.items()
    }
