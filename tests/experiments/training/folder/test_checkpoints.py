"""Checkpoints of a made-up state: the newest few are kept, and no fault harms those before."""

import shutil
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.training.errors import UsageError
from experiments.training.folder.checkpoints import (
    DEFAULT_SECONDS,
    FOLDER,
    Checkpoints,
    find_checkpoints,
    restore,
    set_aside,
)
from oatrpo_jax.checkpoint import save_checkpoint, to_host
from tests.experiments.faults import damage, full_disk


class Train(NamedTuple):
    learner: dict[str, jax.Array]
    returns: jax.Array


class State(NamedTuple):
    train: Train
    best: jax.Array


def make_state(value: float = 0.5) -> State:
    """Returns a state of three grid points and two seeds, whose environments are in no episode."""
    kernel = value * jax.random.normal(jax.random.key(0), (3, 2, 20, 20))
    learner = {"kernel": kernel, "count": jnp.ones((3, 2), jnp.int32)}
    return State(Train(learner, jnp.full((3, 2), jnp.nan)), jnp.full((3, 2), -jnp.inf))


def spoilt(point: int) -> State:
    """Returns a state with a number that is not finite in what one grid point has learnt."""
    state = make_state()
    kernel = state.train.learner["kernel"].at[point, 1, 2].set(jnp.nan)
    learner = state.train.learner | {"kernel": kernel}
    return state._replace(train=state.train._replace(learner=learner))


def bits(state: State) -> dict[str, bytes]:
    return {name: array.tobytes() for name, array in to_host(state).items()}


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in (directory / FOLDER).iterdir())


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """The directory of a run with checkpoints after 4 and 8 updates."""
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(make_state(4.0), 4, {"run_seconds": 1.5})
        checkpoints.save(make_state(8.0), 8, {"run_seconds": 2.5})
    return tmp_path


def test_the_newest_state_comes_back_with_its_facts(saved: Path):
    restored = restore(saved, jax.eval_shape(make_state))
    assert restored is not None
    assert isinstance(restored.state, State)
    assert bits(restored.state) == bits(make_state(8.0))
    assert restored.num_updates == 8
    assert restored.about == {"num_updates": 8, "run_seconds": 2.5}
    assert restored.passed_over == ()


def test_nothing_is_restored_from_nothing(tmp_path: Path):
    assert find_checkpoints(tmp_path) == {}
    assert restore(tmp_path, make_state()) is None


