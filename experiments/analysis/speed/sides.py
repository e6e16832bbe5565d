"""What is timed: rollouts, training, updates alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from experiments.analysis.speed.timing import Effort, Side
from experiments.training.placement import over_devices, place
from experiments.training.settings.defaults import get_preset
from oatrpo_jax import Config, Hyperparams, Trainer, TrainState, make_trainer
from oatrpo_jax.reuse.divergence import pairwise_divergence, rows_to_compare
from oatrpo_jax.reuse.experience import make_experience
from oatrpo_jax.reuse.rows import spaced_envs, take_spaced
from oatrpo_jax.rollout import init_rollout, rollout
from oatrpo_jax.types import MultiAgentEnv, Observation, Transition, acts_continuously

OPEN_GATE = 1e6
"""A sigma that admits everybody: the most that reuse can cost."""

MPE = "jaxmarl:MPE_simple_spread_v3"
"""What JaxMARL's own ``ippo_ff_mpe`` trains on."""


def checksum(*arrays: Any) -> Array:
    """Returns one number that depends on everything, lest the compiler drop what is unused."""
    return jnp.stack([array.mean(dtype=jnp.float32) for array in arrays]).sum()


def random_legal(key: Array, mask: Array) -> Array:
    """Returns a legal action drawn uniformly along the last axis of ``mask``."""
    return jax.random.categorical(key, jnp.where(mask, 0.0, -jnp.inf))


def random_policy(env: MultiAgentEnv) -> Callable[[Observation, Array], tuple[Array, Array]]:
    """Returns what draws legal actions for an environment; their log-probabilities are 0.

    Actions are uniform: among those that are legal, or in [-1, 1] where they are continuous.
    """
    is_continuous = acts_continuously(env)

    def act(observation: Observation, key: Array) -> tuple[Array, Array]:
        mask = observation.action_mask
        if is_continuous:
            action = jax.random.uniform(key, mask.shape, jnp.float32, -1.0, 1.0)
        else:
            action = random_legal(key, mask)
        return action, jnp.zeros(mask.shape[:-1])

    return act


def random_actions(env: MultiAgentEnv, config: Config) -> Side:
    """Returns the trainer's own rollout under random legal actions, all of it read."""
    act = random_policy(env)

    def advance(carry: tuple) -> tuple[tuple, Array]:
        key, rollout_key = jax.random.split(carry[0])
        length, interval = config.rollout_length, config.reset_interval
        state, trajectory, _ = rollout(env, act, carry[1], length, rollout_key, interval)
        return (key, state), checksum(*jax.tree.leaves(trajectory))

    return Side(
        lambda key: (key, init_rollout(env, config.num_envs, key)),
        advance,
        config.steps_per_update,
    )


def stock_smax(scenario: str, config: Config) -> Side:
    """Returns jaxmarl's own environment under random legal actions; it resets itself."""
    from envs.smax.battle import MAP_NAME_TO_SCENARIO, HeuristicEnemySMAX

    game = HeuristicEnemySMAX(scenario=MAP_NAME_TO_SCENARIO[scenario])

    def init(key: Array) -> tuple:
        views, state = jax.vmap(game.reset)(jax.random.split(key, config.num_envs))
        return key, views, jax.tree.map(lambda x: jax.lax.convert_element_type(x, x.dtype), state)

    def step(carry: tuple, _: None) -> tuple[tuple, Array]:
        key, views, state = carry
        read = checksum(*views.values())
        key, action_key, step_key = jax.random.split(key, 3)
        legal = jax.vmap(game.get_avail_actions)(state)
        mask = jnp.stack([legal[agent] for agent in game.agents], axis=1)
        actions = random_legal(action_key, mask)
        orders = {agent: actions[:, n] for n, agent in enumerate(game.agents)}
        keys = jax.random.split(step_key, config.num_envs)
        views, state, rewards, dones, _ = jax.vmap(game.step)(keys, state, orders)
        return (key, views, state), read + checksum(rewards["ally_0"], dones["__all__"])

    return Side(
        init,
        lambda carry: jax.lax.scan(step, carry, length=config.rollout_length),
        config.steps_per_update,
    )


