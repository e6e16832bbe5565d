"""What is read back from a run's folder, and what is refused."""

import contextlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from experiments.analysis.reading import read_result
from experiments.analysis.reuse import save_reuse
from experiments.training.errors import UsageError
from tests.experiments.made_up_runs import (
    SIZES,
    let_diverge,
    write_clusters,
    write_run,
)

TINY = ["--env", "maze", *SIZES]

TWO_POINTS = [*TINY, "--reuse-sigma", "0.1", "10"]


def test_a_run_is_read_back_by_update_point_and_seed(tmp_path):
    # Point 0 needs 5 or 10 updates to the optimum, point 1 twice as many.
    needed = {np.float32(0.1): 5, np.float32(10): 10}
    write_run(
        TWO_POINTS,
        tmp_path / "run",
        lambda _, point, seed: needed[np.float32(point["reuse_sigma"])] * (1 + seed),
    )
    result = read_result(tmp_path / "run")
    assert (result.num_updates, len(result.points), result.seeds) == (10, 2, [0, 1])
    assert result.env_steps == 320 and result.is_complete
    assert [point.label for point in result.points] == ["reuse_sigma=0.1", "reuse_sigma=10"]
    success = result.log.columns["episode/success"]
    assert success.dtype == np.float32
    np.testing.assert_allclose(success[1], [[2 / 5, 2 / 10], [2 / 10, 2 / 20]], rtol=1e-7)
    np.testing.assert_array_equal(result.points[1].ends("success"), [1, 0.5])
    np.testing.assert_allclose(result.points[1].curve("success").mean, np.arange(1, 11) * 0.075)
    weight = result.points[0].matrices("reuse/weight")
    assert weight.shape == (10, 2, 4, 4)
    # Learner 0 has 1/5 or 1/10 of its weight on itself after one update, and 1/5 more or 1/10 more
    # after the next.
    expected = [[[0.2, 0.8, 0, 0], [0.1, 0.9, 0, 0]], [[0.4, 0.6, 0, 0], [0.2, 0.8, 0, 0]]]
    np.testing.assert_allclose(weight[:2, :, 0], expected, rtol=1e-6)
    np.testing.assert_array_equal(weight[:, :, 1:], np.broadcast_to(np.eye(4)[1:], (10, 2, 3, 4)))


def test_steps_to_a_threshold_are_those_of_the_first_window_at_or_above_it(tmp_path):
    write_run(TINY, tmp_path / "run", lambda _, __, seed: 10 + 10 * seed, episode__count=400.0)
    steps, reached = read_result(tmp_path / "run").points[0].steps_to("success", 0.9)
    # Seed 0 has 9/10 after 9 updates of 32 steps; seed 1 ends with 10/20, after all 320.
    assert steps.tolist() == [288, 320] and reached.tolist() == [True, False]


def test_the_steps_of_a_grouping_before_training_count(tmp_path):
    write_run(
        [*TINY, "--algorithm", "seps"],
        tmp_path / "run",
        lambda _, __, seed: 10 + 10 * seed,
        episode__count=400.0,
    )
    write_clusters(tmp_path / "run", [[0, 0, 1, 1]] * 2)
    result = read_result(tmp_path / "run")
    # 8,192 + 288; all that were done are 8,192 + 320.
    steps, reached = result.points[0].steps_to("success", 0.9)
    assert steps.tolist() == [8480, 8512] and reached.tolist() == [True, False]
    first, last = 8192 + 32, 8192 + 320
    for env_steps in (
        result.points[0].curve("success").env_steps,
        result.points[0].seed_curve("success", 1)[0],
    ):
        assert (env_steps[0], env_steps[-1]) == (first, last)
    assert result.env_steps == 320  # What summary.json says is of training alone.


def test_an_update_of_which_rows_are_missing_is_left_out(tmp_path):
    write_run(TWO_POINTS, tmp_path / "run", lambda *_: 5)
    path = tmp_path / "run" / "metrics.csv"
    path.write_text(path.read_text()[:-3])  # As if the process had died while it wrote.
    result = read_result(tmp_path / "run")
    assert result.num_updates == 9 and result.env_steps == 288


def test_matrices_know_the_updates_that_they_are_of(tmp_path):
    write_run([*TWO_POINTS, "--matrix-every", "4"], tmp_path / "run", lambda *_: 10)
    let_diverge(tmp_path / "run", {1: 9})
    result = read_result(tmp_path / "run")
    assert result.num_updates == 10
    assert result.points[0].matrix_updates.tolist() == [1, 5, 9]
    assert result.points[1].matrix_updates.tolist() == [1, 5]
    # Learner 0 has a tenth more of its weight on itself with every update.
    for point, share in ((0, [0.1, 0.5, 0.9]), (1, [0.1, 0.5])):
        weight = result.points[point].matrices("reuse/weight")[:, 1, 0, 0]
        np.testing.assert_allclose(weight, share, rtol=1e-6)


def test_a_run_of_before_matrices_had_a_log_is_read_without_them(tmp_path):
    write_run(TINY, tmp_path / "run", lambda *_: 5)
    (tmp_path / "run" / "matrices.csv").unlink()
    result = read_result(tmp_path / "run")
    assert not result.has_matrix("reuse/weight") and result.points[0].ends("success").tolist() == [
        1,
        1,
    ]
    save_reuse(result.points[0], tmp_path / "reuse.png")
    assert (tmp_path / "reuse.png").stat().st_size > 10_000


def test_a_run_under_way_is_not_complete(tmp_path):
    write_run(TINY, tmp_path / "run", lambda *_: 5)
    (tmp_path / "run" / "training.json").unlink()
    result = read_result(tmp_path / "run")
    assert not result.is_complete and not result.diverged
    assert np.isnan(result.points[0].evaluated("success")).all()


