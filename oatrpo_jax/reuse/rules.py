"""Who reuses whose experience: rules that weigh sources."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np

from oatrpo_jax.advantages import divisor, masked_mean
from oatrpo_jax.hyperparams import Hyperparams
from oatrpo_jax.ranges import TINY
from oatrpo_jax.reuse.agreement import GradientError

_ROWS = frozenset({"divergence_rows"})
DIVERGENCE = _ROWS | {"divergence", "divergence_quantile"}
"""Settings and coefficients on which a divergence depends."""


class Affinity(NamedTuple):
    """What a reuse rule may look at.  What costs time is a function, computed if a rule asks.

    What is measured of a policy that is NaN is NaN, and a rule must not admit it.

    Attributes:
        own: ``[G, N]`` bool, True where agent n acts with policy g.
        has_rows: ``[N]`` bool, True where the agent was active on a row that was looked at.
        divergence: gives ``[G, N]`` D[g, n], see `divergence.divergence_from_sources`; 0 on own.
        sample_size: gives ``[G, N]`` effective sample sizes of the importance ratios, as shares.
        gradient_error: gives ``[G, N]`` errors of policy gradients.
    """

    own: jax.Array
    has_rows: jax.Array
    divergence: Callable[[], jax.Array]
    sample_size: Callable[[], jax.Array]
    gradient_error: Callable[[], GradientError]


@dataclass(frozen=True)
class ReuseRule:
    """How the reuse matrix comes about.

    Attributes:
        weights: (affinity, hyperparams) -> ``[G, N]`` float32, 0 and up.
        shares: whether a learner may get a weight on another's slot.
        reads: the settings and coefficients that the rule reads.
        averages: whether a learner's weights sum to 1.  Only then may sources be drawn by them.
        divergence_limit: hyperparams -> ``[]``, upper bound on D of every reused slot after a
            trust-region step (Condition 1 for the candidate); None for no bound.
    """

    weights: Callable[[Affinity, Hyperparams], jax.Array]
    shares: bool
    reads: frozenset[str]
    averages: bool = True
    divergence_limit: Callable[[Hyperparams], jax.Array] | None = None

    @property
    def draws_sources(self) -> bool:
        """Whether the config's estimator applies."""
        return self.shares and self.averages


def gate_weights(gate: jax.Array, own: jax.Array, reuse_lambda: jax.Array) -> jax.Array:
    """Returns the reuse matrix of a gate: lambda on own slots, the rest evenly on admitted ones.

    ``M[i, i] = lambda`` if another is admitted, else 1; ``M[i, j] = (1 - lambda) / (c_i - 1)``
    for the ``c_i - 1`` others admitted (Eq. 9).

    Args:
        gate: ``[G, N]`` bool, which slots are admitted; own ones always are.
        own: ``[G, N]`` bool.
        reuse_lambda: ``[]`` in [0, 1].
    """
    chex.assert_equal_shape([gate, own])
    others = gate & ~own
    num_others = jnp.sum(others, axis=1, keepdims=True)
    own_weight = jnp.where(num_others > 0, reuse_lambda, 1.0)
    other_weight = (1.0 - reuse_lambda) / divisor(num_others)
    return own_weight * own_share(own) + jnp.where(others, other_weight, 0.0)


def own_share(own: jax.Array) -> jax.Array:
    """Returns weights that spread evenly over own slots, ``[G, N]``: rows sum to 1, or are 0."""
    return own.astype(jnp.float32) / divisor(jnp.sum(own, axis=1, keepdims=True))


def own_reuse() -> ReuseRule:
    """Returns the rule of no reuse: a policy learns from the agents that act with it, evenly.

    The identity matrix when every agent owns its parameters, 1/N everywhere when all share.
    """
    return ReuseRule(
        weights=lambda affinity, hparams: own_share(affinity.own),
        shares=False,
        reads=frozenset(),
    )


def threshold_reuse() -> ReuseRule:
    """Returns the paper's rule: admit whoever is within sigma in KL (Condition 1, Eq. 9).

    The comparison is strict, so that sigma = 0 admits nobody, and a slot that has no active row
    is not admitted.
    """

    def weights(affinity: Affinity, hparams: Hyperparams) -> jax.Array:
        gate = (affinity.divergence() < hparams.reuse_sigma) & affinity.has_rows
        return gate_weights(gate, affinity.own, hparams.reuse_lambda)

    reads = DIVERGENCE | {"reuse_sigma", "reuse_lambda"}
    return ReuseRule(
        weights, shares=True, reads=reads, divergence_limit=lambda hparams: hparams.reuse_sigma
    )


def sample_size_reuse() -> ReuseRule:
    """Returns a rule without coefficients: weigh a source by its effective sample size.

    If a slot were as good as one's own but for the importance ratios, its mean would have the
    variance of ``ESS`` times as many rows.  Weights by inverse variance are then proportional to
    ESS, and an own slot has ESS = 1.  Uniform when all policies agree; the identity as the ratios'
    spread grows.  It sees how policies differ, and not whether they should.
    """

    def weights(affinity: Affinity, hparams: Hyperparams) -> jax.Array:
        return relative_weights(affinity.sample_size(), affinity)

    return ReuseRule(weights, shares=True, reads=_ROWS)


