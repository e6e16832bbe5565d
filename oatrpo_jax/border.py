"""The border: what users hand in, checked before it is traced."""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import jax
import jax.core
import jax.numpy as jnp
import numpy as np

from oatrpo_jax.types import Observation, Transition

if TYPE_CHECKING:
    from oatrpo_jax.config import EnvSpec, Hyperparams

TINY = float(np.finfo(np.float32).tiny)
"""Lower bound of a coefficient that must be positive."""
BELOW_ONE = float(np.nextafter(np.float32(1), np.float32(0)))
ANY = float(np.finfo(np.float32).max)


def is_count(value: Any) -> bool:
    """Returns whether a value is a whole number of at least 1, Python's or numpy's."""
    if isinstance(value, bool):
        return False
    try:
        return operator.index(value) >= 1
    except TypeError:
        return False


def check_count(name: str, value: Any) -> None:
    """Raises a ValueError that names the field unless its value is a whole number from 1 up."""
    if not is_count(value):
        raise ValueError(f"{name}: expected a whole number of at least 1, got {value!r}")


def as_coefficient(name: str, value: Any) -> jax.Array:
    """Returns one coefficient or several as float32; a ValueError names what is no number."""
    try:
        array = jnp.asarray(value, jnp.float32)
    except (TypeError, ValueError):
        raise ValueError(f"{name}: expected a number or an array of them, got {value!r}") from None
    if not array.size:
        raise ValueError(f"{name}: expected at least one value, got {value!r}")
    return array


def check_range(name: str, value: jax.Array, metadata: Mapping[str, Any]) -> None:
    """Raises a ValueError unless every entry is finite and within [low, high]."""
    low, high, doc = metadata["low"], metadata["high"], metadata["doc"]
    if isinstance(value, jax.core.Tracer):
        return  # Made inside somebody's jit: there is no value to look at.
    entries = np.asarray(value)
    bad = entries[~(np.isfinite(entries) & (entries >= np.float32(low)) & (entries <= high))]
    if bad.size:
        bounds = {
            (0, ANY): "a finite number of at least 0",
            (TINY, ANY): "a finite number above 0",
            (TINY, BELOW_ONE): "a number strictly between 0 and 1",
            (0, BELOW_ONE): "a number of at least 0 and below 1",
            (1, ANY): "a finite number of at least 1",
        }.get((low, high), f"a finite number in [{low:g}, {high:g}]")
        raise ValueError(f"{name} ({doc}): expected {bounds}, got {bad.flat[0]:g}")


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
