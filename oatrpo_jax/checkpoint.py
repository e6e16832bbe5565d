"""Any tree of arrays, such as a `TrainState`, on disk and back, to the bit: orbax with a digest.

Orbax commits a checkpoint by renaming a finished directory, so that there is a whole one or none.
What is read back is compared with a SHA-256 of what was saved, as damage within a file would go
unnoticed otherwise.  Arrays and JSON are all that is stored: loading executes nothing.
"""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp

from oatrpo_jax.types import PyTree, StrPath

Arrays = dict[str, np.ndarray]
"""A tree's arrays on the host, by path: ``learner/critics/params/...``."""

Shapes = dict[str, tuple[Any, Any]]
"""Shape and dtype of such arrays."""

_ODD = re.compile(r"[*?\[\]\\]|gs:|^/(gs|s3|az|hf)/")
"""What orbax does not take as it is, wherever in a path it stands: patterns, names of buckets."""


class DamagedCheckpointError(Exception):
    """What lies there is no checkpoint, or not what was saved."""


def to_host(tree: PyTree) -> Arrays:
    """Returns copies of all arrays on the host; typed keys as their data.

    Where several processes compute, each has to have every array whole.

    Copies, because on a CPU the host may look at the device's own buffers, which a program that
    takes them as donated overwrites.
    """
    return {name: np.array(_plain(_here(leaf))) for name, leaf in _named_leaves(tree)}


def save_checkpoint(path: StrPath, arrays: Arrays, about: Mapping[str, Any] | None = None) -> None:
    """Writes a new checkpoint; raises whatever keeps it from being written.

    Of several processes that compute together, the first writes it for all.

    Args:
        path: the directory to make; replaced if it exists.
        arrays: what `to_host` returns.
        about: JSON-able facts to keep beside the arrays.

    Raises:
        ValueError: if the directory's own name holds any of ``*?[]\\`` or ``gs:``; those above it
            may have any name.
    """
    path = Path(path)
    if _ODD.search(path.name):
        raise ValueError(
            rf"path: expected a checkpoint's name without * ? [ ] \ and gs:, got {path.name!r}; "
            "choose another name"
        )
    if jax.process_index():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    facts = dict(about or {})
    stored = {name: array for name, array in arrays.items() if array.size}
    with _plain_path(path) as plain, _checkpointer() as checkpointer:
        checkpointer.save(
            plain,
            args=ocp.args.PyTreeSave(stored),
            force=True,
            custom_metadata={"about": facts, "sha256": _digest(stored, facts)},
        )


def read_about(path: StrPath) -> dict[str, Any]:
    """Returns the facts beside the arrays; `load_checkpoint` is what verifies them.

    Raises:
        DamagedCheckpointError: if there is no readable checkpoint.
    """
    return _read_metadata(Path(path))[1]["about"]


def load_checkpoint(path: StrPath, like: PyTree, is_part: bool = False) -> PyTree:
    """Returns the tree that was saved, on the default device.

    Args:
        path: the checkpoint's directory.
        like: a tree of the same structure, shapes and dtypes; `jax.ShapeDtypeStruct` will do.
        is_part: whether more may have been saved than that, which is verified but not returned.

    Raises:
        DamagedCheckpointError: if it cannot be read or is not what was saved.
        ValueError: if its arrays do not fit ``like``, naming those that differ.
    """
    path = Path(path)
    shapes, metadata = _read_metadata(path)
    leaves = _named_leaves(like)
    wanted = {name: jax.eval_shape(_plain, leaf) for name, leaf in leaves}
    stored = {name: leaf for name, leaf in wanted.items() if leaf.size}
    found = {name: shapes[name] for name in shapes if name in stored or not is_part}
    _check_fits(path, found, {name: (leaf.shape, leaf.dtype) for name, leaf in stored.items()})
    every = {name: jax.ShapeDtypeStruct(*each) for name, each in shapes.items()}
    arrays = _read_arrays(path, every)
    if _digest(arrays, metadata["about"]) != metadata["sha256"]:
        raise DamagedCheckpointError(f"{path}: the content is not what was saved")
    for name in wanted.keys() - stored.keys():
        arrays[name] = np.zeros(wanted[name].shape, wanted[name].dtype)
    restored = [_restored(name, arrays[name], leaf) for name, leaf in leaves]
    return jax.tree.unflatten(jax.tree.structure(like), restored)


