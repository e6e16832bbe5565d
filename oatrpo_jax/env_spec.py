"""The sizes of an environment, all that a learner needs to know of it."""

from __future__ import annotations

from dataclasses import dataclass

import jax

from oatrpo_jax.env_check import trace_reset
from oatrpo_jax.ranges import check_count
from oatrpo_jax.types import MultiAgentEnv, action_struct, acts_continuously


@dataclass(frozen=True)
class EnvSpec:
    """The sizes that a learner needs to know of its environment.

    Attributes:
        num_agents: N.
        num_actions: A, of which an agent takes one; D where actions are continuous.
        view_size: O.
        state_size: S.
        is_continuous: whether an agent's action is a vector ``[D]`` of real numbers.

    Raises:
        ValueError: if a size is not a whole number of at least 1.
    """

    num_agents: int
    num_actions: int
    view_size: int
    state_size: int
    is_continuous: bool = False

    def __post_init__(self) -> None:
        for name in ("num_agents", "num_actions", "view_size", "state_size"):
            check_count(name, getattr(self, name))
        if not isinstance(self.is_continuous, bool):
            raise ValueError(
                f"is_continuous: expected True or False, got {self.is_continuous!r}; it says "
                "whether actions are vectors"
            )

    @classmethod
    def from_env(cls, env: MultiAgentEnv) -> EnvSpec:
        """Returns the sizes of an environment's observation, without running it.

        Raises:
            ValueError: if what a reset shows is not as it must be, naming the field.
        """
        observation = trace_reset(env).observation
        return cls(
            num_agents=env.num_agents,
            num_actions=env.num_actions,
            view_size=observation.agents_view.shape[-1],
            state_size=observation.global_state.shape[-1],
            is_continuous=acts_continuously(env),
        )

    @property
    def action(self) -> jax.ShapeDtypeStruct:
        """Shape and dtype of the team's action."""
        return action_struct(self.num_agents, self.num_actions, self.is_continuous)
