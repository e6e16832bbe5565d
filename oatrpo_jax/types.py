"""The data that the library passes around, and the protocol an environment follows.

Axis letters, here and everywhere else:

====== =====================================================================
``T``  rollout length (steps per environment per update)
``E``  parallel environments
``N``  agents; also the *slots* of recorded experience, one per agent
``A``  actions, of which an agent takes one
``D``  dimensions of a continuous action, where A is said of discrete ones
``Z``  outputs of an actor for one agent: A logits, or D means and D log deviations
``O``  features of one agent's observation
``S``  features of the global state
``H``  features of a policy's memory
``G``  policies: ``N`` when every agent owns its parameters, 1 when all share
``L``  learners that remember what an agent sees: ``G`` if others may learn from it, else 1
``C``  critics: 1 when the critic is central, ``G`` when each policy has one
``K``  seeds
``P``  hyperparameter points
====== =====================================================================

A pair of policy and slot is always written learner first: ``weights[g, n]`` says how much
learner ``g`` uses what agent ``n`` recorded.
"""

from __future__ import annotations

import os
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp

PyTree = Any
"""Any tree of arrays; here parameters, gradients and optimiser states."""

StrPath = str | os.PathLike[str]
"""A path, as text or as a `pathlib.Path`."""


def in_float32(tree: PyTree) -> PyTree:
    """Returns a tree whose floating-point leaves are float32, whatever jax makes by default."""

    def narrow(x: jax.Array) -> jax.Array:
        is_float = jnp.issubdtype(jax.dtypes.result_type(x), jnp.floating)
        return jnp.asarray(x, jnp.float32) if is_float else x

    return jax.tree.map(narrow, tree)


def strongly_typed(tree: PyTree) -> PyTree:
    """Returns the same arrays without JAX's weak types, so that reset and step agree."""

    def strong(leaf: Any) -> jax.Array:
        leaf = jnp.asarray(leaf)
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            return leaf
        return jax.lax.convert_element_type(leaf, leaf.dtype)

    return jax.tree.map(strong, tree)


def aval_of(value: Any) -> Any:
    """Returns what jax sees in a value: its shape and dtype; None if it is no array."""
    try:
        return value if isinstance(value, jax.ShapeDtypeStruct) else jax.typeof(value)
    except TypeError:
        return None


class Observation(NamedTuple):
    """What an environment shows after a step.  The axes given may follow leading ones.

    Attributes:
        agents_view: ``[N, O]`` float32 local observations.
        action_mask: ``[N, A]`` bool, True where the action is legal; ``[N, D]`` where actions are
            continuous, True where the agent has the dimension.  An active agent must have one at
            least: without any `Learner.act` gives what it draws the log-probability NaN.
        global_state: ``[S]`` float32 state that only a central critic sees.
        active: ``[N]`` bool, True for an agent whose decision still matters (alive).
    """

    agents_view: jax.Array
    action_mask: jax.Array
    global_state: jax.Array
    active: jax.Array

    @property
    def active_views(self) -> jax.Array:
        """``[N, O]`` views, 0 for agents that are not active, whatever theirs hold."""
        return jnp.where(self.active[..., None], self.agents_view, 0.0)

    @property
    def finite_views(self) -> jax.Array:
        """``[N, O]`` views, 0 for what is not finite in those of agents that are not active."""
        is_seen = self.active[..., None] | jnp.isfinite(self.agents_view)
        return jnp.where(is_seen, self.agents_view, 0.0)


class Transition(NamedTuple):
    """One step of all agents; a *trajectory* is a Transition with leading axes ``[T, E]``.

    Attributes:
        observation: what the agents saw when they acted.
        action: ``[N]`` int32, or ``[N, D]`` float32 where actions are continuous.
        log_prob: ``[N]`` log-probability of ``action`` under the behaviour policy.
        reward: ``[]`` float32 team reward.
        terminated: ``[]`` bool, True when the episode ended for good in this step.
        truncated: ``[]`` bool, True when a time limit cut the episode off in this step.
        next_observation: what followed, before any reset (the final one at an episode's end).
    """

    observation: Observation
    action: jax.Array
    log_prob: jax.Array
    reward: jax.Array
    terminated: jax.Array
    truncated: jax.Array
    next_observation: Observation

    @property
    def is_continuous(self) -> bool:
        """Whether actions are vectors."""
        return self.action.ndim > self.observation.active.ndim

    @property
    def existing_actions(self) -> jax.Array:
        """The actions; continuous ones are 0 where there is no active agent, or no dimension."""
        if not self.is_continuous:
            return self.action
        seen = self.observation
        return jnp.where(seen.active[..., None] & seen.action_mask, self.action, 0.0)


OWN_METRICS = RETURN, LENGTH, COUNT, CUT_OFF = "return", "length", "count", "cut_off"
"""Metrics of episodes that the trainer measures; an environment's extras have other names."""


class TimeStep(Protocol):
    """The part of ``jumanji.types.TimeStep`` that the trainer reads.

    ``last()`` with ``discount == 0`` is a termination, with ``discount > 0`` a truncation.

    Attributes:
        reward: ``[]`` float32 of the team; 0 after a reset.
        discount: ``[]`` float32, 0 where the episode ended for good, else 1.
        observation: what the agents see now; at an end the final one.
        extras: scalars that describe the episode so far.  Their values on the last step become the
            metrics ``episode/<name>``; ``return``, ``length``, ``count`` and ``cut_off`` are the
            trainer's.  ``success`` in [0, 1] is expected of every environment that has a goal: did
            the team reach it?
    """

    reward: jax.Array
    discount: jax.Array
    observation: Observation
    extras: dict[str, jax.Array]

    def last(self) -> jax.Array: ...


class MultiAgentEnv(Protocol):
    """A cooperative environment: pure functions, no auto-reset, one team reward.

    One with ``is_continuous = True`` takes vectors of ``num_actions`` real numbers, drawn from
    Gaussians: it maps them into its box itself, such as ``[-1, 1]`` after clipping.

    Attributes:
        num_agents: N.
        num_actions: A, of which an agent takes one; D where actions are continuous.
        agent_types: each agent's kind (a colour, a unit type) for plots and reports; no learner
            sees it.
    """

    @property
    def num_agents(self) -> int: ...

    @property
    def num_actions(self) -> int: ...

    @property
    def agent_types(self) -> tuple[str, ...]: ...

    def reset(self, key: jax.Array) -> tuple[PyTree, TimeStep]:
        """Returns a fresh state and its first time step."""
        ...

    def step(self, state: PyTree, action: jax.Array) -> tuple[PyTree, TimeStep]:
        """Returns the state and time step that follow when agent ``n`` takes ``action[n]``.

        ``[N]`` int32, or ``[N, D]`` float32 where actions are continuous.
        """
        ...


def acts_continuously(env: MultiAgentEnv) -> bool:
    """Returns whether actions are vectors, which an environment says if they are."""
    return getattr(env, "is_continuous", False)


def action_struct(num_agents: int, num_actions: int, is_continuous: bool) -> jax.ShapeDtypeStruct:
    """Returns shape and dtype of a team's action: ``[N]`` indices, or ``[N, D]`` real numbers."""
    if is_continuous:
        return jax.ShapeDtypeStruct((num_agents, num_actions), jnp.float32)
    return jax.ShapeDtypeStruct((num_agents,), jnp.int32)