def _checkpointer() -> ocp.Checkpointer:
    """Returns what reads and writes for this process alone, however many compute together."""
    me = jax.process_index()
    alone = ocp.options.MultiprocessingOptions(me, {me}, barrier_sync_key_prefix=f"process_{me}")
    handler = ocp.PyTreeCheckpointHandler(multiprocessing_options=alone)
    return ocp.Checkpointer(handler, multiprocessing_options=alone)


@contextmanager
def _plain_path(path: Path) -> Iterator[Path]:
    """Yields an absolute path to the same place that orbax takes as it is: through a link.

    Raises:
        ValueError: if the temporary directory has an odd path as well.
    """
    path = path.absolute()
    if not _ODD.search(str(path)):
        yield path
        return
    if _ODD.search(tempfile.gettempdir()):
        raise ValueError(
            f"{path}: there are characters in it that orbax cannot read, and in the temporary "
            f"directory {tempfile.gettempdir()} as well; set TMPDIR to another one"
        )
    with tempfile.TemporaryDirectory() as folder:
        parent = Path(folder, "parent")
        parent.symlink_to(path.parent, target_is_directory=True)
        yield parent / path.name


def _named_leaves(tree: PyTree) -> list[tuple[str, Any]]:
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return [(jax.tree_util.keystr(path, simple=True, separator="/"), leaf) for path, leaf in leaves]


def _is_key(leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _here(leaf: Any) -> Any:
    """Returns an array that lies on devices of several processes as this one has it."""
    return leaf if getattr(leaf, "is_fully_addressable", True) else leaf.addressable_data(0)


def _plain(leaf: Any) -> Any:
    return jax.random.key_data(leaf) if _is_key(leaf) else leaf


def _restored(name: str, array: np.ndarray, leaf: Any) -> jax.Array:
    # A copy again: JAX would otherwise share the host's memory, and then give it away.
    value = jnp.array(array, copy=True)
    if not _is_key(leaf):
        return value
    keys = jax.random.wrap_key_data(value)
    if keys.dtype != leaf.dtype:
        raise ValueError(
            f"{name}: expected keys of type {leaf.dtype}, got {keys.dtype}; set "
            "jax_default_prng_impl to what it was when the checkpoint was saved"
        )
    return keys


def _digest(arrays: Arrays, about: Mapping[str, Any]) -> str:
    """Returns a SHA-256 over the facts and over name, type, shape and bytes of every array."""
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"\n{name} {array.dtype} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).view(np.uint8).data)
    return digest.hexdigest()


def _read_metadata(path: Path) -> tuple[Shapes, dict[str, Any]]:
    """Returns shape and dtype of each array, and what was stored with them."""
    with _reading(path) as (checkpointer, plain):
        step: Any = checkpointer.metadata(plain)
        shapes = {name: (leaf.shape, leaf.dtype) for name, leaf in step.item_metadata.tree.items()}
        metadata = {name: step.custom_metadata[name] for name in ("about", "sha256")}
    if not isinstance(metadata["about"], dict):
        raise DamagedCheckpointError(f"{path}: its facts are no dictionary")
    return shapes, metadata


def _read_arrays(path: Path, like: Mapping[str, Any]) -> Arrays:
    as_numpy = {name: ocp.RestoreArgs(restore_type=np.ndarray) for name in like}
    with _reading(path) as (checkpointer, plain):
        arrays = checkpointer.restore(
            plain, args=ocp.args.PyTreeRestore(item=dict(like), restore_args=as_numpy)
        )
        return {name: np.asarray(array) for name, array in arrays.items()}


@contextmanager
def _reading(path: Path) -> Iterator[tuple[ocp.Checkpointer, Path]]:
    """Yields a checkpointer and the path that it takes; what goes wrong inside is damage."""
    with _plain_path(path) as plain:
        try:
            with _checkpointer() as checkpointer:
                yield checkpointer, plain
        except Exception as error:  # Orbax says in many ways that it cannot read something.
            raise DamagedCheckpointError(f"{path}: {_first_line(error)}") from error


def _check_fits(path: Path, found: Shapes, wanted: Shapes) -> None:
    """Raises a ValueError that names the arrays of which shape or dtype differ."""
    there, here = (
        {name: f"{np.dtype(dtype)}{list(shape)}" for name, (shape, dtype) in shapes.items()}
        for shapes in (found, wanted)
    )
    lines = [
        f"{name}: expected {here.get(name, 'none')}, got {there.get(name, 'none')}"
        for name in sorted(there.keys() | here.keys())
        if there.get(name) != here.get(name)
    ]
    if lines:
        more = f"; and {len(lines) - 3} more" if len(lines) > 3 else ""
        raise ValueError(f"{path} does not fit: {'; '.join(lines[:3])}{more}")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
