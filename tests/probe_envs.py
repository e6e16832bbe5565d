"""Tiny environments with known answers, which follow the protocol without jumanji."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from oatrpo_jax import Observation, Transition


class ProbeTimeStep(NamedTuple):
    """The part of jumanji's TimeStep that the trainer reads."""

    is_last: jax.Array
    reward: jax.Array
    discount: jax.Array
    observation: Observation
    extras: dict[str, jax.Array]

    def last(self) -> jax.Array:
        return self.is_last


class RoleGame:
    """One step: every agent sees the same random bit and should answer ``bit XOR its role``.

    Reward: share of agents that answer correctly.  Agents of one role want the same policy,
    agents of different roles the opposite one, and nobody sees a role.
    """

    num_actions = 2

    def __init__(self, roles: tuple[int, ...]) -> None:
        self.roles = jnp.asarray(roles)
        self.num_agents = len(roles)
        self.agent_types = tuple(f"role {role}" for role in roles)

    def reset(self, key: jax.Array) -> tuple[jax.Array, ProbeTimeStep]:
        bit = jax.random.bernoulli(key).astype(jnp.int32)
        zero = jnp.float32(0)
        return bit, ProbeTimeStep(
            jnp.bool_(False), zero, zero + 1, self._observe(bit), {"success": zero}
        )

    def step(self, bit: jax.Array, action: jax.Array) -> tuple[jax.Array, ProbeTimeStep]:
        correct = action == (bit ^ self.roles)
        return bit, ProbeTimeStep(
            is_last=jnp.bool_(True),
            reward=jnp.mean(correct.astype(jnp.float32)),
            discount=jnp.float32(0),
            observation=self._observe(bit),
            extras={"success": jnp.all(correct).astype(jnp.float32)},
        )

    def _observe(self, bit: jax.Array) -> Observation:
        one_hot = jax.nn.one_hot(bit, 2)
        return Observation(
            agents_view=jnp.broadcast_to(one_hot, (self.num_agents, 2)),
            action_mask=jnp.ones((self.num_agents, 2), bool),
            global_state=one_hot,
            active=jnp.ones(self.num_agents, bool),
        )


class Recollection:
    """Shows each agent a bit at first, and asks for it when that is no longer to be seen.

    Reward, and success: the share of agents that answer correctly, in the last step.  Without a
    memory that is one half, whatever they do.
    """

    num_actions = 2

    def __init__(self, num_agents: int = 3, delay: int = 4) -> None:
        self.num_agents = num_agents
        self.agent_types = ("witness",) * num_agents
        self.delay = delay
        """Steps between that which shows the bit and that which asks for it."""

    def reset(self, key: jax.Array) -> tuple[tuple[jax.Array, jax.Array], ProbeTimeStep]:
        bits = jax.random.bernoulli(key, shape=(self.num_agents,)).astype(jnp.int32)
        return (bits, jnp.int32(0)), self._timestep(bits, jnp.int32(0), jnp.float32(0))

    def step(self, state: tuple[jax.Array, jax.Array], action: jax.Array):
        bits, step = state
        share = jnp.mean((action == bits).astype(jnp.float32))
        share = jnp.where(step > self.delay, share, 0.0)
        return (bits, step + 1), self._timestep(bits, step + 1, share)

    def _timestep(self, bits: jax.Array, step: jax.Array, share: jax.Array) -> ProbeTimeStep:
        is_last = step > self.delay + 1
        shown = jnp.where(step == 0, jax.nn.one_hot(bits, 2), 0.0)
        asked = jnp.full((self.num_agents, 1), step == self.delay + 1, jnp.float32)
        return ProbeTimeStep(
            is_last=is_last,
            reward=share,
            discount=jnp.where(is_last, 0.0, 1.0),
            observation=Observation(
                agents_view=jnp.concatenate([shown, asked], axis=-1),
                action_mask=jnp.ones((self.num_agents, 2), bool),
                global_state=jnp.append(bits.astype(jnp.float32), asked[0]),
                active=jnp.ones(self.num_agents, bool),
            ),
            extras={"success": share},
        )