def test_no_file_is_touched_before_they_are_opened(tmp_path: Path):
    checkpoints = Checkpoints(tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert checkpoints.newest is None


def test_the_newest_few_are_kept(tmp_path: Path):
    with Checkpoints(tmp_path, keep=2) as checkpoints:
        for number in (1, 2, 3):
            checkpoints.save(make_state(), number)
    assert list(find_checkpoints(tmp_path)) == [2, 3]
    with Checkpoints(tmp_path, keep=1) as checkpoints:
        assert checkpoints.newest == 3
        checkpoints.save(make_state(), 4)
    assert list(find_checkpoints(tmp_path)) == [4]


def test_what_is_saved_already_is_left_as_it_is(saved: Path):
    with Checkpoints(saved) as checkpoints:
        checkpoints.save(make_state(9.0), 8)
        assert checkpoints.wait()
    restored = restore(saved, make_state())
    assert restored is not None and bits(restored.state) == bits(make_state(8.0))


def test_a_save_outlives_the_state_that_is_given_away(tmp_path: Path):
    state = jnp.full((1, 1, 1000), 1.0)
    double = jax.jit(lambda x: 2 * x, donate_argnums=0)
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save({"learner": state}, 1)
        double(state).block_until_ready()
    restored = restore(tmp_path, {"learner": jax.ShapeDtypeStruct((1, 1, 1000), jnp.float32)})
    assert restored is not None
    np.testing.assert_array_equal(restored.state["learner"], 1.0)


def test_one_is_due_by_number_or_by_the_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    assert [n for n in range(1, 10) if Checkpoints(tmp_path, every=4).is_due(n)] == [4, 8]
    seconds = 100.0
    monkeypatch.setattr("time.perf_counter", lambda: seconds)
    with Checkpoints(tmp_path) as checkpoints:
        seconds += DEFAULT_SECONDS - 1
        assert not checkpoints.is_due(1)
        seconds += 1
        assert checkpoints.is_due(1)
        checkpoints.save(make_state(), 1)
        assert not checkpoints.is_due(1)


def test_a_save_that_fails_is_told_and_harms_nothing(tmp_path: Path, capfd: Any):
    state = make_state()
    before = bits(state)
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(state, 1)
        assert checkpoints.wait()
        with full_disk(1000):
            checkpoints.save(state, 2)
            assert not checkpoints.wait()
        assert "checkpoint of update 2 could not be saved" in (errors := capfd.readouterr().err)
        assert "newest is of update 1" in errors and "File too large" in errors
        assert "Traceback" not in errors
        assert list(find_checkpoints(tmp_path)) == [1]
        checkpoints.save(state, 3)
        assert checkpoints.wait()
    assert names(tmp_path) == ["000000001", "000000003"]
    assert bits(state) == before


def test_a_place_without_room_for_a_folder_is_told_and_the_next_save_succeeds(
    tmp_path: Path, capfd: Any
):
    with Checkpoints(tmp_path) as checkpoints:
        (tmp_path / FOLDER).rmdir()
        (tmp_path / FOLDER).touch()
        checkpoints.save(make_state(), 1)
        assert not checkpoints.wait()
        assert "none was saved before. " in capfd.readouterr().err
        (tmp_path / FOLDER).unlink()
        checkpoints.save(make_state(), 2)
        assert checkpoints.wait()
    assert list(find_checkpoints(tmp_path)) == [2]


def test_a_failed_last_save_is_told_at_the_end(tmp_path: Path, monkeypatch: Any, capfd: Any):
    def fail(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("experiments.training.folder.checkpoints.save_checkpoint", fail)
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(make_state(), 1)
    errors = capfd.readouterr().err
    assert "No space left on device" in errors and "none was saved before" in errors


def test_what_a_killed_save_has_left_is_removed(saved: Path):
    shutil.copytree(saved / FOLDER / "000000008", saved / FOLDER / "000000012.orbax-checkpoint-tmp")
    assert list(find_checkpoints(saved)) == [4, 8]
    with Checkpoints(saved):
        assert names(saved) == ["000000004", "000000008"]


def test_what_cannot_be_gone_on_from_is_not_saved(tmp_path: Path, capfd: Any):
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(spoilt(point=1), 1)
        assert not checkpoints.wait()
        assert "train/learner/kernel is not finite" in capfd.readouterr().err
        checkpoints.save(spoilt(point=1), 2, left_out={0, 2})
        assert not checkpoints.wait()
    assert not find_checkpoints(tmp_path)


def test_a_grid_point_that_is_left_out_may_be_no_number(tmp_path: Path):
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(spoilt(point=1), 1, {"diverged": [1]}, left_out=[1])
        assert checkpoints.wait()
    restored = restore(tmp_path, make_state())
    assert restored is not None and bits(restored.state) == bits(spoilt(point=1))
    assert restored.about["diverged"] == [1]


def test_a_damaged_one_gives_way_to_the_one_before(saved: Path, capfd: Any):
    newest = find_checkpoints(saved)[8]
    damage(newest)
    restored = restore(saved, make_state())
    assert restored is not None
    assert bits(restored.state) == bits(make_state(4.0))
    assert (restored.num_updates, restored.passed_over) == (4, (newest,))
    errors = capfd.readouterr().err
    assert "Warning: a checkpoint cannot be loaded" in errors and "000000008" in errors
    assert "Traceback" not in errors
    set_aside(restored.passed_over)
    assert names(saved) == ["000000004", "000000008.damaged"]
    with Checkpoints(saved) as checkpoints:
        assert checkpoints.newest == 4
        checkpoints.save(make_state(8.0), 8)
    set_aside([newest])  # A second one of that name takes the first one's place.
    assert names(saved) == ["000000004", "000000008.damaged"]


def test_without_a_sound_one_nothing_is_touched(saved: Path):
    for path in find_checkpoints(saved).values():
        damage(path)
    with pytest.raises(UsageError, match=r"no checkpoint in .* nothing was changed.*000000008"):
        restore(saved, make_state())
    assert names(saved) == ["000000004", "000000008"]


def test_one_of_another_structure_is_passed_over(saved: Path, capfd: Any):
    save_checkpoint(saved / FOLDER / "000000012", to_host({"other": jnp.zeros(2)}))
    restored = restore(saved, make_state())
    assert restored is not None and restored.num_updates == 8
    assert "does not fit" in capfd.readouterr().err
