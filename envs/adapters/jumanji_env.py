"""A multi-agent jumanji environment under our protocol: flat views, one team reward."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jumanji import specs
from jumanji.types import TimeStep, restart

from envs.adapters.actions import Actions, BoxActions, DiscreteActions, make_box
from envs.adapters.common import Adapter, with_clock_at_zero
from envs.base import add_strip, check_states, next_timestep, save_gif
from oatrpo_jax.types import Observation, PyTree, StrPath, strongly_typed

GOALS = {
    "percent_eaten": 100.0,
    "ratio_connections": 1.0,
    "ratio_dirty_tiles": 0.0,
    "targets_remaining": 0.0,
}
"""By entry of jumanji's extras: its value when the team has reached its goal."""

SHOWN_ONLY = ("targets_remaining",)
"""Such entries that jumanji tells of in the observation and not in the extras."""

CLOCKS = ("step_count", "step")
"""What jumanji's states call the steps so far."""

BOARDS = ("grid", "adj_matrix")
"""Fields of observations that show the same to all, be they as long as there are agents."""


class State(NamedTuple):
    """What an episode needs to go on.

    Attributes:
        game: jumanji's state.
        is_over: ``[]`` bool, True once the episode has ended.
    """

    game: PyTree
    is_over: Array


class JumanjiEnv(Adapter):
    """A cooperative jumanji environment.

    An agent sees its rows of what jumanji shows by agent, and all that it shows to all; integers
    between known bounds are scaled to [0, 1].  A grid that tells agents by numbers (Connector) is
    seen as planes: own and others' paths, heads and targets.  The global state is everything once.

    An episode is terminated if its last discount is 0 and it would have ended with the clock at
    zero too; it is truncated otherwise.  An agent whose discount is 0 earlier is inactive.

    Args:
        game: jumanji's environment.
        reward: ``"sum"`` or ``"mean"`` of the agents' rewards; without effect where jumanji gives
            one reward for all.
        agent_id: append the one-hot index of the agent to its view.
    """

    def __init__(self, game: Any, *, reward: str = "sum", agent_id: bool = False) -> None:
        self.game = game
        actions = actions_of_team(game)
        super().__init__(["agent"] * game.num_agents, actions, reward, agent_id)

    def reset(self, key: Array) -> tuple[State, TimeStep[Observation]]:
        """Returns a fresh state and its first time step."""
        game, timestep = self.game.reset(key)
        state = State(strongly_typed(game), jnp.array(False))
        seen = self._observation(timestep.observation, jnp.ones(self.num_agents, bool))
        return state, restart(seen, team_extras(timestep), dtype=jnp.float32)

    def step(self, state: State, action: Array) -> tuple[State, TimeStep[Observation]]:
        """Returns the state and time step that follow.

        Args:
            state: episode so far.
            action: ``[N]`` int32, or ``[N, D]`` float32 raw actions.
        """
        orders = jnp.stack(self.actions.orders(action))
        game, timestep = self.game.step(state.game, orders)
        discount = jnp.broadcast_to(timestep.discount, (self.num_agents,))
        is_last = timestep.last() | state.is_over
        is_termination = timestep.last() & jnp.all(discount == 0)
        begun = with_clock_at_zero(state.game, *CLOCKS)
        if begun is not None:
            is_termination &= self.game.step(begun, orders)[1].last()
        return State(strongly_typed(game), is_last), next_timestep(
            self._observation(timestep.observation, is_last | (discount > 0)),
            self.team_reward(timestep.reward),
            is_last,
            is_termination,
            team_extras(timestep),
        )

    def animate(
        self, states: list[State], interval: int = 200, save_path: StrPath | None = None
    ) -> np.ndarray:
        """Returns ``[F, H, W, 3]`` uint8: jumanji's pictures of an episode above their steps.

        Args:
            states: a whole episode, first state first: steps are counted by their places.
            interval: milliseconds per frame.
            save_path: file to write as a GIF, or None.

        Raises:
            ValueError: if there is no state.
        """
        check_states(states)
        from envs.adapters.jumanji_viewer import draw_frames  # matplotlib is slow to import.

        games, last = [jax.device_get(state.game) for state in states], len(states) - 1
        pictures = draw_frames(self.game.animate(games, interval))
        first = len(states) - len(pictures)  # MMST draws steps, and nothing of the first state.
        frames = [
            add_strip(picture, f"step {step} of {last}")
            for step, picture in enumerate(pictures, first)
        ]
        if save_path is not None:
            save_gif(frames, interval, save_path)
        return np.stack(frames)

    def _observation(self, seen: PyTree, active: Array) -> Observation:
        shown = dict(fields(seen))
        legal = shown.pop("action_mask", None)
        if type(self.game).__name__ == "Connector":
            return self._connector_observation(shown["grid"], legal, active)
        own, common = [], []
        for name, value in shown.items():
            scaled = scale(value, self.game.observation_spec[name])
            for leaf in jax.tree.leaves(scaled):
                is_own = leaf.shape[:1] == (self.num_agents,) and name not in BOARDS
                (own if is_own else common).append(leaf)
        flat_common = jnp.concatenate(
            [leaf.reshape(leaf.size) for leaf in common] or [jnp.zeros(0)]
        )
        rows = [leaf.reshape(self.num_agents, -1) for leaf in own]
        views = [
            jnp.concatenate([*(row[n] for row in rows), flat_common])
            for n in range(self.num_agents)
        ]
        world = jnp.concatenate([*(row.reshape(row.size) for row in rows), flat_common])
        return self.observe(views, None if legal is None else list(legal), world, active)

    def _connector_observation(self, grid: Array, legal: Array, active: Array) -> Observation:
        """Returns what an agent sees of Connector's grid of numbers.

        0 is empty; ``1 + 3 n``, ``2 + 3 n`` and ``3 + 3 n`` are path, head and target of agent n.
        """
        is_kind = (grid > 0) & (jnp.arange(3)[:, None, None] == (grid - 1) % 3)
        owner = jnp.where(grid > 0, (grid - 1) // 3, -1)
        is_own = owner == jnp.arange(self.num_agents)[:, None, None]
        planes = jnp.concatenate(
            [is_kind[None] & is_own[:, None], is_kind[None] & ~is_own[:, None]], axis=1
        )
        world = jnp.concatenate([is_kind, (owner + 1)[None] / self.num_agents])
        return self.observe(list(planes), list(legal), world, active)


def actions_of_team(game: Any) -> Actions:
    """Returns the agents' actions; a ValueError unless each has one that is discrete or a vector.

    A vector is one of real numbers between bounds.
    """
    spec, name = game.action_spec, f"jumanji's {type(game).__name__}"
    if isinstance(spec, specs.MultiDiscreteArray) and spec.shape == (game.num_agents,):
        return DiscreteActions(tuple(np.asarray(spec.num_values).tolist()))
    is_bounded = type(spec) is specs.BoundedArray and jnp.issubdtype(spec.dtype, jnp.floating)
    if not (is_bounded and spec.shape[:-1] == (game.num_agents,)):
        raise ValueError(
            f"Expected one discrete action, or one vector between bounds, for each of "
            f"{game.num_agents} agents, but {name} takes {spec}. Choose another environment."
        )
    low, high = (np.broadcast_to(end, spec.shape) for end in (spec.minimum, spec.maximum))
    return BoxActions(
        tuple(
            make_box(f"{name}: agent {agent}", *ends, spec.shape[1:])
            for agent, ends in enumerate(zip(low, high, strict=True))
        )
    )


def fields(observation: Any) -> Iterator[tuple[str, PyTree]]:
    """Yields name and value of each part of jumanji's observation."""
    names = getattr(observation, "_fields", None) or observation.__dataclass_fields__
    return ((name, getattr(observation, name)) for name in names)


def scale(value: PyTree, spec: specs.Spec) -> PyTree:
    """Returns float32 leaves; integers that the spec bounds are scaled to [0, 1]."""
    if isinstance(spec, specs.BoundedArray) and jnp.issubdtype(spec.dtype, jnp.integer):
        low, high = np.asarray(spec.minimum), np.asarray(spec.maximum)
        return (value - low) / np.maximum(high - low, 1).astype(np.float32)
    return jax.tree.map(lambda leaf: leaf.astype(jnp.float32), value)


def team_extras(timestep: Any) -> dict[str, Array]:
    """Returns jumanji's scalars as float32, and ``success`` where it is not told but follows."""
    seen = timestep.observation
    shown = {name: getattr(seen, name) for name in SHOWN_ONLY if hasattr(seen, name)}
    scalars = {
        name: jnp.asarray(value, jnp.float32)
        for name, value in (shown | (timestep.extras or {})).items()
        if jnp.ndim(value) == 0
    }
    goals = [scalars[name] == value for name, value in GOALS.items() if name in scalars]
    return ({"success": goals[0].astype(jnp.float32)} if goals else {}) | scalars
