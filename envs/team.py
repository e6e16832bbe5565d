"""What environments of a team have in common: specs, and pictures in a file."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jumanji import specs
from jumanji.env import Environment

from oatrpo_jax.types import Observation


class TeamEnvironment(Environment):
    """An environment of ``num_agents`` agents with ``num_actions`` actions each, and one reward.

    The specs are read off what `reset` shows, when they are asked for: jumanji would make them with
    the environment, but training needs none, and their arrays take most of a second to compile.
    """

    num_agents: int
    num_actions: int

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
    def action_spec(self) -> specs.MultiDiscreteArray:
        """Returns the spec of one action per agent."""
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


def save_gif(frames: Sequence[np.ndarray], interval: int, path: str) -> None:
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
