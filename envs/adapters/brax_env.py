"""A body of JaxMARL's MABrax under our protocol."""

from __future__ import annotations

from jax import Array

from envs.adapters.jaxmarl_env import JaxmarlEnv, State
from oatrpo_jax.types import PyTree

FORWARD = ("reward_forward", "forward_reward", "reward_run")
"""What brax' bodies call the part of the reward that is for moving forward."""


class BraxEnv(JaxmarlEnv):
    """A body whose joints are several agents'; see `JaxmarlEnv` for its arguments.

    The global state is all that brax observes.  ``extras`` has the ``forward_return``, the sum of
    the rewards for moving forward, and ``x_position``, how far the body is, in metres.
    """

    def _extras(self, state: State, success: Array) -> dict[str, Array]:
        told = state.game.info["episode_metrics"]
        (forward, *_) = (name for name in FORWARD if name in told)
        return super()._extras(state, success) | {
            "forward_return": told[forward],
            "x_position": state.game.metrics["x_position"],
        }

    def _world(self, seen: dict[str, Array], game: PyTree) -> Array:
        return game.obs
