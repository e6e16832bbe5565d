"""One match on the original engine: scenario, buttons, what can be seen, what ends an episode.

It talks to ``gfootball_engine`` itself, as ``gfootball.env`` does, which would need an old gym.
It runs inside of a host callback, where JAX must not be called: numpy alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import Any

import numpy as np

from envs.football.scenarios import EPISODE_STEPS, get_scenario
from envs.football.types import End
from oatrpo_jax.installation import NotInstalled

INSTALL = (
    "install the system packages of docs/football-bridge.md, then: pip install psutil setuptools "
    "wheel && pip install --no-build-isolation --no-deps gfootball==2.10.2"
)

HELD = ("left", "top_left", "top", "top_right", "right", "bottom_right", "bottom", "bottom_left")
HELD += ("sprint", "dribble")
"""Buttons that stay held, in the order of `Facts.sticky`."""

ACTIONS = ("idle", *HELD[:8], "long_pass", "high_pass", "short_pass", "shot", "sprint")
ACTIONS += ("release_direction", "release_sprint", "sliding", "dribble", "release_dribble")
"""The engine's names of our actions 0 to 18; it releases the buttons that are not held itself."""

Moment = dict[str, np.ndarray]
"""The fields of `Facts`, by name."""

_ELEVEN = "GK LB CB CB RB CM CM CM LM RM CF"
ROLES = {
    "academy_pass_and_shoot_with_keeper": ("GK CB CB", "GK CB"),
    "academy_3_vs_1_with_keeper": ("GK CM CM CM", "GK CB"),
    "academy_counterattack_easy": (_ELEVEN, _ELEVEN),
    "academy_counterattack_hard": (_ELEVEN, _ELEVEN),
}
"""Roles of both teams' players, which steer those that no agent controls."""


def load_engine() -> Any:
    """Returns the module ``gfootball_engine``; an ImportError says how to install it."""
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")  # It opens a window, if it can.
    try:
        return import_module("gfootball_engine")
    except ImportError as error:
        raise NotInstalled(
            "Google Research Football: expected the package gfootball_engine, which is not "
            f"installed ({error}); {INSTALL}"
        ) from error


class Match:
    """An instance of the engine, one episode of a scenario after another; about 60 MB.

    The engine keeps the instance at work per thread, so each call must stay within one thread.

    Attributes:
        end: why the episode is over, if it is; the clock is not looked at.
    """

    def __init__(self, scenario: str) -> None:
        self._engine = load_engine()
        self._name, self._scenario = scenario, get_scenario(scenario)
        self._buttons = [getattr(self._engine.e_BackendAction, name) for name in ACTIONS]
        self._held = [getattr(self._engine.e_BackendAction, name) for name in HELD]
        self._game = self._engine.GameEnv()
        self._game.game_config.physics_steps_per_frame = 10  # Ten decisions a second.
        self._game.start_game()
        self.end = End.NOT

    def start(self, seed: int, is_reversed: bool) -> None:
        """Begins an episode.

        Args:
            seed: of the engine's random numbers, in [0, 2^31).
            is_reversed: the right team is processed before the left in each step.
        """
        self._game.reset(self._config(seed, is_reversed), False)
        while not self._game.get_info().is_in_play:
            self._game.step()
        self.end = End.NOT
        self._possession = -1

    def step(self, actions: Iterable[int]) -> None:
        """Plays on for 0.1 s of the game, or until the ball is in play again.

        Args:
            actions: one of 0 to 18 per agent.
        """
        for agent, action in enumerate(actions):
            self._game.perform_action(self._buttons[action], True, agent)
        self._game.step()
        while not (info := self._game.get_info()).is_in_play:
            self._game.step()
        self.end = self._judge(info)

    def facts(self) -> Moment:
        """Returns what can be seen, as numpy arrays."""
        info = self._game.get_info()
        left, left_direction = _rows(info.left_team)
        right, right_direction = _rows(info.right_team)
        agents = range(len(self._scenario.active))
        held = [
            [self._game.sticky_action_state(button, True, agent) for button in self._held]
            for agent in agents
        ]
        active = [info.left_controllers[agent].controlled_player for agent in agents]
        return {
            "left": left,
            "left_direction": left_direction,
            "right": right,
            "right_direction": right_direction,
            "ball": _vector(info.ball_position, 3),
            "ball_direction": _vector(info.ball_direction, 3),
            "owned_team": np.asarray(info.ball_owned_team, np.int32),
            "owned_player": np.asarray(info.ball_owned_player, np.int32),
            "active": np.asarray(active, np.int32),
            "sticky": np.asarray(held, bool),
            "game_mode": np.asarray(int(info.game_mode), np.int32),
        }

    def _judge(self, info: Any) -> End:
        """Returns whether the step that led here ended the episode, and remembers possession."""
        before, owner = self._possession, info.ball_owned_team
        self._possession = before if owner == -1 else owner
        if info.left_goals or info.right_goals:
            return End.GOAL if info.left_goals else End.CONCEDED
        if int(info.game_mode) != 0:  # Whatever stops play: ball out, a foul.
            return End.OUT
        return End.LOST if -1 not in (before, owner) and before != owner else End.NOT

    def _config(self, seed: int, is_reversed: bool) -> Any:
        """Returns a new configuration; the engine changes the one it is given."""
        scenario, config = self._scenario, self._engine.ScenarioConfig.make()
        config.game_duration = EPISODE_STEPS
        config.deterministic = config.offsides = False
        config.end_episode_on_score = config.end_episode_on_out_of_play = True
        config.end_episode_on_possession_change = True
        config.left_agents, config.right_agents = len(scenario.active), 0
        config.game_engine_random_seed = seed
        config.reverse_team_processing = is_reversed
        for axis, coordinate in enumerate(scenario.ball):
            config.ball_position[axis] = coordinate
        left_roles, right_roles = ROLES[self._name]
        self._place(config.left_team, scenario.left, left_roles)
        # Each team is described as if it played from left to right.
        mirrored = [(0.0 - x, 0.0 - y) for x, y in scenario.right]
        self._place(config.right_team, mirrored, right_roles)
        return config

    def _place(self, team: Any, places: Sequence[tuple[float, float]], roles: str) -> None:
        for (x, y), role in zip(places, roles.split(), strict=True):
            kind = getattr(self._engine.e_PlayerRole, f"e_PlayerRole_{role}")
            is_lazy, is_controllable = False, True
            team.append(self._engine.FormationEntry(x, y, kind, is_lazy, is_controllable))


def _rows(team: Any) -> tuple[np.ndarray, np.ndarray]:
    """Returns ``[players, 2]`` positions and directions."""
    players = list(team)
    places = [_vector(player.position, 2) for player in players]
    return np.stack(places), np.stack([_vector(player.direction, 2) for player in players])


def _vector(place: Any, size: int) -> np.ndarray:
    return np.array([place[axis] for axis in range(size)], np.float32)
