"""What users hand in to a learner, checked before it is traced."""

from __future__ import annotations

import dataclasses

import jax
import jax.core
import jax.numpy as jnp

from oatrpo_jax.config import EnvSpec, Hyperparams
from oatrpo_jax.types import Observation, Transition


def check_labels(labels: jax.Array, num_agents: int, num_policies: int) -> None:
    """Raises a ValueError unless there is a label for each agent, and a policy for each label.

    Args:
        labels: ``[N]``; inside a jit only their number is known.
        num_agents: N.
        num_policies: G.
    """
    if labels.shape != (num_agents,):
        raise ValueError(
            f"labels: expected one for each of {num_agents} agents, got shape {labels.shape}"
        )
    if not isinstance(labels, jax.core.Tracer) and not (
        0 <= labels.min() <= labels.max() < num_policies
    ):
        raise ValueError(
            f"labels: expected policies from 0 to {num_policies - 1}, got {labels.tolist()}"
        )


def check_update_input(spec: EnvSpec, trajectory: Transition, hparams: Hyperparams) -> None:
    """Raises a ValueError unless a trajectory and coefficients are of the shapes that update needs.

    Shapes and kinds of number only, so that it costs nothing once traced.

    Args:
        spec: the sizes of the environment.
        trajectory: to be a Transition with leading axes ``[T, E]``.
        hparams: to be scalars.
    """
    for field in dataclasses.fields(hparams):
        shape = jnp.shape(getattr(hparams, field.name))
        if shape:
            raise ValueError(
                f"{field.name}: expected a scalar, got shape {shape}. To sweep it, vmap over "
                "Hyperparams."
            )
    found = jnp.shape(trajectory.action)
    if len(found) != 3 or found[2] != spec.num_agents:
        raise ValueError(
            f"trajectory.action: expected shape [T, E, {spec.num_agents}], got {list(found)}"
        )
    length, num_envs, _ = found
    _check("trajectory", trajectory._asdict(), _expected(spec, (length, num_envs)))


def _expected(spec: EnvSpec, leading: tuple[int, int]) -> dict:
    """Returns the shape and the kind of number of each field."""
    each = (*leading, spec.num_agents)
    observation = {
        "agents_view": ((*each, spec.view_size), jnp.floating),
        "action_mask": ((*each, spec.num_actions), jnp.bool_),
        "global_state": ((*leading, spec.state_size), jnp.floating),
        "active": (each, jnp.bool_),
    }
    return {
        "observation": observation,
        "action": (each, jnp.integer),
        "log_prob": (each, jnp.floating),
        "reward": (leading, jnp.floating),
        "terminated": (leading, jnp.bool_),
        "truncated": (leading, jnp.bool_),
        "next_observation": observation,
    }


def _check(name: str, found: dict, expected: dict) -> None:
    for field, wanted in expected.items():
        value, path = found[field], f"{name}.{field}"
        if isinstance(value, Observation):
            _check(path, value._asdict(), wanted)
            continue
        shape, kind = wanted
        if jnp.shape(value) != shape or not jnp.issubdtype(jax.dtypes.result_type(value), kind):
            raise ValueError(
                f"{path}: expected {kind.__name__} {list(shape)}, got "
                f"{jax.dtypes.result_type(value)} {list(jnp.shape(value))}"
            )
