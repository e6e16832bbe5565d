"""A body of JaxMARL's MABrax under our protocol."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from jax import Array

from envs.adapters.jaxmarl_env import JaxmarlEnv, State
from envs.base import DrawnEnvironment, Viewer
from oatrpo_jax.types import PyTree, StrPath

FORWARD = ("reward_forward", "forward_reward", "reward_run")
"""What brax' bodies call the part of the reward that is for moving forward."""

FRAME_MILLISECONDS = 40
"""About how much time passes between two pictures of an episode: states may come faster."""


class BraxEnv(JaxmarlEnv, DrawnEnvironment):
    """A body whose joints are several agents'; see `JaxmarlEnv` for its arguments.

    The global state is all that brax observes.  ``extras`` has the ``forward_return``, the sum of
    the rewards for moving forward, and ``x_position``, how far the body is, in metres.
    """

    def __init__(self, game: Any, **options: Any) -> None:
        super().__init__(game, **options)
        milliseconds = round(1000 * float(game.env.dt))  # Whole for all bodies.
        self._stride = frame_stride(milliseconds)
        self.frame_milliseconds = milliseconds * self._stride

    @cached_property
    def viewer(self) -> Viewer:
        """Returns what draws the body from its side."""
        from envs.adapters.body_viewer import BodyViewer  # Pillow is needed for pictures only.

        return BodyViewer(self.game)

    def step_of(self, state: State) -> int:
        """Returns how many steps have led to a state, as brax counts them."""
        return int(state.game.info["steps"])

    def animate(
        self, states: Sequence[Any], interval: int | None = None, save_path: StrPath | None = None
    ) -> np.ndarray:
        """Returns ``[F, H, W, 3]`` uint8 frames in real time, of some states and the last."""
        kept = [*states[: -1 : self._stride], *states[-1:]]
        return super().animate(kept, interval, save_path)

    def _extras(self, state: State, success: Array) -> dict[str, Array]:
        told = state.game.info["episode_metrics"]
        forward = next(name for name in FORWARD if name in told)
        return super()._extras(state, success) | {
            "forward_return": told[forward],
            "x_position": state.game.metrics["x_position"],
        }

    def _world(self, seen: dict[str, Array], game: PyTree) -> Array:
        return game.obs


def frame_stride(milliseconds: int) -> int:
    """Returns how many steps to go from one picture to the next, about ``FRAME_MILLISECONDS``.

    GIFs count time in hundredths of a second, so that only whole ones are shown in real time.

    >>> [frame_stride(milliseconds) for milliseconds in (8, 15, 50)]
    [5, 2, 1]

    Args:
        milliseconds: of a step.
    """
    strides = [stride for stride in range(1, 11) if stride * milliseconds % 10 == 0]
    return min(strides, key=lambda stride: abs(stride * milliseconds - FRAME_MILLISECONDS))
