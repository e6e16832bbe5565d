"""What agents see: the facts of a moment -> simple115v2, a view relative to the player, and state.

Everything here is a function of :class:`Facts`, which any backend can fill in: the academy in JAX
and the original engine show the same moment to a policy in the same numbers.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from envs.base import rising_order
from envs.football.scenarios import GOAL_LINE, LENGTH_SCALE

TEAM_SIZE = 11
NUM_MODES = 7
SIMPLE115_SIZE = 115
MAX_BALL_DIRECTION = 0.327
"""The engine cuts the ball's direction off at this, along x and y each."""


class Facts(NamedTuple):
    """A moment of play in environment units (x / 54.4 m, y / 83.6 m, heights in metres).

    A direction is a displacement in 0.1 s.  ``L`` and ``R`` count the players of the two teams,
    ``A`` the agents.  Other axes may lead.

    Attributes:
        left: ``[L, 2]`` float32 positions of our players, the keeper first.
        left_direction: ``[L, 2]`` float32.
        right: ``[R, 2]`` float32 positions of the opponents, in the same frame.
        right_direction: ``[R, 2]`` float32.
        ball: ``[3]`` float32.
        ball_direction: ``[3]`` float32.
        owned_team: ``[]`` int32, -1 nobody, 0 left, 1 right.
        owned_player: ``[]`` int32 index of the owner in its team, -1 nobody.
        active: ``[A]`` int32 our player that each agent controls.
        sticky: ``[A, 10]`` bool, True for a held button: directions 1 to 8, sprint, dribble.
        game_mode: ``[]`` int32, 0 while the ball is in play.
    """

    left: Array
    left_direction: Array
    right: Array
    right_direction: Array
    ball: Array
    ball_direction: Array
    owned_team: Array
    owned_player: Array
    active: Array
    sticky: Array
    game_mode: Array


def simple115(facts: Facts) -> Array:
    """Returns ``[A, 115]`` float32: the engine's ``simple115v2`` for each agent.

    22 positions and 22 directions of the left team, the same of the right team (absent players
    are -1), ball 3, its direction 3, owner one-hot 3 (nobody, left, right), active player one-hot
    11, game mode one-hot 7.
    """
    common = jnp.concatenate(
        [
            _padded(facts.left),
            _padded(facts.left_direction),
            _padded(facts.right),
            _padded(facts.right_direction),
            facts.ball,
            facts.ball_direction,
            jax.nn.one_hot(facts.owned_team + 1, 3, dtype=jnp.float32),
        ]
    )
    mode = jax.nn.one_hot(facts.game_mode, NUM_MODES, dtype=jnp.float32)
    active = jax.nn.one_hot(facts.active, TEAM_SIZE, dtype=jnp.float32)
    num_agents = active.shape[0]
    common = jnp.broadcast_to(common, (num_agents, *common.shape))
    mode = jnp.broadcast_to(mode, (num_agents, NUM_MODES))
    return jnp.concatenate([common, active, mode], axis=1)


def global_state(facts: Facts) -> Array:
    """Returns ``[115 + (A - 1) * 11]`` float32: agent 0's simple115v2, the others' active players.

    HARL's shared observation, which a central critic sees.
    """
    others = jax.nn.one_hot(facts.active[1:], TEAM_SIZE, dtype=jnp.float32)
    return jnp.concatenate([simple115(facts)[0], others.reshape(others.size)])


def relative(facts: Facts) -> Array:
    """Returns ``[A, 27 + 5 (L - 1) + 5 R]`` float32: each agent's view from its own player.

    Metres / 20 and m/s / 10, in this order: own position as seen from the middle of the opponents'
    goal 2, velocity 2, whether it is the keeper, whether it has the ball; the ball's offset 2,
    velocity 2, height (m / 2) and climb (m in 0.1 s); owner one-hot 3 (nobody, left, right);
    how far from the ball the nearest player of each team is 2; held buttons 10; mates, then
    opponents, each nearest first: offset 2, velocity 2, whether it has the ball.

    Nothing tells which agent is looking, nor which number a player wears: agents whose players
    changed places would see each other's views.
    """
    scale = jnp.asarray(LENGTH_SCALE)
    left, right = facts.left * scale, facts.right * scale
    left_velocity = facts.left_direction * scale * 10
    right_velocity = facts.right_direction * scale * 10
    ball, ball_velocity = facts.ball[:2] * scale, facts.ball_direction[:2] * scale * 10
    left_has = (facts.owned_team == 0) & (facts.owned_player == jnp.arange(len(left)))
    right_has = (facts.owned_team == 1) & (facts.owned_player == jnp.arange(len(right)))
    shared = jnp.concatenate(
        [
            ball_velocity / 10,
            jnp.stack([facts.ball[2] / 2, facts.ball_direction[2]]),
            jax.nn.one_hot(facts.owned_team + 1, 3, dtype=jnp.float32),
            jnp.stack([_nearest(left, ball), _nearest(right, ball)]) / 20,
        ]
    )

    def view(player: Array, sticky: Array) -> Array:
        position, velocity = left[player], left_velocity[player]
        own = [
            (position[0] - GOAL_LINE) / 20,
            position[1] / 20,
            *(velocity / 10),
            player == 0,
            left_has[player],
        ]
        mates = _rows(left, left_velocity, left_has, position)
        opponents = _rows(right, right_velocity, right_has, position)
        return jnp.concatenate(
            [
                jnp.stack([jnp.float32(feature) for feature in own]),
                (ball - position) / 20,
                shared,
                sticky.astype(jnp.float32),
                _nearest_first(mates, skip=1),
                _nearest_first(opponents, skip=0),
            ]
        )

    return jax.vmap(view)(facts.active, facts.sticky)


def _padded(rows: Array) -> Array:
    """Returns ``[22]``: the rows of up to eleven players one after another, -1 for the absent."""
    padding = ((0, TEAM_SIZE - len(rows)), (0, 0))
    return jnp.pad(rows, padding, constant_values=-1).reshape(TEAM_SIZE * 2)


def _nearest(team: Array, place: Array) -> Array:
    return jnp.sqrt(jnp.min(jnp.sum((team - place) ** 2, axis=1)))


def _rows(team: Array, velocity: Array, has_ball: Array, position: Array) -> Array:
    """Returns ``[players, 5]``: each player of a team, seen by one at `position`."""
    return jnp.concatenate(
        [(team - position) / 20, velocity / 10, has_ball[:, None].astype(jnp.float32)], axis=1
    )


def _nearest_first(rows: Array, skip: int) -> Array:
    """Returns the rows by rising distance, less the first `skip`, one after another."""
    ordered = rows[rising_order(jnp.sum(rows[:, :2] ** 2, axis=1))[skip:]]
    return ordered.reshape(ordered.size)
