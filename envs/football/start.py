"""A scenario's first state, and a state's facts: between the game and those who see it."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax import Array

from envs.football.observation import MAX_BALL_DIRECTION, Facts
from envs.football.physics import BALL_RADIUS
from envs.football.scenarios import LENGTH_SCALE, PLACEMENT_SCALE, Scenario
from envs.football.types import End, Formation, State


def start(scenario: Scenario, key: Array) -> State:
    """Returns the start of a scenario, which is always the same; the key is for what follows."""
    position = np.array([*scenario.left, *scenario.right], np.float32) * PLACEMENT_SCALE
    num_players, num_left, num_agents = len(position), len(scenario.left), len(scenario.active)
    facing = np.where(np.arange(num_players) < num_left, 1.0, -1.0)
    zeros = jnp.zeros((num_players, 2), jnp.float32)
    nobody = jnp.int32(-1)
    return State(
        key=key,
        step_count=jnp.int32(0),
        ball=jnp.asarray([*np.asarray(scenario.ball) * LENGTH_SCALE, BALL_RADIUS], jnp.float32),
        ball_velocity=jnp.zeros(3, jnp.float32),
        position=jnp.asarray(position, jnp.float32),
        velocity=zeros,
        heading=jnp.asarray(np.stack([facing, 0 * facing], axis=1), jnp.float32),
        wish=zeros,
        stumble=jnp.zeros(num_players, jnp.float32),
        cooldown=jnp.zeros(num_players, jnp.float32),
        owner=nobody,
        possession=nobody,
        last_touch=nobody,
        receiver=nobody,
        kick=jnp.zeros(num_players, jnp.int32),
        kick_buffer=jnp.zeros(num_players, jnp.int32),
        windup=nobody,
        shot=jnp.int32(0),
        hold=jnp.int32(0),
        active=jnp.asarray(scenario.active, jnp.int32),
        queue=jnp.arange(num_agents, dtype=jnp.int32),
        stick=jnp.zeros(num_agents, jnp.int32),
        is_sprinting=jnp.zeros(num_agents, bool),
        is_dribbling=jnp.zeros(num_agents, bool),
        checkpoints=jnp.zeros(num_agents, jnp.int32),
        end=jnp.int32(End.NOT),
    )


def formation(scenario: Scenario) -> Formation:
    """Returns where players who have nothing better to do stay.

    Ours keep the distance to the ball that they start with, but stay behind it.
    """
    left = np.array(scenario.left, np.float32) * PLACEMENT_SCALE
    ahead = np.clip(left[:, 0] - scenario.ball[0] * LENGTH_SCALE[0], -40.0, -2.0)
    offset = jnp.stack([ahead, left[:, 1]], axis=1)
    return Formation(offset, jnp.asarray(scenario.home, jnp.float32))


def facts(state: State, num_left: int) -> Facts:
    """Returns what can be seen of a state, in environment units."""
    scale = jnp.asarray(LENGTH_SCALE)
    position, direction = state.position / scale, state.velocity / scale / 10
    ball_scale = jnp.append(scale, 1.0)
    limit = jnp.array([MAX_BALL_DIRECTION, MAX_BALL_DIRECTION, jnp.inf], jnp.float32)
    # A volley's ball is nobody's.
    owner = jnp.where(state.windup == 0, -1, state.owner)
    is_left = owner < num_left
    held = state.stick[:, None] == jnp.arange(1, 9)
    buttons = [held, state.is_sprinting[:, None], state.is_dribbling[:, None]]
    return Facts(
        left=position[:num_left],
        left_direction=direction[:num_left],
        right=position[num_left:],
        right_direction=direction[num_left:],
        ball=state.ball / ball_scale,
        ball_direction=jnp.clip(state.ball_velocity / ball_scale / 10, -limit, limit),
        owned_team=jnp.where(owner < 0, -1, jnp.where(is_left, 0, 1)),
        owned_player=jnp.where(is_left, owner, owner - num_left),
        active=state.active,
        sticky=jnp.concatenate(buttons, axis=1),
        game_mode=jnp.zeros((), jnp.int32),
    )