def agreement_reuse() -> ReuseRule:
    """Returns a rule without coefficients: weigh a source by the error of its gradient.

    The gradient on agent n's experience estimates the learner's own with variance ``V[g, n]`` and
    squared bias ``B[g, n]`` (`agreement.gradient_error`), the own one with ``V[g, g]`` and no bias.
    Weights by inverse mean squared error make that of the weighted sum least, if errors are
    independent; beside the own slot's that is ``V[g, g] / (V[g, n] + B[g, n])``.  No source counts
    for more than its effective sample size: where policies have parted, ratios and gradients are
    all near 0, and show neither variance nor bias beside an own gradient of 0.  Uniform when
    slots are alike; the identity when gradients part, be it that policies differ, or that an action
    is good for one agent and bad for the other, which no divergence between policies shows.  A
    source has weight 0 where its error or the learner's own variance is unknown.
    """

    def weights(affinity: Affinity, hparams: Hyperparams) -> jax.Array:
        error = affinity.gradient_error()
        is_known = affinity.own & jnp.isfinite(error.variance)
        own_variance = masked_mean(error.variance, is_known, axis=1)[:, None]
        relative = own_variance / jnp.maximum(error.variance + error.bias, TINY)
        return relative_weights(jnp.minimum(relative, affinity.sample_size()), affinity)

    return ReuseRule(weights, shares=True, reads=_ROWS)


def relative_weights(relative: jax.Array, affinity: Affinity) -> jax.Array:
    """Returns ``[G, N]`` weights: 1 for the own slots together, ``relative`` for others, over all.

    Args:
        relative: ``[G, N]``, what another slot is worth beside one's own, in [0, 1]; NaN is 0.
        affinity: says whose slots are whose.
    """
    others = affinity.has_rows & ~affinity.own
    weights = own_share(affinity.own) + jnp.where(others & (relative > 0), relative, 0.0)
    return weights / jnp.maximum(jnp.sum(weights, axis=1, keepdims=True), 1.0)


def shared_experience() -> ReuseRule:
    """Returns SEAC's rule: own experience counts 1, that of every other agent ``seac_coef``.

    A sum and not a mean: rows sum to ``1 + seac_coef x others`` (Christianos et al. 2020, Eq. 3).
    """

    def weights(affinity: Affinity, hparams: Hyperparams) -> jax.Array:
        others = affinity.has_rows & ~affinity.own
        return own_share(affinity.own) + jnp.where(others, hparams.seac_coef, 0.0)

    return ReuseRule(weights, shares=True, reads=_ROWS | {"seac_coef"}, averages=False)


def allowed_reuse(allowed: Sequence[Sequence[bool]]) -> ReuseRule:
    """Returns Eq. 9 with a gate set by hand: NR, UR, RR and AR of the paper's section 6.1.

    Args:
        allowed: ``[N, N]``, True where learner i may use what agent j recorded.

    Raises:
        ValueError: if the matrix is not square, or has entries other than True and False.
    """
    entries = np.asarray(allowed)
    _check_square(entries)
    if not np.isin(entries, (0, 1)).all():
        raise ValueError(f"reuse matrix: expected True and False, got {entries.tolist()}")
    matrix = entries.astype(bool)

    def weights(affinity: Affinity, hparams: Hyperparams) -> jax.Array:
        _check_size(matrix, affinity.own)
        return gate_weights(
            jnp.asarray(matrix) & affinity.has_rows, affinity.own, hparams.reuse_lambda
        )

    return ReuseRule(weights, shares=True, reads=_ROWS | {"reuse_lambda"})


def fixed_reuse(matrix: Sequence[Sequence[float]]) -> ReuseRule:
    """Returns the rule that always answers ``matrix``.

    Args:
        matrix: ``[N, N]``, row i the weights with which learner i uses each agent's experience.

    Raises:
        ValueError: if the matrix is not square, has negative entries, or a row does not sum to 1.
    """
    fixed = np.asarray(matrix, np.float32)
    _check_square(fixed)
    if not np.isfinite(fixed).all() or (fixed < 0).any():
        raise ValueError(f"reuse matrix: expected weights of at least 0, got {fixed.tolist()}")
    for index, total in enumerate(fixed.sum(axis=1)):
        if abs(total - 1) > 1e-5:
            raise ValueError(
                f"reuse matrix: expected rows that sum to 1, but row {index} sums to {total:g}"
            )

    def weights(affinity: Affinity, hparams: Hyperparams) -> jax.Array:
        _check_size(fixed, affinity.own)
        return jnp.asarray(fixed)

    return ReuseRule(weights, shares=True, reads=frozenset())


def _check_square(matrix: np.ndarray) -> None:
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ValueError(
            f"reuse matrix: expected one row and one column per agent, got shape {matrix.shape}"
        )


def _check_size(matrix: np.ndarray, own: jax.Array) -> None:
    if matrix.shape != own.shape:
        raise ValueError(
            f"reuse matrix: expected shape {own.shape} (learners x agents), got {matrix.shape}"
        )
