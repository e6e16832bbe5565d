"""The maze: agents of several colours, one team reward, and no sight of one's own colour."""

from __future__ import annotations

import math
from functools import cached_property

import jax
import jax.numpy as jnp
import numpy as np
from jumanji.types import TimeStep, restart

from envs.base import DrawnEnvironment, Viewer, next_timestep
from envs.choices import check_choice
from envs.maze.layouts import GAMES, Layout, local_views, parse_layout
from envs.maze.paths import expected_longest, next_locations, start_lengths
from envs.maze.types import Action, Cell, State
from oatrpo_jax.types import Observation


class Maze(DrawnEnvironment):
    """Agents walk to the target through cells that may be closed to their colour.

    An agent sees the 3x3 cells around it and its own location, but neither its colour nor who it
    is: in the same cell, red and black see the same and should do the opposite.

    Team reward per step, in units of "all agents have arrived"::

        (arrivals in this step - step_cost * agents not arrived before it) / num_agents

    so that an episode in which all arrive returns ``1 - step_cost * mean steps to arrive``.

    ``extras`` on each step: ``success`` (1 when all have arrived), ``arrived`` (share of agents),
    and, 0 until all have arrived, ``optimality`` (shortest possible / achieved episode length)
    and ``path_optimality`` (the same for the sum over agents of their steps to arrive; it also
    sees detours of agents that are not the last to arrive).  ``optimal_episode_length`` is the
    expected length of an episode in which each agent takes a shortest way.

    >>> env = Maze("black-red", num_per_colour=1)
    >>> state, timestep = env.reset(jax.random.key(0))
    >>> timestep.observation.agents_view.shape
    (2, 135)
    """

    num_actions = len(Action)
    frame_milliseconds = 200

    def __init__(
        self,
        game: str = "black-red",
        *,
        num_per_colour: int | None = None,
        layout: Layout | str | None = None,
        step_cost: float = 0.01,
        time_limit: int = 100,
        observe_agent_id: bool = False,
    ) -> None:
        """Makes a game of `GAMES`.

        Args:
            game: decides the colours, and the map where `layout` is None.
            num_per_colour: agents of each colour; None for the game's own number.
            layout: a map of one's own, as text or parsed.
            step_cost: cost of an agent's step, as a share of what its arrival brings.
            time_limit: steps after which the episode is truncated.
            observe_agent_id: whether an agent's view ends with its one-hot index.
        """
        check_choice("game", game, GAMES)
        layout = GAMES[game].text if layout is None else layout
        self.layout = parse_layout(layout) if isinstance(layout, str) else layout
        num_per_colour = GAMES[game].num_per_colour if num_per_colour is None else num_per_colour
        _check_options(num_per_colour, step_cost)
        self.agent_types = tuple(np.repeat(GAMES[game].colours, num_per_colour).tolist())
        self.num_agents: int = len(self.agent_types)
        self.step_cost = step_cost
        self.time_limit = time_limit
        self.observe_agent_id = observe_agent_id

        lengths = [start_lengths(self.layout, colour) for colour in self.agent_types]
        _check_time_limit(time_limit, longest=int(np.max(lengths)))
        self.optimal_episode_length = expected_longest(lengths)

        width = self.layout.cells.shape[1]
        self._start_location = jnp.asarray(self.layout.starts @ np.array([width, 1], np.int32))
        self._start_length = jnp.asarray(np.stack(lengths))
        self._next_location = jnp.asarray(
            np.stack([next_locations(self.layout, colour) for colour in self.agent_types])
        )
        self._is_target = jnp.asarray(np.ravel(self.layout.cells == Cell.TARGET))
        # One number per cell: the map never changes, and one-hot it would swell the critic.
        self._map = jnp.asarray(np.ravel(self.layout.cells) / max(Cell), jnp.float32)
        self._view = jnp.asarray(local_views(self.layout))

    def __repr__(self) -> str:
        return f"Maze(agents={self.agent_types}, time_limit={self.time_limit})"

    def reset(self, key: jax.Array) -> tuple[State, TimeStep[Observation]]:
        """Returns a state with agents on independent, evenly drawn start cells, and a time step."""
        key, start_key = jax.random.split(key)
        agents = jnp.arange(self.num_agents)
        start = jax.random.randint(start_key, agents.shape, 0, self._start_location.shape[0])
        state = State(
            key=key,
            location=self._start_location[start],
            arrived=jnp.zeros(agents.shape, bool),
            steps_taken=jnp.zeros(agents.shape, jnp.int32),
            shortest_length=self._start_length[agents, start],
            step_count=jnp.zeros((), jnp.int32),
        )
        timestep = restart(self._observe(state), _episode_summary(state), dtype=jnp.float32)
        return state, timestep

    def step(self, state: State, action: jax.Array) -> tuple[State, TimeStep[Observation]]:
        """Returns the state and time step after agent ``n`` has tried ``action[n]``."""
        location = self._next_location[jnp.arange(self.num_agents), state.location, action]
        is_walking = ~state.arrived
        next_state = state._replace(
            location=location,
            arrived=self._is_target[location],
            steps_taken=state.steps_taken + is_walking.astype(jnp.int32),
            step_count=state.step_count + 1,
        )
        arrivals = jnp.sum(next_state.arrived & is_walking)
        cost = self.step_cost * jnp.sum(is_walking).astype(jnp.float32)
        reward = (arrivals.astype(jnp.float32) - cost) / self.num_agents
        is_terminated = jnp.all(next_state.arrived)
        is_last = is_terminated | (next_state.step_count >= self.time_limit)
        return next_state, next_timestep(
            self._observe(next_state),
            reward,
            is_last,
            is_terminated,
            _episode_summary(next_state),
        )

    def _observe(self, state: State) -> Observation:
        location = jax.nn.one_hot(state.location, len(self._map), dtype=jnp.float32)
        view = [self._view[state.location], location]
        if self.observe_agent_id:
            view.append(jnp.eye(self.num_agents, dtype=jnp.float32))
        return Observation(
            agents_view=jnp.concatenate(view, axis=-1),
            # A forbidden move is legal to try: masking it would tell an agent its colour.
            action_mask=jnp.ones((self.num_agents, self.num_actions), bool),
            global_state=jnp.concatenate(
                [self._map, jnp.ravel(location), state.arrived.astype(jnp.float32)]
            ),
            active=~state.arrived,
        )

    @cached_property
    def viewer(self) -> Viewer:
        """Returns the renderer of this map."""
        from envs.maze.viewer import MazeViewer  # matplotlib is slow to import

        return MazeViewer(self.layout, self.agent_types)


