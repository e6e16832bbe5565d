"""The policies that did best when evaluated, per grid point and seed: on the device, and kept."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from experiments.training.errors import UsageError
from experiments.training.folder.files import replace_bytes
from oatrpo_jax.export import actor_parameters
from oatrpo_jax.learner import LearnerState
from oatrpo_jax.train import Metrics

FILE = "best.safetensors"


class Best(NamedTuple):
    """The best of each grid point and seed so far; every array has leading axes ``[P, K]``.

    Attributes:
        success: share of successes, 0 where the environment tells of none; minus infinity before
            the first evaluation.
        episode_return: mean return, which decides where successes are equal.
        update: int32, when that was; 0 before the first evaluation.
        actors: parameters by name.
    """

    success: jax.Array
    episode_return: jax.Array
    update: jax.Array
    actors: dict[str, jax.Array]


def no_best(learner: LearnerState) -> Best:
    """Returns what stands before the first evaluation of ``[P, K]`` learners."""
    actors = actor_parameters(learner)
    shape = next(iter(actors.values())).shape[:2]
    worst = jnp.full(shape, -jnp.inf)
    zeros = {name: jnp.zeros(value.shape, value.dtype) for name, value in actors.items()}
    return Best(worst, worst, jnp.zeros(shape, jnp.int32), zeros)


@jax.jit
def keep_better(best: Best, learner: LearnerState, metrics: Metrics, update: jax.Array) -> Best:
    """Returns, per point and seed, the better of two; of equals the earlier.

    It does no harm to show it an update again, as a resumed run does: the best of a set does not
    depend on how often or in which order its members were seen.
    """
    new = Best(
        # An environment need not tell of success.
        metrics.get("evaluation/success", jnp.zeros_like(best.success)),
        metrics["evaluation/return"],
        jnp.full_like(best.update, update),
        actor_parameters(learner),
    )
    is_better = (new.success > best.success) | (
        (new.success == best.success)
        & (
            (new.episode_return > best.episode_return)
            | ((new.episode_return == best.episode_return) & (new.update < best.update))
        )
    )

    def choose(new: jax.Array, old: jax.Array) -> jax.Array:
        return jnp.where(is_better.reshape(*is_better.shape, *[1] * (new.ndim - 2)), new, old)

    return jax.tree.map(choose, new, best)


def with_actors(learner: LearnerState, actors: dict[str, jax.Array]) -> LearnerState:
    """Returns the learner acting by other parameters."""
    tree = jax.tree.structure(learner.policies.params)
    params = jax.tree.unflatten(tree, [actors[name] for name in actor_parameters(learner)])
    return learner._replace(policies=learner.policies._replace(params=params))


def save_best(best: Best, directory: Path) -> None:
    """Writes the best policies into a run's directory."""
    arrays = {name: np.ascontiguousarray(value) for name, value in _flat(best).items()}
    replace_bytes(directory / FILE, save(arrays, {"sha256": _digest(arrays)}))


def load_best(directory: Path, like: LearnerState) -> Best | None:
    """Returns the best policies in a run's directory; None if nothing was evaluated.

    Args:
        directory: the run's.
        like: learners ``[P, K]`` of the same shapes.

    Raises:
        UsageError: if the file is damaged or is not of such a run.
    """
    path = directory / FILE
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="numpy") as file:
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            digest = (file.metadata() or {}).get("sha256")
    except (OSError, SafetensorError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from error
    if digest != _digest(arrays):
        raise UsageError(f"{path} is damaged: it does not hold what was saved")
    wanted = _flat(jax.eval_shape(no_best, like))
    if {k: (v.shape, v.dtype) for k, v in arrays.items()} != {
        k: (v.shape, v.dtype) for k, v in wanted.items()
    }:
        raise UsageError(f"{path} is of another run: its arrays have other names or shapes")
    best = {name: jnp.asarray(array) for name, array in arrays.items()}
    success, episode_return, update = (best.pop(name) for name in Best._fields[:-1])
    return Best(success, episode_return, update, best)


def _flat(best: Best) -> dict[str, jax.Array]:
    scores = dict(zip(Best._fields, best[:-1], strict=False))
    return {**scores, **best.actors}


def _digest(arrays: dict[str, np.ndarray]) -> str:
    """Returns a SHA-256 over name, type, shape and bytes of every array."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"\n{name} {array.dtype} {array.shape}\n".encode() + array.tobytes())
    return digest.hexdigest()
