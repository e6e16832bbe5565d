"""The academy as an environment: rules, rewards, what is shown."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Literal, get_args

import jax
import jax.numpy as jnp
from jax import Array
from jumanji.types import TimeStep, restart

from envs.base import DrawnEnvironment, Viewer, in_types_of, next_timestep
from envs.choices import check_choice
from envs.football import observation as seen_as
from envs.football.calibration import Calibration
from envs.football.kicks import GOAL_HALF_WIDTH, GOAL_HEIGHT
from envs.football.physics import BALL_RADIUS
from envs.football.play import NUM_DRAWS, advance
from envs.football.scenarios import EPISODE_STEPS, GOAL_LINE, SIDE_LINE, get_scenario
from envs.football.start import facts, formation, start
from envs.football.types import NUM_ACTIONS, End, State
from oatrpo_jax.types import Observation

View = Literal["relative", "simple115v2"]
RewardMode = Literal["mean", "agent0", "sum"]
NUM_CHECKPOINTS = 10
CHECKPOINT_REWARD = 0.1


REWARD_MODES: dict[str, Callable[[Array], Array]] = {
    "mean": jnp.mean,
    "sum": jnp.sum,
    "agent0": lambda rewards: rewards[0],
}
"""How the agents' rewards become that of the team."""


class Football(DrawnEnvironment):
    """A few attackers with a ball in front of a goal: `academy (JAX)`.

    An episode terminates on a goal, when the ball leaves the pitch, or when the team that had the
    ball loses it (a keeper's save that he holds is one); it is truncated 40 s after kick-off.

    Each agent is paid 1 for a goal (-1 for one conceded) and 0.1 for each of ten circles around
    the opponents' goal that its own player carries the ball into, the rest of them on a goal.

    ``extras``: ``success`` (1 when we scored), ``checkpoints`` (mean share collected),
    ``conceded``, ``out``, ``lost``.

    Args:
        scenario: one of ``scenarios.SCENARIO_NAMES``.
        observation: ``"relative"``, from the player's own place, the same for all agents, or
            ``"simple115v2"``, the original engine's.
        reward_mode: the team's reward is the ``"mean"`` of the agents' rewards, their ``"sum"``,
            or that of ``"agent0"``, as HARL has it.
        time_limit: steps of 0.1 s until truncation; the original's 401.
        calibration: constants of the physics; leaves may be traced.
    """

    num_actions = NUM_ACTIONS
    frame_milliseconds = 100
    engine = "academy, JAX"
    """What plays, for the title of pictures."""

    def __init__(
        self,
        scenario: str = "academy_3_vs_1_with_keeper",
        observation: View = "relative",
        reward_mode: RewardMode = "mean",
        time_limit: int = EPISODE_STEPS + 1,
        calibration: Calibration | None = None,
    ) -> None:
        check_choice("observation", observation, get_args(View))
        check_choice("reward_mode", reward_mode, get_args(RewardMode))
        if time_limit < 1:
            raise ValueError(f"Expected time_limit >= 1, got {time_limit}. Raise it.")
        self.name, self.scenario = scenario, get_scenario(scenario)
        self.num_left = len(self.scenario.left)
        self.num_agents: int = len(self.scenario.active)
        self.agent_types = ("player",) * self.num_agents
        self.time_limit = time_limit
        self.calibration = calibration or Calibration()
        self.reward_mode = reward_mode
        self._view = seen_as.relative if observation == "relative" else seen_as.simple115
        self._formation = formation(self.scenario)

    def __repr__(self) -> str:
        return f"Football({self.name!r}, {self.num_agents} agents)"

    def reset(self, key: Array) -> tuple[State, TimeStep[Observation]]:
        """Returns the start of the scenario, which is always the same, and its first time step."""
        state = start(self.scenario, key)
        return state, restart(self._observe(state), self._extras(state), dtype=jnp.float32)

    def step(self, state: State, action: Array) -> tuple[State, TimeStep[Observation]]:
        """Returns the game 0.1 s later and its time step.

        After an episode's end every time step is LAST and pays 0.

        Args:
            state: of the game.
            action: ``[A]`` int32, 0 to 18, in the original engine's order.
        """
        return self.step_with(state, action, self.calibration)

    def step_with(
        self, state: State, action: Array, calibration: Calibration
    ) -> tuple[State, TimeStep[Observation]]:
        """Returns the same as `step` under other constants, which may be traced."""
        key, draw_key = jax.random.split(state.key)
        draws = jax.random.uniform(draw_key, (NUM_DRAWS,), jnp.float32)
        was_over = state.end != End.NOT
        after = advance(state, action, draws, self._formation, calibration)._replace(key=key)
        return self._pay(in_types_of(self._judge(after), state), was_over)

    def _judge(self, state: State) -> State:
        """Returns the state with the team in possession, and with the end if this step is one."""
        is_owned = (state.owner >= 0) & (state.windup != 0)
        team = jnp.where(state.owner < self.num_left, 0, 1)
        is_lost = is_owned & (state.possession >= 0) & (team != state.possession)
        x, y, z = state.ball
        is_over_line = jnp.abs(x) > GOAL_LINE + BALL_RADIUS
        in_goal = is_over_line & (jnp.abs(y) < GOAL_HALF_WIDTH) & (z < GOAL_HEIGHT)
        is_out = is_over_line | (jnp.abs(y) > SIDE_LINE + BALL_RADIUS)
        reasons = [
            (in_goal & (x > 0), End.GOAL),
            (in_goal & (x < 0), End.CONCEDED),
            (is_out, End.OUT),
            (is_lost, End.LOST),
            (state.step_count >= self.time_limit, End.TIME),
        ]
        end = jnp.select([met for met, _ in reasons], [why for _, why in reasons], 0)
        return state._replace(
            possession=jnp.where(is_owned, team, state.possession),
            end=jnp.where(state.end != End.NOT, state.end, end),
        )

    def _pay(self, state: State, was_over: Array) -> tuple[State, TimeStep[Observation]]:
        """Returns the state with its checkpoints, and its time step, which pays 0 if `was_over`."""
        checkpoints, rewards = collect(self.facts(state), state.checkpoints, state.end)
        reward = jnp.where(was_over, 0.0, REWARD_MODES[self.reward_mode](rewards))
        state = state._replace(checkpoints=checkpoints)
        is_last = state.end != End.NOT
        is_terminated = is_last & (state.end != End.TIME)
        extras = self._extras(state)
        return state, next_timestep(self._observe(state), reward, is_last, is_terminated, extras)

    def facts(self, state: State) -> seen_as.Facts:
        """Returns what can be seen of a state, in environment units."""
        return facts(state, self.num_left)

    def _observe(self, state: State) -> Observation:
        moment = self.facts(state)
        return Observation(
            agents_view=self._view(moment),
            action_mask=jnp.ones((self.num_agents, NUM_ACTIONS), bool),
            global_state=seen_as.global_state(moment),
            active=jnp.ones(self.num_agents, bool),
        )

    def _extras(self, state: State) -> dict[str, Array]:
        ends = {"success": End.GOAL, "conceded": End.CONCEDED, "out": End.OUT, "lost": End.LOST}
        extras = {name: (state.end == end).astype(jnp.float32) for name, end in ends.items()}
        collected = jnp.mean(state.checkpoints.astype(jnp.float32)) / NUM_CHECKPOINTS
        return {**extras, "checkpoints": collected}

    @cached_property
    def viewer(self) -> Viewer:
        """Returns the renderer of this scenario."""
        from envs.football.viewer import FootballViewer  # pillow is needed for pictures only

        title = f"{self.name.removeprefix('academy_').replace('_', ' ')}  ({self.engine})"
        return FootballViewer(title, self.facts)


