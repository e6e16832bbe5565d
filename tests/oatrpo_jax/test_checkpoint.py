"""Checkpoints of any tree: the same bits back, or an error that says why not."""

import contextlib
import json
import pickle
import random
import shutil
import tempfile
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from oatrpo_jax.checkpoint import (
    DamagedCheckpointError,
    load_checkpoint,
    read_about,
    save_checkpoint,
    to_host,
)


class Nested(NamedTuple):
    weights: dict[str, jax.Array]
    opt_state: tuple
    key: jax.Array


def make_tree() -> Nested:
    return Nested(
        weights={
            "kernel": jnp.asarray([[0.1, -0.0], [jnp.nan, jnp.inf]], jnp.float32),
            "mask": jnp.asarray([True, False]),
            "large": jax.random.normal(jax.random.key(1), (50, 40)),
        },
        opt_state=((), jnp.int32(7), jnp.zeros((0, 3))),
        key=jax.random.split(jax.random.key(3), (2, 2)),
    )


def shapes_of(tree: Nested) -> Nested:
    return jax.eval_shape(lambda: tree)


def same_bits(one: Nested, other: Nested) -> bool:
    left, right = to_host(one), to_host(other)
    return left.keys() == right.keys() and all(
        left[name].dtype == right[name].dtype and left[name].tobytes() == right[name].tobytes()
        for name in left
    )


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("checkpoints") / "one"
    save_checkpoint(path, to_host(make_tree()), {"num_updates": 12, "score": 0.1})
    return path


def test_what_comes_back_is_the_same_to_the_bit(saved: Path):
    restored = load_checkpoint(saved, shapes_of(make_tree()))
    assert jax.tree.structure(restored) == jax.tree.structure(make_tree())
    assert same_bits(restored, make_tree())
    assert restored.key.dtype == make_tree().key.dtype
    assert read_about(saved) == {"num_updates": 12, "score": 0.1}


def test_a_path_may_be_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    save_checkpoint("folder/one", to_host(make_tree()), {"score": 1})
    for path in ("folder/one", str(tmp_path / "folder/one"), Path("folder/one")):
        assert same_bits(load_checkpoint(path, shapes_of(make_tree())), make_tree())
        assert read_about(path) == {"score": 1}
    with pytest.raises(DamagedCheckpointError, match="folder/none"):
        read_about("folder/none")


def test_the_arrays_are_named_by_their_path():
    names = {"weights/kernel", "weights/mask", "weights/large", "opt_state/1", "opt_state/2", "key"}
    assert to_host(make_tree()).keys() == names


def test_a_copy_on_the_host_outlives_the_donated_buffer():
    state = jnp.full(1000, 1.0)
    copy = to_host({"x": state})["x"]
    view = np.asarray(state)
    doubled = jax.jit(lambda x: 2 * x, donate_argnums=0)(state)
    assert not np.shares_memory(copy, view)
    np.testing.assert_array_equal(doubled, 2.0)
    np.testing.assert_array_equal(copy, 1.0)


def test_a_second_save_replaces_the_first(tmp_path: Path):
    tree = {"x": jnp.zeros(3)}
    for value in (1.0, 2.0):
        save_checkpoint(tmp_path / "one", to_host({"x": jnp.full(3, value)}))
    np.testing.assert_array_equal(load_checkpoint(tmp_path / "one", tree)["x"], 2.0)
    assert [path.name for path in tmp_path.iterdir()] == ["one"]


MISFITS = {
    "shape": ({"kernel": (2, 3)}, r"weights/kernel: expected float32\[2, 3\], got float32\[2, 2\]"),
    "dtype": ({"mask": (2,)}, r"weights/mask: expected float32\[2\], got bool\[2\]"),
    "missing": ({"bias": (2,)}, r"weights/bias: expected float32\[2\], got none"),
    "unexpected": ({"mask": None}, r"weights/mask: expected none, got bool\[2\]"),
}


@pytest.mark.parametrize(("changes", "message"), MISFITS.values(), ids=MISFITS.keys())
def test_arrays_that_do_not_fit_are_named(saved: Path, changes: dict, message: str):
    tree = shapes_of(make_tree())
    weights: dict = dict(tree.weights)
    for name, shape in changes.items():
        weights.pop(name, None)
        if shape:
            weights[name] = jax.ShapeDtypeStruct(shape, jnp.float32)
    with pytest.raises(ValueError, match=message):
        load_checkpoint(saved, tree._replace(weights=weights))