class Steering:
    """Points on a plane that are to go to the origin, by continuous actions; some steer inversely.

    An agent sees where it is.  An action moves it by ``control x clip(action, -1, 1) / 4`` in the
    dimensions that it has; in the others it stays at 0.  One that leaves the field is lost: it is
    active no more.  Reward: minus the mean distance.  An episode is cut off at the time limit, or
    ``terminates`` there, which the global state then shows to come.
    """

    num_actions = 2
    is_continuous = True

    def __init__(
        self,
        controls: tuple[int, ...] = (1, 1, 1),
        dimensions: tuple[int, ...] | None = None,
        time_limit: int = 8,
        field: float = np.inf,
        terminates: bool = False,
    ) -> None:
        self.num_agents = len(controls)
        self.agent_types = tuple(f"control {control}" for control in controls)
        self.controls = np.asarray(controls, np.float32)
        sizes = np.full(self.num_agents, 2) if dimensions is None else np.asarray(dimensions)
        self.exists = np.arange(2) < sizes[:, None]
        self.time_limit = time_limit
        self.terminates = terminates
        self.field = field
        """How far from the origin it ends, in each dimension."""

    def reset(self, key: jax.Array) -> tuple[tuple[jax.Array, jax.Array], ProbeTimeStep]:
        position = jax.random.uniform(key, (self.num_agents, 2), minval=-1.0)
        state = jnp.where(self.exists, position, 0.0), jnp.int32(0)
        return state, self._timestep(*state, jnp.float32(0))

    def step(self, state: tuple[jax.Array, jax.Array], action: jax.Array):
        position, step = state
        move = self.controls[:, None] * jnp.clip(action, -1.0, 1.0) / 4
        may_move = self.exists & self._is_active(position)[:, None]
        position, step = position + jnp.where(may_move, move, 0.0), step + 1
        distance = jnp.linalg.norm(position, axis=-1)
        return (position, step), self._timestep(position, step, -jnp.mean(distance))

    def _is_active(self, position: jax.Array) -> jax.Array:
        return jnp.all(jnp.abs(position) < self.field, axis=-1)

    def _timestep(self, position: jax.Array, step: jax.Array, reward: jax.Array) -> ProbeTimeStep:
        is_there = jnp.linalg.norm(position, axis=-1) < 0.25
        active = self._is_active(position)
        all_lost, is_late = ~jnp.any(active), step >= self.time_limit
        is_over = all_lost | (is_late & self.terminates)
        clock = jnp.full(self.terminates, step / self.time_limit)
        return ProbeTimeStep(
            is_last=all_lost | is_late,
            reward=reward,
            discount=jnp.where(is_over, 0.0, 1.0),
            observation=Observation(
                agents_view=position,
                action_mask=jnp.asarray(self.exists),
                global_state=jnp.concatenate([position.reshape(-1), clock]),
                active=active,
            ),
            extras={"success": jnp.mean(is_there.astype(jnp.float32))},
        )


class SlowWin:
    """Tosses a coin at the start: heads is won after nine steps, tails is lost after one."""

    num_agents, num_actions, agent_types = 1, 2, ("player",)

    def reset(self, key: jax.Array) -> tuple[tuple[jax.Array, jax.Array], ProbeTimeStep]:
        state = jax.random.bernoulli(key), jnp.int32(0)
        return state, self._timestep(*state)

    def step(self, state: tuple[jax.Array, jax.Array], action: jax.Array):
        state = state[0], state[1] + 1
        return state, self._timestep(*state)

    def _timestep(self, is_heads: jax.Array, step: jax.Array) -> ProbeTimeStep:
        is_last = step >= jnp.where(is_heads, 9, 1)
        return ProbeTimeStep(
            is_last=is_last,
            reward=jnp.float32(0),
            discount=jnp.where(is_last, 0.0, 1.0),
            observation=Observation(
                agents_view=jnp.zeros((1, 1)),
                action_mask=jnp.ones((1, 2), bool),
                global_state=jnp.zeros(1),
                active=jnp.ones(1, bool),
            ),
            extras={"success": is_heads.astype(jnp.float32)},
        )


