"""What the agents of an adapted environment may do: one of some actions, or a vector in a box."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array


class Actions(Protocol):
    """The actions of some agents.

    Attributes:
        is_continuous: are they vectors?
        sizes: by agent, how many actions there are, or how many dimensions an action has.
    """

    is_continuous: ClassVar[bool]

    @property
    def sizes(self) -> tuple[int, ...]: ...

    def orders(self, action: Array) -> list[Array]:
        """Returns what the library takes of each agent, from our action of all."""
        ...

    def draw(self, key: Array, agent: int) -> Array:
        """Returns what the library takes of one agent, uniformly at random."""
        ...


@dataclass(frozen=True)
class DiscreteActions:
    """Agent n has ``sizes[n]`` actions; ours is ``[N]`` int32, which the library takes as it is."""

    is_continuous: ClassVar[bool] = False
    sizes: tuple[int, ...]

    def orders(self, action: Array) -> list[Array]:
        """Returns ``[]`` int32 per agent from ``[N]`` int32."""
        return list(action)

    def draw(self, key: Array, agent: int) -> Array:
        """Returns a ``[]`` int32 action of an agent."""
        return jax.random.randint(key, (), 0, self.sizes[agent], jnp.int32)


class Box(NamedTuple):
    """Bounds of one agent's actions, each ``[D]`` float32."""

    low: np.ndarray
    high: np.ndarray


@dataclass(frozen=True)
class BoxActions:
    """Agent n acts in ``boxes[n]``; ours is ``[N, D]`` float32 raw actions, D that of the largest.

    The dimensions that an agent does not have are ignored.
    """

    is_continuous: ClassVar[bool] = True
    boxes: tuple[Box, ...]

    @property
    def sizes(self) -> tuple[int, ...]:
        """Returns the dimensions of each agent's box."""
        return tuple(len(box.low) for box in self.boxes)

    def orders(self, action: Array) -> list[Array]:
        """Returns ``[D_n]`` float32 in its box per agent, from ``[N, D]`` raw actions."""
        return [
            into_box(action[agent, : len(box.low)], box) for agent, box in enumerate(self.boxes)
        ]

    def draw(self, key: Array, agent: int) -> Array:
        """Returns a ``[D_n]`` float32 action of an agent."""
        low, high = self.boxes[agent]
        return jax.random.uniform(key, low.shape, jnp.float32, low, high)


def into_box(raw: Array, box: Box) -> Array:
    """Returns raw actions mapped into a box: -1 to its low end, 1 to its high one, then clipped.

    >>> into_box(jnp.array([-3.0, 0.0, 1.0]), Box(np.zeros(3, "f"), np.full(3, 8, "f"))).tolist()
    [0.0, 4.0, 8.0]

    Args:
        raw: ``[D]`` float32 real numbers.
        box: ``[D]`` bounds.
    """
    low, high = jnp.asarray(box.low), jnp.asarray(box.high)
    return low + (high - low) * (jnp.clip(raw, -1.0, 1.0) + 1.0) / 2.0


def make_box(whose: str, low: Any, high: Any, shape: tuple[int, ...]) -> Box:
    """Returns a box from bounds that broadcast to its shape.

    Args:
        whose: whose actions, such as ``"SimpleSpreadMPE: agent_0"``; begins a message.
        low: the least values.
        high: the greatest values.
        shape: of an action.

    Raises:
        ValueError: actions that are no vectors, bounds that are not finite or not in order.
    """
    if len(shape) != 1 or shape[0] == 0:
        raise ValueError(
            f"{whose}: expected a vector as action, got shape {tuple(shape)}; flatten it first"
        )
    box = Box(*(np.broadcast_to(np.asarray(end, np.float32), shape) for end in (low, high)))
    if not (np.isfinite(box.low) & np.isfinite(box.high) & (box.low < box.high)).all():
        raise ValueError(
            f"{whose}: expected actions between finite bounds, since raw actions are mapped into "
            f"them, got from {box.low.tolist()} to {box.high.tolist()}; wrap the environment in "
            "one that has such bounds"
        )
    return box


def actions_of(name: str, spaces: Mapping[str, Any]) -> Actions:
    """Returns the actions that spaces like Gym's describe: with ``n``, or with low and high.

    Args:
        name: of the environment, for messages.
        spaces: space of the actions by agent.

    Raises:
        ValueError: other spaces, boxes that `make_box` refuses, or agents of both kinds.
    """
    kinds = {agent: _kind(space) for agent, space in spaces.items()}
    if other := [agent for agent, kind in kinds.items() if kind is None]:
        space = spaces[other[0]]
        raise ValueError(
            f"Expected discrete actions or vectors in a box, but {name} gives {other[0]} a "
            f"{type(space).__name__}; choose another environment, or wrap it."
        )
    if len(set(kinds.values())) > 1:
        listed = ", ".join(f"{agent}: {kind}" for agent, kind in kinds.items())
        raise ValueError(
            f"Expected all agents to have discrete actions, or all actions in a box, but those of "
            f"{name} differ ({listed}); choose another environment, or wrap it."
        )
    if set(kinds.values()) == {"discrete"}:
        return DiscreteActions(tuple(int(space.n) for space in spaces.values()))
    return BoxActions(
        tuple(
            make_box(f"{name}: {agent}", space.low, space.high, space.shape)
            for agent, space in spaces.items()
        )
    )


def _kind(space: Any) -> str | None:
    """Returns ``"discrete"`` or ``"box"``; None for any other space."""
    if hasattr(space, "n"):
        return "discrete"
    return "box" if hasattr(space, "low") and hasattr(space, "high") else None