def test_how_the_best_policies_played_is_known_where_it_was_measured(tmp_path):
    write_run([*TINY, "--eval-every", "5"], tmp_path / "run", lambda *_: 20)
    result = read_result(tmp_path / "run")
    np.testing.assert_array_equal(result.points[0].evaluated("success"), [0.25, 0.25])
    assert np.isnan(result.points[0].evaluated("length")).all()


def test_a_curve_ends_before_its_point_diverges(tmp_path):
    write_run(TWO_POINTS, tmp_path / "run", lambda *_: 5)
    let_diverge(tmp_path / "run", {1: 4})
    result = read_result(tmp_path / "run")
    assert result.diverged == {1: 4}
    assert result.points[0].curve("return").env_steps[-1] == 320
    assert result.points[1].curve("return").env_steps[-1] == 96  # 3 updates.


def test_the_end_of_a_point_that_diverges_is_before_that(tmp_path):
    write_run(TWO_POINTS, tmp_path / "run", lambda *_: 5, episode__count=400.0)
    let_diverge(tmp_path / "run", {1: 4})
    result = read_result(tmp_path / "run")
    # The last tenth of three updates is the third, of five until the optimum.
    np.testing.assert_allclose(result.points[1].ends("success"), [0.6, 0.6], rtol=1e-7)
    np.testing.assert_array_equal(result.points[0].ends("success"), [1, 1])
    assert result.points[1].seed_curve("success", 0)[0].tolist() == [32, 64, 96]
    # What comes after it reaches nothing.
    assert not result.points[1].steps_to("success", 0.9)[1].any()
    assert result.points[0].steps_to("success", 0.9)[1].all()
    let_diverge(tmp_path / "run", {1: 1})
    assert np.isnan(read_result(tmp_path / "run").points[1].ends("success")).all()


def test_who_acts_with_which_policy(tmp_path):
    write_run([*TINY, "--algorithm", "mappo"], tmp_path / "mappo", lambda *_: 5)
    mappo = read_result(tmp_path / "mappo")
    assert mappo.own().tolist() == [[[True] * 4]] * 2 and mappo.learners == ["policy 0"]
    write_run(TINY, tmp_path / "run", lambda *_: 5)
    result = read_result(tmp_path / "run")
    np.testing.assert_array_equal(result.own(), [np.eye(4)] * 2)
    assert result.learners == result.agents
    # SEPS groups the agents of each seed, and says so in a file of its own.
    write_clusters(tmp_path / "run", [[0, 0, 1, 1], [0, 1, 0, 1]])
    result = read_result(tmp_path / "run")
    assert result.learners == [f"policy {index}" for index in range(4)]
    own = result.own()
    assert own.shape == (2, 4, 4)
    assert own[1].astype(int).tolist() == [[1, 0, 1, 0], [0, 1, 0, 1], [0] * 4, [0] * 4]


def test_a_directory_without_a_run_is_refused(tmp_path):
    with pytest.raises(UsageError, match="holds no run"):
        read_result(tmp_path)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two seeds."""
    path = tmp_path_factory.mktemp("results") / "run"
    write_run(TINY, path, lambda *_: 5)
    return path


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *(("config.json", text) for text in ("{}", "[]", "7", '{"points": [], "seeds": [0]}')),
        ("config.json", "{"),
        ("training.json", "[]"),
        ("metrics.csv", ""),
        ("metrics.csv", "episode/count\n1\n1\n1\n"),
    ],
)
def test_files_that_are_no_run_are_refused(name, text, directory):
    with changed(directory / name, lambda _: text), pytest.raises(UsageError, match="holds no run"):
        read_result(directory)


@pytest.mark.parametrize("name", ["metrics.csv", "matrices.csv"])
@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda text: "\ufeff" + text, "byte-order mark"),
        (lambda text: text.replace("\n", "\r\n"), "CR LF"),
        (lambda text: text.replace(",", ";"), "column 1: expected point, got point;seed;update"),
        (lambda text: text.replace("seed", "number"), "column 2: expected seed, got number"),
        (lambda text: text.replace("\n0,1,", "\n0,7,"), "not those of the run's points and seeds"),
        (lambda text: text.replace(",2,64,", ",2,65,"), "updates are not of 32 environment steps"),
        (lambda text: text.replace(",2,64,", ",1,32,"), "not in their order"),
        (lambda text: text[: text.rindex(",")] + "\n", "columns changed from"),
        (lambda text: text[: text.rindex(",")] + ",x\n", "could not convert string 'x'"),
    ],
)
def test_a_log_that_is_not_as_training_left_it_is_refused_by_name(
    name, change, complaint, directory
):
    with changed(directory / name, change), pytest.raises(UsageError, match=complaint) as error:
        read_result(directory)
    assert f"{name}: " in str(error.value)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda text: re.sub(r"0,.,2,64,.*\n", "", text), "an update is missing"),
        (lambda text: text.replace("episode/count", "count"), "no column episode/count"),
    ],
)
def test_metrics_without_an_update_or_its_episodes_are_refused(change, complaint, directory):
    path = directory / "metrics.csv"
    with changed(path, change), pytest.raises(UsageError, match=complaint):
        read_result(directory)


@contextlib.contextmanager
def changed(path: Path, change: Callable[[str], str]) -> Iterator[None]:
    """Changes a file for a while."""
    before = path.read_bytes()
    path.write_bytes(change(before.decode()).encode())
    try:
        yield
    finally:
        path.write_bytes(before)
