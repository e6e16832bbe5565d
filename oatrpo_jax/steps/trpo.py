"""OATRPO's local step: a natural gradient within a trust region, and a line search (Eq. 7)."""

from __future__ import annotations

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.scipy.sparse.linalg import cg

from oatrpo_jax.config import Config
from oatrpo_jax.hyperparams import Hyperparams
from oatrpo_jax.optimiser import Learning
from oatrpo_jax.policies.policy import Policy
from oatrpo_jax.reuse.sources import PolicyBatch, Sources, fold_sources, thin_sources
from oatrpo_jax.steps.signature import PolicyStep, Task, score, weighted_sum
from oatrpo_jax.types import PyTree


def surrogate(
    policy: Policy, params: PyTree, batch: PolicyBatch
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Returns ``sum policy_weight x ratio x A`` over one slot's rows (Eq. 7), and metric sums."""
    scored = score(policy, params, batch)
    return weighted_sum(batch.policy_weight, scored.ratio * batch.rows.advantage), scored.sums


def fisher_vector_product(
    policy: Policy, params: PyTree, sources: Sources[PolicyBatch], vector: PyTree
) -> PyTree:
    """Returns ``F v = sum of policy_weight x J' H J v``, the exact Fisher matrix at params.

    J is the Jacobian of the policy's outputs, and H the Hessian of KL in them.  F is the Hessian of
    the mean KL from the policy at ``params`` to its neighbours, and positive semi-definite by
    construction.
    """

    def product(batch: PolicyBatch) -> PyTree:
        rows = batch.rows
        outputs_at = functools.partial(policy.outputs, rows=rows)
        outputs, tangent = jax.jvp(outputs_at, (params,), (vector,))
        cotangent = policy.distribution(outputs).fisher_product(tangent, batch.policy_weight)
        return jax.vjp(outputs_at, params)[1](cotangent)[0]

    return fold_sources(product, sources)


class Candidate(NamedTuple):
    """How a candidate fares.

    Attributes:
        surrogate: ``[]`` sum of weight x ratio x A.
        kl: ``[]`` mean KL from the policy before the step, the trust region's measure.
    """

    surrogate: jax.Array
    kl: jax.Array


def evaluate_candidate(
    policy: Policy, sources: Sources[PolicyBatch], center: PyTree, params: PyTree
) -> Candidate:
    """Returns how ``params`` fare as the successor of ``center``."""

    def on_slot(batch: PolicyBatch) -> Candidate:
        kl = policy.on(center, batch.rows).kl_divergence(policy.on(params, batch.rows))
        return Candidate(
            surrogate=surrogate(policy, params, batch)[0],
            kl=weighted_sum(batch.policy_weight, kl),
        )

    return fold_sources(on_slot, sources)


def trust_region_step(
    policy: Policy,
    learning: Learning,
    task: Task,
    config: Config,
    hparams: Hyperparams,
    key: jax.Array,
) -> tuple[Learning, dict[str, jax.Array]]:
    """Returns the policy after one constrained step of maximal surrogate; see `StepFunction`.

    Maximises the surrogate subject to mean KL <= kl_threshold, both over the weighted sources:
    ``x = (F + damping)^-1 g`` by conjugate gradient, step ``sqrt(2 kl_threshold / x'Fx) x``, then
    a backtracking line search.  The region is centred on the learner's own policy.  If no
    candidate is accepted the parameters stay as they are, exactly.
    """
    sources, condition = task.draw(key), task.condition
    center = learning.params
    on_slot = jax.value_and_grad(surrogate, argnums=1, has_aux=True)
    (before, sums), gradient = fold_sources(lambda batch: on_slot(policy, center, batch), sources)
    full_step = natural_step(policy, sources, center, gradient, config, hparams)
    expected = jnp.asarray(optax.tree.vdot(gradient, full_step))

    def is_acceptable(params: PyTree, candidate: Candidate, fraction: jax.Array) -> jax.Array:
        improvement = candidate.surrogate - before
        is_near = jnp.bool_(True)
        if condition is not None:
            is_near = condition.divergence(params) <= condition.limit
        return (
            (candidate.kl <= hparams.kl_threshold)
            & (improvement > 0)
            & (improvement >= hparams.accept_ratio * fraction * expected)
            & is_near
        )

    def attempt(search: LineSearch) -> LineSearch:
        fraction = hparams.line_search_decay ** search.attempts.astype(jnp.float32)
        params = optax.tree.add_scale(center, fraction, full_step)
        candidate = evaluate_candidate(policy, sources, center, params)
        accepted = is_acceptable(params, candidate, fraction)
        return LineSearch(search.attempts + 1, accepted, fraction, candidate)

    search = jax.lax.while_loop(
        lambda search: ~search.accepted & (search.attempts < config.line_search_steps),
        attempt,
        LineSearch.start(),
    )
    moved = optax.tree.add_scale(center, search.fraction, full_step)
    params = jax.tree.map(lambda new, old: jnp.where(search.accepted, new, old), moved, center)
    own = jnp.maximum(sums["own_weight"], 1e-12)
    return Learning(params, learning.opt_state), {
        "policy/loss": -before,
        "policy/grad_norm": jnp.asarray(optax.tree.norm(gradient)),
        "policy/first_ratio": jnp.where(sums["own_weight"] > 0, sums["ratio"] / own, 1.0),
        "policy/entropy": sums["entropy"] / own,
        "policy/approx_kl": jnp.where(search.accepted, search.candidate.kl, 0.0),
        "policy/accepted": search.accepted.astype(jnp.float32),
        "policy/step_fraction": jnp.where(search.accepted, search.fraction, 0.0),
        "policy/expected_improvement": expected,
    }


class LineSearch(NamedTuple):
    """Where a line search stands, and the last candidate that it looked at."""

    attempts: jax.Array
    accepted: jax.Array
    fraction: jax.Array
    candidate: Candidate

    @classmethod
    def start(cls) -> LineSearch:
        """Returns the state before the first attempt."""
        zero = jnp.float32(0)
        return cls(jnp.int32(0), jnp.bool_(False), zero, Candidate(zero, zero))


def natural_step(
    policy: Policy,
    sources: Sources[PolicyBatch],
    params: PyTree,
    gradient: PyTree,
    config: Config,
    hparams: Hyperparams,
) -> PyTree:
    """Returns ``sqrt(2 kl_threshold / x'Fx) x`` with ``x = (F + damping)^-1 gradient``.

    A zero gradient gives a zero step.  F is estimated on ``fisher_rows`` rows of each slot, as
    Schulman et al. (2015, appendix C.1) do; the line search looks at all of them.
    """
    thin = thin_sources(sources, config.fisher_rows)
    fisher = functools.partial(fisher_vector_product, policy, params, thin)
    direction, _ = cg(
        lambda v: optax.tree.add_scale(fisher(v), hparams.cg_damping, v),
        gradient,
        tol=1e-8,
        maxiter=config.cg_iterations,
    )
    curvature = jnp.maximum(optax.tree.vdot(direction, fisher(direction)), 1e-12)
    return optax.tree.scale(jnp.sqrt(2.0 * hparams.kl_threshold / curvature), direction)


TRUST_REGION = PolicyStep(
    apply=trust_region_step,
    init=lambda params: (),
    reads=frozenset(
        {
            "kl_threshold",
            "cg_damping",
            "line_search_decay",
            "accept_ratio",
            "cg_iterations",
            "fisher_rows",
            "line_search_steps",
        }
    ),
)
"""Natural gradient and line search (TRPO)."""