def collect(moment: seen_as.Facts, checkpoints: Array, end: Array) -> tuple[Array, Array]:
    """Returns the ``[A]`` checkpoints after a step and the ``[A]`` rewards of that step.

    The original's ``scoring,checkpoints``: 1 for a goal, -1 for one conceded, and 0.1 for each of
    ten circles around the opponents' goal into which an agent's own player carries the ball, the
    rest of them on a goal.

    Args:
        moment: what can be seen after the step.
        checkpoints: ``[A]`` int32, collected before it.
        end: ``[]`` int32 `End` after it.
    """
    distance = jnp.sqrt((moment.ball[0] - 1) ** 2 + moment.ball[1] ** 2)
    # The k-th circle, from 0, has radius 0.99 - 0.8 k / 9; one that is touched counts.
    inside = jnp.floor((0.99 - distance) / (0.8 / (NUM_CHECKPOINTS - 1)) + 1e-6) + 1
    inside = jnp.clip(inside, 0, NUM_CHECKPOINTS).astype(jnp.int32)
    is_goal = end == End.GOAL
    carries = (moment.owned_team == 0) & (moment.owned_player == moment.active)
    reached = jnp.where(carries, jnp.maximum(inside, checkpoints), checkpoints)
    reached = jnp.where(is_goal, NUM_CHECKPOINTS, reached)
    score = is_goal.astype(jnp.float32) - (end == End.CONCEDED).astype(jnp.float32)
    new = (reached - checkpoints).astype(jnp.float32)
    return reached, new * CHECKPOINT_REWARD + score
