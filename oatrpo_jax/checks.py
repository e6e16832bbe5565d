"""What users hand in to a learner, checked before it is traced."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.core
import jax.numpy as jnp
import numpy as np

from oatrpo_jax.env_spec import EnvSpec
from oatrpo_jax.hyperparams import ENDS, Hyperparams
from oatrpo_jax.types import Observation, Transition, aval_of

READ_TO_ACT = ("agents_view", "action_mask", "active")
"""Fields of an observation that policies look at."""
READ_TO_VALUE = {True: ("global_state",), False: ("agents_view", "active")}
"""The same of critics, by whether there is a central one."""


def check_labels(name: str, labels: Any, num_agents: int, num_policies: int) -> None:
    """Raises a ValueError unless there is a label for each agent, and a policy for each label.

    Args:
        name: what they are called.
        labels: ``[N]``; inside a jit only their number is known.
        num_agents: N.
        num_policies: G.
    """
    if labels.shape != (num_agents,):
        raise ValueError(
            f"{name}: expected one for each of {num_agents} agents, got shape {labels.shape}"
        )
    if not jnp.issubdtype(labels.dtype, jnp.integer):
        raise ValueError(f"{name}: expected whole numbers, got {labels.dtype}")
    if not isinstance(labels, jax.core.Tracer) and not (
        0 <= labels.min() <= labels.max() < num_policies
    ):
        raise ValueError(
            f"{name}: expected policies from 0 to {num_policies - 1}, got {labels.tolist()}"
        )


def check_update_input(
    spec: EnvSpec, state: Any, trajectory: Transition, hparams: Hyperparams
) -> None:
    """Raises a ValueError unless what an update is given is of the shapes that it needs.

    Shapes and kinds of number only, so that it costs nothing once traced.

    Args:
        spec: the sizes of the environment.
        state: to be that of one learner.
        trajectory: to be a Transition with leading axes ``[T, E]``.
        hparams: to be scalars, without ends.
    """
    _check_state(state, spec.num_agents)
    check_coefficients(hparams)
    if ends := hparams.ends():
        raise ValueError(
            f"{', '.join(ENDS[name] for name in ends)}: expected coefficients in force, got "
            "a schedule; hparams.at(update, num_updates) gives those of one update"
        )
    if not isinstance(trajectory, Transition):
        raise ValueError(
            f"trajectory: expected a Transition, got {type(trajectory).__name__}; make it "
            f"Transition({', '.join(Transition._fields)})"
        )
    found = _typed("trajectory.action", trajectory.action)
    wanted, kind = spec.action.shape, _action_kind(spec)
    if len(found.shape) != 2 + len(wanted) or found.shape[2:] != wanted:
        raise ValueError(
            f"trajectory.action: expected {kind.__name__} [T, E, {', '.join(map(str, wanted))}], "
            f"got {found.dtype} {list(found.shape)}; actions are "
            f"{'continuous' if spec.is_continuous else 'discrete'} by the spec"
        )
    length, num_envs = found.shape[:2]
    _check("trajectory", trajectory._asdict(), _expected(spec, (length, num_envs)))


def check_greedy(greedy: Any) -> None:
    """Raises a ValueError unless it is True or False; a memory may have been put in its place."""
    if not isinstance(greedy, bool | np.bool_):
        raise ValueError(
            f"greedy: expected True or False, got {type(greedy).__name__}; give a memory by name, "
            "memory=..."
        )


def check_memory(memory: Any, size: int, leading: Sequence[tuple[int, ...]], advice: str) -> None:
    """Raises a ValueError unless a memory is one that policies with memory of this size have.

    Args:
        memory: to be ``[..., N, L, H]``; None where policies remember nothing.
        size: H; 0 where policies remember nothing.
        leading: what the axes before H may be.
        advice: where to get one.
    """
    if memory is None and size:
        raise ValueError(
            f"memory: expected that of policies with memory_size = {size}, got None; {advice}"
        )
    if memory is None:
        return
    if not size:
        raise ValueError(
            f"memory: expected None, as these policies have memory_size = 0, got "
            f"{type(memory).__name__}; leave it out"
        )
    found, shapes = _typed("memory", memory), [(*axes, size) for axes in leading]
    if found.shape not in shapes or not jnp.issubdtype(found.dtype, jnp.floating):
        wanted = " or ".join(str(list(shape)) for shape in shapes)
        raise ValueError(
            f"memory: expected floating {wanted}, got {found.dtype} {list(found.shape)}; {advice}"
        )


def check_observation(
    spec: EnvSpec, state: Any, observation: Observation, reads: Sequence[str]
) -> None:
    """Raises a ValueError unless state and observation are of the shapes that a network needs.

    Args:
        spec: the sizes of the environment.
        state: to be that of one learner.
        observation: to have any leading axes, the same in all fields.
        reads: names of the fields that are looked at.
    """
    _check_state(state, spec.num_agents)
    if not isinstance(observation, Observation):
        raise ValueError(_no_observation("observation", observation))
    # All but the global state have an axis of agents; views and masks one more.
    num_own = {"global_state": 1, "active": 1}.get(reads[0], 2)
    shape = _typed(f"observation.{reads[0]}", getattr(observation, reads[0])).shape
    wanted = _observation(spec, shape[: max(len(shape) - num_own, 0)])
    _check("observation", observation._asdict(), {name: wanted[name] for name in reads})


def _check_state(state: Any, num_agents: int) -> None:
    """Raises a ValueError unless a state is a LearnerState with labels ``[N]``."""
    if not hasattr(state, "labels"):
        raise ValueError(
            f"state: expected a LearnerState, got {type(state).__name__}; a TrainState holds one "
            "as .learner"
        )
    if (shape := _typed("state.labels", state.labels).shape) != (num_agents,):
        raise ValueError(
            f"state: expected that of one learner, with labels [{num_agents}], got labels "
            f"{list(shape)}; choose one by jax.tree.map(lambda x: x[0], state), or vmap"
        )


def check_coefficients(hparams: Hyperparams) -> None:
    """Raises a ValueError that names what was swept, unless all coefficients are scalars."""
    if not isinstance(hparams, Hyperparams):
        raise ValueError(
            f"hparams: expected Hyperparams, got {type(hparams).__name__}; make them by "
            "Hyperparams.create(gamma=0.9)"
        )
    values = {field.name: getattr(hparams, field.name) for field in dataclasses.fields(hparams)}
    for field in dataclasses.fields(hparams):
        if field.default is None and values[field.name] is None:
            del values[field.name]  # Not given.
    shapes = {name: _typed(name, value).shape for name, value in values.items()}
    shaped = [name for name, shape in shapes.items() if shape]
    if not shaped:
        return
    # `create` gives all fields the shape of those that were set.
    is_whole = len(shaped) == len(values)
    set_ones = [name for name in shaped if _varies(values[name])] if is_whole else shaped
    which = "" if set_ones else ", that of the coefficients for which create was given a list"
    raise ValueError(
        f"{', '.join(set_ones) or 'hparams'}: expected a scalar, got shape {shapes[shaped[0]]}"
        f"{which}. To sweep, vmap over Hyperparams, in which all fields have the shape of those "
        "that are swept."
    )


def _varies(value: jax.Array) -> bool:
    """Returns whether entries are known to differ: inside a jit nothing is."""
    return not isinstance(value, jax.core.Tracer) and np.ptp(np.asarray(value)) > 0


def _observation(spec: EnvSpec, leading: tuple[int, ...]) -> dict[str, Any]:
    """Returns the shape and the kind of number of each field of an observation."""
    each = (*leading, spec.num_agents)
    return {
        "agents_view": ((*each, spec.view_size), jnp.floating),
        "action_mask": ((*each, spec.num_actions), jnp.bool_),
        "global_state": ((*leading, spec.state_size), jnp.floating),
        "active": (each, jnp.bool_),
    }


def _expected(spec: EnvSpec, leading: tuple[int, int]) -> dict[str, Any]:
    """Returns the same of each field of a transition."""
    each = (*leading, spec.num_agents)
    observation = _observation(spec, leading)
    return {
        "observation": observation,
        "action": ((*leading, *spec.action.shape), _action_kind(spec)),
        "log_prob": (each, jnp.floating),
        "reward": (leading, jnp.floating),
        "terminated": (leading, jnp.bool_),
        "truncated": (leading, jnp.bool_),
        "next_observation": observation,
    }


def _action_kind(spec: EnvSpec) -> Any:
    """Returns the kind of number of an action."""
    return jnp.floating if spec.is_continuous else jnp.integer


def _check(name: str, found: dict, expected: dict) -> None:
    for field, wanted in expected.items():
        value, path = found[field], f"{name}.{field}"
        if isinstance(wanted, dict):
            if not isinstance(value, Observation):
                raise ValueError(_no_observation(path, value))
            _check(path, value._asdict(), wanted)
            continue
        (shape, kind), got = wanted, _typed(path, value)
        if got.shape != shape or not jnp.issubdtype(got.dtype, kind):
            raise ValueError(
                f"{path}: expected {kind.__name__} {list(shape)}, got {got.dtype} {list(got.shape)}"
            )


def _typed(name: str, value: Any) -> Any:
    """Returns what jax sees in a value, its shape and dtype; a ValueError if that is no array."""
    if (found := aval_of(value)) is None:
        raise ValueError(
            f"{name}: expected an array, got {type(value).__name__}; make it one by jnp.asarray"
        )
    return found


def _no_observation(name: str, value: Any) -> str:
    return (
        f"{name}: expected an Observation, got {type(value).__name__}; make it "
        f"Observation({', '.join(Observation._fields)})"
    )
