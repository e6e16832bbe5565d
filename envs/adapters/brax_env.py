"""A body of JaxMARL's MABrax under our protocol."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from jax import Array

from envs.adapters.jaxmarl_env import JaxmarlEnv, State
from envs.team import DrawnEnvironment, Viewer
from oatrpo_jax.types import PyTree, StrPath

FORWARD = ("reward_forward", "forward_reward", "reward_run")
"""What brax' bodies call the part of the reward that is for moving forward."""

FRAME_SECONDS = 0.04
"""About how much time passes between two pictures of an episode: states come faster."""


class BraxEnv(JaxmarlEnv, DrawnEnvironment):
    """A body whose joints are several agents'; see `JaxmarlEnv` for its arguments.

    The global state is all that brax observes.  ``extras`` has the ``forward_return``, the sum of
    the rewards for moving forward, and ``x_position``, how far the body is, in metres.
    """

    def __init__(self, game: Any, **options: Any) -> None:
        super().__init__(game, **options)
        seconds = float(game.env.dt) * game.action_repeat
        self._stride = max(1, round(FRAME_SECONDS / seconds))
        self.frame_milliseconds = round(1000 * seconds * self._stride)

    @cached_property
    def viewer(self) -> Viewer:
        """Returns what draws the body from its side."""
        from envs.adapters.body_viewer import BodyViewer  # Pillow is needed for pictures only.

        return BodyViewer(self.game)

    def animate(
        self, states: Sequence[Any], interval: int | None = None, save_path: StrPath | None = None
    ) -> np.ndarray:
        """Returns ``[F, H, W, 3]`` uint8 frames in real time, of some states and the last."""
        kept = [*states[: -1 : self._stride], *states[-1:]]
        return super().animate(kept, interval, save_path)

    def _extras(self, state: State, success: Array) -> dict[str, Array]:
        told = state.game.info["episode_metrics"]
        (forward, *_) = (name for name in FORWARD if name in told)
        return super()._extras(state, success) | {
            "forward_return": told[forward],
            "x_position": state.game.metrics["x_position"],
        }

    def _world(self, seen: dict[str, Array], game: PyTree) -> Array:
        return game.obs