class MessyState(NamedTuple):
    key: jax.Array
    step: jax.Array
    alive: jax.Array
    position: jax.Array


class Messy:
    """Random walkers that die, with action masks; ends by extinction or is cut off at a limit.

    Nothing to learn, all to go wrong: dead agents, illegal actions, terminations, truncations.
    """

    num_actions = 3

    def __init__(self, num_agents: int = 3, death_rate: float = 0.2, time_limit: int = 6) -> None:
        self.num_agents = num_agents
        self.agent_types = ("walker",) * num_agents
        self.death_rate = death_rate
        self.time_limit = time_limit

    def reset(self, key: jax.Array) -> tuple[MessyState, ProbeTimeStep]:
        key, start_key = jax.random.split(key)
        position = jax.random.normal(start_key, (self.num_agents,))
        state = MessyState(key, jnp.int32(0), jnp.ones(self.num_agents, bool), position)
        return state, self._timestep(state, jnp.float32(0))

    def step(self, state: MessyState, action: jax.Array) -> tuple[MessyState, ProbeTimeStep]:
        key, death_key = jax.random.split(state.key)
        survives = jax.random.uniform(death_key, (self.num_agents,)) > self.death_rate
        move = jnp.where(state.alive, 0.3 * (action - 1.0), 0.0)
        alive = state.alive & survives
        new = MessyState(key, state.step + 1, alive, state.position + move)
        return new, self._timestep(new, jnp.mean(-jnp.abs(new.position)))

    def _timestep(self, state: MessyState, reward: jax.Array) -> ProbeTimeStep:
        extinct = ~jnp.any(state.alive)
        timed_out = state.step >= self.time_limit
        view = jnp.stack([state.position, jnp.ones(self.num_agents)], axis=-1)
        view = jnp.where(state.alive[:, None], view, 0.0)
        may_move = (
            jnp.stack([state.position > -1, state.position < 1], axis=-1) & (state.alive[:, None])
        )
        stay = jnp.ones((self.num_agents, 1), bool)
        return ProbeTimeStep(
            is_last=extinct | timed_out,
            reward=reward,
            discount=jnp.where(extinct, 0.0, 1.0),
            observation=Observation(
                agents_view=view,
                action_mask=jnp.concatenate([may_move[:, :1], stay, may_move[:, 1:]], axis=-1),
                global_state=jnp.concatenate([state.position, state.alive.astype(jnp.float32)]),
                active=state.alive,
            ),
            extras={"success": jnp.mean(state.alive.astype(jnp.float32))},
        )


def tree_equal(left: Any, right: Any) -> bool:
    """Returns whether two trees are the same to the bit."""
    # On the host: each shape would be a program of its own.
    same = jax.tree.map(lambda x, y: np.array_equal(x, y, equal_nan=True), left, right)
    return all(jax.tree.leaves(same))


def spoil_dead_rows(trajectory: Transition) -> Transition:
    """Returns the trajectory with nonsense wherever an agent was not active."""
    seen, action = trajectory.observation, trajectory.action
    dead = ~np.asarray(seen.active)
    is_continuous = action.ndim > dead.ndim
    return trajectory._replace(
        observation=seen._replace(
            agents_view=np.where(dead[..., None], np.nan, seen.agents_view),
            action_mask=np.where(dead[..., None], True, seen.action_mask),
        ),
        action=np.where(dead[..., None], np.nan, action)
        if is_continuous
        else np.where(dead, 2, action),
        log_prob=np.where(dead, np.nan, trajectory.log_prob),
    )
