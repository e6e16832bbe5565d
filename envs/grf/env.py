"""The original engine as an environment: the same interface, rules and rewards as the academy's."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, cast, get_args

import jax
import jax.numpy as jnp
from jax import Array
from jumanji.types import TimeStep, restart

from envs.choices import check_choice
from envs.football.env import Football, RewardMode, View
from envs.football.observation import Facts
from envs.football.scenarios import EPISODE_STEPS
from envs.football.types import End
from envs.grf.engine import Match
from envs.grf.pool import Pool
from oatrpo_jax.types import Observation

FirstTeam = Literal["either", "left", "right"]

ENGINE_BYTES = 60e6
"""Memory of an engine."""


class HostState(NamedTuple):
    """An episode in progress: what the engine needs to get there, and what is seen there.

    Attributes:
        key: PRNG key that the engine's seed and the order of the teams come from.
        step_count: ``[]`` int32 steps taken.
        history: ``[T, A]`` int8 actions taken so far, 0 from ``step_count`` on.
        moment: what can be seen.
        checkpoints: ``[A]`` int32 checkpoints collected.
        end: ``[]`` int32 `End`.
    """

    key: Array
    step_count: Array
    history: Array
    moment: Facts
    checkpoints: Array
    end: Array


class GoogleFootball(Football):
    """An academy scenario of Google Research Football 2.10.2, played by the engine itself.

    Views, options and ``extras`` are those of `Football`; ``out`` holds whatever stops play, a
    foul too.  A step calls the host once for all environments of a batch, whatever the nesting
    of `jax.vmap`.

    Args:
        scenario: one of ``scenarios.SCENARIO_NAMES``.
        observation: as `Football` has it.
        reward_mode: as `Football` has it.
        time_limit: steps of 0.1 s until truncation.
        first_team: which team the engine processes first in a step.  It decides who wins close
            duels; the original fixes it for an instance's life, by the parity of its first seed.
            ``"either"`` lets each episode's key decide.
        max_engines: engines to hold at most; more episodes than that in progress are played
            again from their start in every step.

    Raises:
        ImportError: if the engine is not installed, saying how to install it.
    """

    engine = "Google Research Football"

    def __init__(
        self,
        scenario: str = "academy_3_vs_1_with_keeper",
        observation: View = "relative",
        reward_mode: RewardMode = "mean",
        time_limit: int = EPISODE_STEPS + 1,
        first_team: FirstTeam = "either",
        max_engines: int = 128,
    ) -> None:
        check_choice("first_team", first_team, get_args(FirstTeam))
        if max_engines < 1:
            raise ValueError(f"Expected max_engines >= 1, got {max_engines}. Raise it.")
        self._first_team, self._max_engines = first_team, max_engines
        self._pool = Pool(lambda: Match(scenario), max_engines)
        # Scenarios always start alike, whatever the seed.
        self._kickoff = self._pool.start(seed=0, is_reversed=first_team == "right")
        super().__init__(scenario, observation, reward_mode, time_limit)

    def __repr__(self) -> str:
        return f"GoogleFootball({self.name!r}, {self.num_agents} agents)"

    def check_episodes(self, number: int) -> None:
        """Raises a ValueError if so many episodes in progress are more than there are engines."""
        if number > self._max_engines:
            raise ValueError(
                f"Expected at most max_engines = {self._max_engines} episodes in progress, got "
                f"{number}: in every step, all of them would be played again from their start. "
                f"Lower that number, or set max_engines={number} by --env-option "
                f"({number * ENGINE_BYTES / 1e9:.1f} GB)."
            )

    def reset(self, key: Array) -> tuple[HostState, TimeStep[Observation]]:
        """Returns the start of the scenario, which is always the same, and its first time step."""
        state = HostState(
            key=key,
            step_count=jnp.int32(0),
            history=jnp.zeros((self.time_limit, self.num_agents), jnp.int8),
            moment=Facts(**jax.tree.map(jnp.asarray, self._kickoff)),
            checkpoints=jnp.zeros(self.num_agents, jnp.int32),
            end=jnp.int32(End.NOT),
        )
        shown = cast(Any, state)
        return state, restart(self._observe(shown), self._extras(shown), dtype=jnp.float32)

    def step(self, state: HostState, action: Array) -> tuple[HostState, TimeStep[Observation]]:
        """Returns the game 0.1 s later and its time step.

        After an episode's end every time step is LAST and pays 0, and the game stands still.

        Args:
            state: of the game.
            action: ``[A]`` int32, 0 to 18, in the engine's order.
        """
        was_over = state.end != End.NOT
        after = self._play(state, action.astype(jnp.int8), was_over)
        after = jax.tree.map(lambda old, new: jnp.where(was_over, old, new), state, after)
        return cast(Any, self._pay(cast(Any, after), was_over))

    def facts(self, state: HostState) -> Facts:
        """Returns what can be seen of a state, in environment units."""
        return state.moment

    def _play(self, state: HostState, action: Array, was_over: Array) -> HostState:
        """Returns the state after the engine's step, checkpoints as before."""
        bits = jax.random.bits(state.key, (2,), jnp.uint32)
        drawn = bits[1] % 2 == 1
        is_reversed = {"either": drawn, "left": jnp.bool_(False), "right": jnp.bool_(True)}
        shape = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), self._kickoff)
        moment, end = jax.pure_callback(
            self._pool.step,
            (shape, jax.ShapeDtypeStruct((), jnp.int32)),
            bits[0] >> 1,  # The engine's own seeds have 31 bits.
            is_reversed[self._first_team],
            state.step_count,
            state.history,
            action,
            was_over,
            vmap_method="broadcast_all",
        )
        step_count = state.step_count + 1
        is_late = (end == End.NOT) & (step_count >= self.time_limit)
        return state._replace(
            step_count=step_count,
            history=state.history.at[state.step_count].set(action),
            moment=Facts(**moment),
            end=jnp.where(is_late, End.TIME, end).astype(jnp.int32),
        )