def _episode_summary(state: State) -> dict[str, jax.Array]:
    """Returns the float32 scalars of `TimeStep.extras`; `Maze` says what they mean."""
    success = jnp.all(state.arrived).astype(jnp.float32)
    shortest, taken = (x.astype(jnp.float32) for x in (state.shortest_length, state.steps_taken))
    longest, total = jnp.maximum(jnp.max(taken), 1.0), jnp.maximum(jnp.sum(taken), 1.0)
    return {
        "success": success,
        "arrived": jnp.mean(state.arrived, dtype=jnp.float32),
        "optimality": success * jnp.max(shortest) / longest,
        "path_optimality": success * jnp.sum(shortest) / total,
    }


def _check_options(num_per_colour: int, step_cost: float) -> None:
    if num_per_colour < 1:
        raise ValueError(f"Expected num_per_colour >= 1, got {num_per_colour}. Raise it.")
    if not (math.isfinite(step_cost) and step_cost >= 0):
        raise ValueError(f"Expected a finite step_cost >= 0, got {step_cost}. It is subtracted.")


def _check_time_limit(time_limit: int, longest: int) -> None:
    if time_limit < longest:
        raise ValueError(
            f"Expected time_limit >= {longest}, the length of the shortest way from the farthest "
            f"start, got {time_limit}. Raise it."
        )