def training(env: MultiAgentEnv, algorithm: str, config: Config, **hparams: float | None) -> Side:
    """Returns one rollout and update of one seed, everybody admitted unless a sigma is given."""
    trainer = make_trainer(env, algorithm, config)
    coefficients = Hyperparams.create(**{"reuse_sigma": OPEN_GATE, **hparams})
    return Side(
        trainer.init, lambda state: trainer.step(state, coefficients), config.steps_per_update
    )


def mpe_problem(effort: Effort) -> tuple[Config, Mapping[str, float | None]]:
    """Returns settings and coefficients of IPPO on `MPE`.

    They are the preset's, which are those of JaxMARL's own ``ippo_ff_mpe``; a rollout is as long
    as the effort says.
    """
    preset = get_preset(MPE, "ippo")
    return Config(**preset.config, rollout_length=effort.config.rollout_length), preset.hyperparams


def training_lanes(trainer: Trainer, num_points: int, num_seeds: int) -> Side:
    """Returns one rollout and update of a grid, all lanes in one program as in a run."""
    sigmas = jnp.repeat(jnp.linspace(0.05, 0.2, num_points), num_seeds)
    hparams = Hyperparams.create(reuse_sigma=sigmas)
    placement = place(trainer.env, num_points * num_seeds)
    step = over_devices(
        placement.of_block(lambda _, state, hparams: trainer.step(state, hparams)), placement
    )

    def init(key: Array) -> tuple[Array, TrainState]:
        keys = jax.random.split(key, num_points * num_seeds)
        return jnp.asarray(placement.counts), jax.vmap(trainer.init)(keys)

    def advance(carry: tuple[Array, TrainState]) -> tuple[tuple[Array, TrainState], Any]:
        counts, state = carry
        state, metrics = step(counts, None, state, hparams)
        return (counts, state), metrics

    return Side(init, advance, len(sigmas) * trainer.config.steps_per_update)


def first_rollout(trainer: Trainer, key: Array) -> tuple[TrainState, Transition]:
    """Returns a fresh state and what its policies do in one rollout, ``[T, E]``."""
    key, rollout_key = jax.random.split(key)
    state, config = trainer.init(key), trainer.config
    act = partial(trainer.learner.act, state.learner)
    _, trajectory, _ = rollout(
        trainer.env, act, state.rollout, config.rollout_length, rollout_key, config.reset_interval
    )
    return state, trajectory


def learning(trainer: Trainer, part: Callable[..., Array]) -> Side:
    """Returns ``part(trainer, state, trajectory)``, always of the same rollout."""
    return Side(partial(first_rollout, trainer), lambda carry: (carry, part(trainer, *carry)))


def update(trainer: Trainer, state: TrainState, trajectory: Transition) -> Array:
    """Returns a number that depends on everything that an update makes, everybody admitted."""
    hparams = Hyperparams.create(reuse_sigma=OPEN_GATE)
    learner, metrics = trainer.learner.update(
        state.learner, trajectory, hparams, state.key, state.rollout.memory
    )
    made = learner.policies.params, learner.critics.params, metrics
    return checksum(*jax.tree.leaves(made))


def pairwise_kl(trainer: Trainer, state: TrainState, trajectory: Transition) -> Array:
    """Returns how far all policies are from all agents', ``[G, N]``, on `divergence_rows` rows.

    Only these are put in order by agent, as an update does so with all of them anyway.  The
    learner is one that may reuse others' experience.
    """
    learner, policy, config = state.learner, trainer.learner.policy, trainer.config
    actors, labels = learner.policies.params, learner.labels
    shape = len(labels), config.rollout_length, config.num_envs
    envs = spaced_envs(shape, config.divergence_rows)
    rows = take_spaced(trajectory, envs)
    memory = jax.tree.map(lambda x: take_spaced(x[None], envs)[0], state.rollout.memory)
    views = learner.normalised_views(rows.observation.active_views)
    num_policies, nothing = trainer.learner.num_policies, jnp.zeros((*rows.reward.shape, 1))
    experience = make_experience(num_policies, labels, rows, views, memory, nothing)
    compared = rows_to_compare(policy, actors, experience, config.divergence_rows)
    return pairwise_divergence(policy, actors, compared, config, Hyperparams.create())