def damage(path: Path, kind: str, rng: random.Random) -> Path:
    """Damages a file that matters, chosen at random; returns it."""
    file = rng.choice(sorted(p for p in path.rglob("*") if p.is_file() and p.stat().st_size))
    content = bytearray(file.read_bytes())
    if kind == "deleted":
        file.unlink()
    elif kind == "truncated":
        file.write_bytes(content[: rng.randrange(len(content))])
    else:
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        file.write_bytes(content)
    return file


@pytest.mark.parametrize("kind", ["flipped", "truncated", "deleted"])
def test_damage_is_noticed_or_does_not_matter(saved: Path, tmp_path: Path, kind: str):
    rng, noticed = random.Random(0), 0
    for trial in range(20):
        path = tmp_path / str(trial)
        shutil.copytree(saved, path)
        damage(path, kind, rng)
        try:
            restored = load_checkpoint(path, shapes_of(make_tree()))
            assert same_bits(restored, make_tree())
        except (DamagedCheckpointError, ValueError):
            noticed += 1
    assert noticed > 0


def test_nothing_there_is_damage(tmp_path: Path):
    with pytest.raises(DamagedCheckpointError):
        load_checkpoint(tmp_path / "none", make_tree())
    with pytest.raises(DamagedCheckpointError):
        read_about(tmp_path)


def test_other_facts_than_were_saved_are_noticed(saved: Path, tmp_path: Path):
    shutil.copytree(saved, tmp_path / "one")
    file = tmp_path / "one" / "_CHECKPOINT_METADATA"
    metadata = json.loads(file.read_text())
    metadata["custom_metadata"]["about"]["num_updates"] = 13
    file.write_text(json.dumps(metadata))
    with pytest.raises(DamagedCheckpointError, match="not what was saved"):
        load_checkpoint(tmp_path / "one", shapes_of(make_tree()))


class Malicious:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def test_code_in_a_checkpoint_is_not_executed(saved: Path, tmp_path: Path):
    sign = tmp_path / "executed"
    payload = pickle.dumps(Malicious(sign))
    pickle.loads(payload)
    assert sign.exists()  # The payload works where somebody unpickles.
    sign.unlink()
    for index, name in enumerate(sorted(p.name for p in saved.rglob("*") if p.is_file())):
        path = tmp_path / str(index)
        shutil.copytree(saved, path)
        for file in path.rglob(name):
            file.write_bytes(payload)
        with contextlib.suppress(DamagedCheckpointError):
            assert same_bits(load_checkpoint(path, shapes_of(make_tree())), make_tree())
        assert not sign.exists()


@pytest.mark.parametrize("name", ["a[1]", "a\\b", "gs:", "a*b", "a?b", "日本", "it's (1)", "a b"])
def test_any_place_is_a_place(name: str, tmp_path: Path):
    (tmp_path / "axb" / "new").mkdir(parents=True)  # What a pattern would find as well.
    path = tmp_path / name / "new" / "one"
    save_checkpoint(path, to_host(make_tree()), {"place": name})
    assert same_bits(load_checkpoint(path, shapes_of(make_tree())), make_tree())
    assert read_about(path) == {"place": name}


@pytest.mark.parametrize("name", ["it's (1)", "a:b", "a~b", "日本"])
def test_a_checkpoint_may_have_almost_any_name(name: str, tmp_path: Path):
    save_checkpoint(tmp_path / name, to_host(make_tree()))
    assert same_bits(load_checkpoint(tmp_path / name, shapes_of(make_tree())), make_tree())


def test_a_name_that_could_not_be_read_is_refused(tmp_path: Path):
    for name in ("a[1]", "a\\b", "gs:", "a*", "a?"):
        with pytest.raises(ValueError, match="path: expected a checkpoint's name without"):
            save_checkpoint(tmp_path / name, to_host(make_tree()))
    assert not list(tmp_path.iterdir())


def test_a_temporary_directory_that_is_odd_as_well_is_named(tmp_path: Path, monkeypatch):
    (tmp_path / "tmp[2]").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp[2]"))
    with pytest.raises(ValueError, match="set TMPDIR to another one"):
        save_checkpoint(tmp_path / "a[1]" / "one", to_host(make_tree()))
