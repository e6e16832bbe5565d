"""What environments of a team have in common: specs, pictures, and two helpers for arrays."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jumanji import specs
from jumanji.env import Environment
from jumanji.types import StepType, TimeStep

from oatrpo_jax.types import Observation, PyTree, StrPath

STRIP_PIXELS = 28
"""Height of the strip below a picture, which says the step."""

STRIP_COLOUR, STRIP_TEXT_COLOUR = (12, 14, 18), (225, 228, 235)


class TeamEnvironment(Environment):
    """An environment of ``num_agents`` agents with ``num_actions`` actions each, and one reward.

    Where it ``is_continuous``, an action is a vector of ``num_actions`` real numbers: what a
    Gaussian draws, which the environment maps into its bounds.

    The specs are read off what `reset` shows, when they are asked for: jumanji would make them with
    the environment, but training needs none, and their arrays take most of a second to compile.
    """

    num_agents: int
    num_actions: int
    is_continuous: bool = False

    def __init__(self) -> None:
        """Makes no specs yet."""

    @cached_property
    def observation_spec(self) -> specs.Spec[Observation]:
        """Returns the shapes and dtypes of the Observation."""
        _, timestep = jax.eval_shape(self.reset, jax.random.key(0))
        with jax.ensure_compile_time_eval():  # Kept, so no tracers, even if first asked in a jit.
            arrays = {
                name: specs.BoundedArray(seen.shape, bool, False, True, name)
                if seen.dtype == bool
                else specs.Array(seen.shape, seen.dtype, name)
                for name, seen in timestep.observation._asdict().items()
            }
            return specs.Spec(Observation, "ObservationSpec", **arrays)

    @cached_property
    def action_spec(self) -> specs.Array:
        """Returns the spec of one action per agent; one of real numbers has no bounds."""
        if self.is_continuous:
            return specs.Array((self.num_agents, self.num_actions), jnp.float32, "action")
        with jax.ensure_compile_time_eval():
            counts = jnp.full(self.num_agents, self.num_actions)
            return specs.MultiDiscreteArray(counts, name="action")

    @cached_property
    def reward_spec(self) -> specs.Array:
        """Returns the spec of the team reward."""
        return specs.Array((), jnp.float32, "reward")

    @cached_property
    def discount_spec(self) -> specs.BoundedArray:
        """Returns the spec of the discount."""
        with jax.ensure_compile_time_eval():
            return specs.BoundedArray((), jnp.float32, 0.0, 1.0, "discount")


class Viewer(Protocol):
    """What draws the states of a `DrawnEnvironment`."""

    def render(self, state: Any, camera: Any = None) -> np.ndarray:
        """Returns ``[H, W, 3]`` uint8: what the camera shows, by default all there is."""
        ...

    def follow(self, states: Sequence[Any]) -> Any:
        """Returns the camera that best shows all of these states."""
        ...


class DrawnEnvironment(TeamEnvironment):
    """A `TeamEnvironment` with pictures.

    Attributes:
        frame_milliseconds: how long an animation shows each state unless it is told.
    """

    frame_milliseconds: int

    @property
    @abstractmethod
    def viewer(self) -> Viewer:
        """Returns the renderer of this scenario."""

    def step_of(self, state: Any) -> int:
        """Returns how many steps have led to a state."""
        return int(state.step_count)

    def render(self, state: Any, save_path: StrPath | None = None) -> np.ndarray:
        """Returns ``[H, W, 3]`` uint8: the state above its step, written when a path is given."""
        picture = add_strip(self.viewer.render(state), f"step {self.step_of(state)}")
        if save_path is not None:
            from PIL import Image  # Needed for pictures only.

            Image.fromarray(picture).save(save_path)
        return picture

    def animate(
        self, states: Sequence[Any], interval: int | None = None, save_path: StrPath | None = None
    ) -> np.ndarray:
        """Returns ``[F, H, W, 3]`` uint8 frames, written as a GIF when a path is given.

        Below each is which step it shows, and that of the last: ``step 7 of 23``.

        Args:
            states: an episode or some of its states, first state first.
            interval: milliseconds per frame, or None for ``frame_milliseconds``.
            save_path: file to write, or None.

        Raises:
            ValueError: if there is no state.
        """
        check_states(states)
        states = jax.device_get(list(states))
        camera = self.viewer.follow(states)
        last = self.step_of(states[-1])
        frames = [
            add_strip(self.viewer.render(state, camera), f"step {self.step_of(state)} of {last}")
            for state in states
        ]
        if save_path is not None:
            save_gif(frames, interval or self.frame_milliseconds, save_path)
        return np.stack(frames)


def next_timestep(
    observation: Observation,
    reward: Array,
    is_last: Array,
    is_terminated: Array,
    extras: dict[str, Array],
) -> TimeStep[Observation]:
    """Returns the time step after a step; ``jumanji.types.restart`` makes that of a reset.

    Args:
        observation: of the new state.
        reward: ``[]`` of the team.
        is_last: ``[]`` bool, True if the episode is over.
        is_terminated: ``[]`` bool, True if it is so by the rules and not by the time limit.
        extras: float32 scalars.
    """
    return TimeStep(
        step_type=jnp.where(is_last, StepType.LAST, StepType.MID),
        reward=reward.astype(jnp.float32),
        discount=1.0 - is_terminated.astype(jnp.float32),
        observation=observation,
        extras=extras,
    )


def in_types_of(tree: PyTree, example: PyTree) -> PyTree:
    """Returns a tree with the dtypes of another: that jax may count in 64 bits does not show."""
    return jax.tree.map(lambda x, like: jnp.asarray(x, like.dtype), tree, example)


def rising_order(distance: Array) -> Array:
    """Returns the ``[M]`` int32 indices that sort ``[M]`` distances, the first of equals first.

    It compares all pairs: XLA's sort is slower on a CPU for so few.

    >>> rising_order(jnp.array([3.0, 1.0, jnp.inf, 1.0])).tolist()
    [1, 3, 0, 2]
    """
    place = jnp.arange(len(distance))
    is_tie_before = (distance[:, None] == distance) & (place[:, None] < place)
    rank = jnp.sum((distance[:, None] < distance) | is_tie_before, axis=0)
    return jnp.argmax(rank[None] == place[:, None], axis=1)


def check_states(states: Sequence[Any]) -> None:
    """Raises a ValueError unless there is something to animate."""
    if len(states) == 0:
        raise ValueError("Expected at least one state to animate, got none.")


def add_strip(picture: np.ndarray, text: str) -> np.ndarray:
    """Returns ``[H + STRIP_PIXELS, W, 3]`` uint8: a picture above a strip with a text.

    Args:
        picture: ``[H, W, 3]`` uint8.
        text: of one line.
    """
    from PIL import Image, ImageDraw, ImageFont  # Needed for pictures only.

    width = picture.shape[1]
    strip = Image.new("RGB", (width, STRIP_PIXELS), STRIP_COLOUR)
    middle, font = (width / 2, STRIP_PIXELS / 2), ImageFont.load_default(size=17)
    ImageDraw.Draw(strip).text(middle, text, STRIP_TEXT_COLOUR, font, anchor="mm")
    return np.concatenate([picture, np.asarray(strip)])


def save_gif(frames: Sequence[np.ndarray], interval: int, path: StrPath) -> None:
    """Saves ``[H, W, 3]`` uint8 frames, ``interval`` ms each; it rests on the last for 1.5 s."""
    from PIL import Image  # Needed for pictures only.

    Path(path).parent.mkdir(parents=True, exist_ok=True)
    palette = Image.fromarray(frames[0]).quantize(64)
    images = [
        Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE)
        for frame in frames
    ]
    images[0].save(
        path,
        format="GIF",
        save_all=True,
        append_images=images[1:],
        duration=[interval] * (len(images) - 1) + [max(interval, 1500)],
        loop=0,
    )
