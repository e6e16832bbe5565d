"""What all adapters share: team reward, padding, masks, the end without a clock."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from envs.adapters.actions import Actions
from envs.base import TeamEnvironment
from envs.choices import check_choice
from oatrpo_jax.types import Observation, PyTree

REWARDS = {"sum": jnp.sum, "mean": jnp.mean}
"""How the agents' rewards become that of the team, by the value of the option ``reward``."""


class Adapter(TeamEnvironment):
    """An environment of another library, as a cooperative one of ours.

    Attributes:
        game: the library's environment.
        actions: what each agent may do.

    Args:
        agent_types: each agent's kind.
        actions: what each agent may do; masks make them equally many, or equally long.
        reward: key of ``REWARDS``.
        agent_id: append the one-hot index of the agent to its view.
    """

    game: Any

    def __init__(
        self, agent_types: Sequence[str], actions: Actions, reward: str, agent_id: bool
    ) -> None:
        check_choice("reward", reward, REWARDS)
        self.agent_types = tuple(agent_types)
        self.num_agents = len(self.agent_types)
        self.is_continuous = actions.is_continuous
        self.num_actions = int(max(actions.sizes))
        self.actions = actions
        self._has_action = np.arange(self.num_actions) < np.array(actions.sizes)[:, None]
        self._combine = REWARDS[reward]
        self._agent_id = agent_id
        self.settings: dict[str, Any] = {"reward": reward, "agent_id": agent_id}
        """What the options came to, defaults included; for the record of a run."""
        if self.is_continuous:
            self.settings["action_dimensions"] = list(actions.sizes)

    def __repr__(self) -> str:
        sizes = self.actions.sizes
        is_padded = self.is_continuous and len(set(sizes)) > 1
        padded = f", actions padded from {sizes} dimensions" if is_padded else ""
        game = type(self.game).__name__
        return f"{type(self).__name__}({game}, {self.num_agents} agents{padded})"

    def observe(
        self,
        views: Sequence[Array],
        legal: Sequence[Array] | None,
        global_state: Array,
        active: Array,
    ) -> Observation:
        """Returns the observation with rows of equal length.

        Args:
            views: one array of any shape per agent; flattened, and zeros appended to short ones.
            legal: ``[A_n]`` bool or integer per agent; None if every action is legal always.
            global_state: any shape; flattened.
            active: ``[N]`` bool.
        """
        agents_view = pad_rows([view.reshape(view.size).astype(jnp.float32) for view in views])
        if self._agent_id:
            agents_view = jnp.concatenate([agents_view, jnp.eye(self.num_agents)], axis=1)
        mask = jnp.asarray(self._has_action)
        if legal is not None:
            allowed = pad_rows([row.astype(bool) for row in legal], self.num_actions) & mask
            # Over or out, an agent may be left without a legal action; then any does as well.
            mask = jnp.where(allowed.any(axis=1, keepdims=True), allowed, mask)
        flat_state = global_state.reshape(global_state.size).astype(jnp.float32)
        return Observation(agents_view, mask, flat_state, active)

    def team_reward(self, rewards: Array) -> Array:
        """Returns the ``[]`` float32 reward of the team from one per agent, or from one for all."""
        return self._combine(rewards.astype(jnp.float32)) if rewards.ndim else rewards * 1.0


def pad_rows(rows: Sequence[Array], length: int | None = None) -> Array:
    """Returns the rows stacked, zeros (False) appended up to ``length`` or that of the longest."""
    length = max(len(row) for row in rows) if length is None else length
    return jnp.stack([jnp.pad(row, (0, length - len(row))) for row in rows])


def with_clock_at_zero(state: PyTree, *clocks: str) -> PyTree | None:
    """Returns the state as if the episode had just begun; None if it has no clock so called.

    An episode that would not end from here has been cut off by its time limit.  Libraries seldom
    say so themselves.  What the two steps have in common XLA computes once.
    """

    def is_clock(path: tuple[Any, ...]) -> bool:
        # A state that wraps another's has the clock further in.
        return getattr(path[-1], "name", None) in clocks

    if not any(is_clock(path) for path, _ in jax.tree.leaves_with_path(state)):
        return None
    return jax.tree.map_with_path(
        lambda path, leaf: jnp.zeros_like(leaf) if is_clock(path) else leaf, state
    )
