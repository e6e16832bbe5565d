"""Slices that several jobs have trained are, joined, the run of a single program to the bit."""

import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments import compare, evaluate, export, join, run, sweep
from experiments.analysis.reading import read_result
from experiments.training import joining
from experiments.training.folder.checkpoints import find_checkpoints
from oatrpo_jax.checkpoint import to_host
from tests.experiments.faults import damage, lost_numbers
from tests.experiments.made_up_runs import change_json
from tests.experiments.trained_run import (
    STEPS,
    TINY,
    contents,
    read_checkpoint,
    shared_programs,
)
from tests.probe_envs import tree_equal

SMALL = [*TINY, "--seed", "3", "--log", "csv"]
EVALUATED = ["--matrix-every", "2", "--eval-every", "2", "--eval-episodes", "3"]
LINE = [*SMALL, "--seeds", "2", *EVALUATED]
SEARCH = ["--search", "actor_lr=log:1e-4:1e-2", "--points", "3"]
FILES = ("metrics.csv", "matrices.csv", "evaluation.csv")


@pytest.fixture(scope="module", autouse=True)
def share_programs() -> Iterator[None]:
    with shared_programs():
        yield


def steps(num_updates: int) -> list[str]:
    return ["--total-steps", str(num_updates * STEPS)]


def train(folder: Path, count: int, program: Any, *line: str) -> list[Path]:
    """Returns the directories of so many slices."""
    slices = [folder / str(number) for number in range(count)]
    for number, directory in enumerate(slices):
        argv = ["--slice", f"{number}/{count}", "--out", str(directory)]
        assert program.main([*line, *argv]) == 0
    return slices


def join_all(slices: Sequence[Path], out: Path) -> int:
    return join.main([*map(str, slices), "--out", str(out)])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, share_programs: None) -> Path:
    """A sweep of three points in one program."""
    out = tmp_path_factory.mktemp("whole") / "run"
    assert sweep.main([*SEARCH, *LINE, *steps(3), "--out", str(out)]) == 0
    return out


@pytest.fixture(scope="module")
def slices(tmp_path_factory: pytest.TempPathFactory, share_programs: None) -> list[Path]:
    """The same in two jobs: two points, and the third."""
    return train(tmp_path_factory.mktemp("slices"), 2, sweep, *SEARCH, *LINE, *steps(3))


@pytest.fixture(scope="module")
def joined(slices: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("joined") / "run"
    assert join_all(slices[::-1], out) == 0  # In any order.
    return out


def read_json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text())


def assert_same(one: Path, other: Path, files: Sequence[str] = FILES) -> None:
    """Compares all but timings, and what config.json says of processes."""
    for name in files:
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    states = [read_checkpoint(each) for each in (one, other)]
    assert tree_equal(*(to_host(each.state) for each in states))
    own = {"command_line", "joined", "resumed"}
    configs = [read_json(each / "config.json") for each in (one, other)]
    assert len({json.dumps({k: c[k] for k in sorted(c.keys() - own)}) for c in configs}) == 1
    seconds = {"run_seconds", "compile_seconds", "env_steps_per_second"}
    for name in ("training.json", "summary.json"):
        found = [read_json(each / name) for each in (one, other)]
        assert len({json.dumps({k: f[k] for k in sorted(f.keys() - seconds)}) for f in found}) == 1
    abouts = [{k: v for k, v in each.about.items() if k not in seconds} for each in states]
    assert abouts[0] == abouts[1]


def test_a_sweep_in_slices_is_the_whole_to_the_bit(joined: Path, whole: Path):
    assert_same(joined, whole, [*FILES, "table.md", "preset.json"])


def test_the_record_names_every_slice_and_adds_up_their_seconds(joined: Path, slices: list[Path]):
    told = read_json(joined / "config.json")["joined"]
    assert [(one["directory"], one["slice"]) for one in told] == [
        (str(directory), f"{number}/2") for number, directory in enumerate(slices)
    ]
    assert all("--slice" in one["command_line"] and one["versions"] for one in told)
    for name in ("run_seconds", "compile_seconds"):
        seconds = [read_json(each / "training.json")[name] for each in slices]
        assert read_json(joined / "training.json")[name] == sum(seconds)


def test_a_slice_is_a_run_that_ranks_its_own_points(slices: list[Path], whole: Path):
    config = read_json(slices[1] / "config.json")
    points = read_json(whole / "config.json")["points"]
    assert config["points"] == points[2:] and config["whole"]["points"] == points
    assert read_json(slices[1] / "summary.json")["best_point"] == 0
    assert len((slices[0] / "table.md").read_text().splitlines()) == 6  # Two points.
    assert evaluate.main([str(slices[1]), "--episodes", "2"]) == 0


@pytest.fixture(scope="module")
def longer_whole(whole: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sweep with an update more."""
    out = shutil.copytree(whole, tmp_path_factory.mktemp("longer") / "run")
    assert run.main(["--resume", str(out), *steps(4)]) == 0
    return out


def test_a_joined_run_goes_on_like_the_whole(joined: Path, longer_whole: Path, tmp_path):
    longer = shutil.copytree(joined, tmp_path / "run")
    assert run.main(["--resume", str(longer), *steps(4)]) == 0
    assert_same(longer, longer_whole, [*FILES, "table.md"])
    config = read_json(longer / "config.json")
    assert config["joined"] == read_json(joined / "config.json")["joined"]


def test_a_slice_goes_on_alone_and_its_points_are_not_drawn_again(
    slices: list[Path], longer_whole: Path, tmp_path, monkeypatch
):
    parts = [shutil.copytree(each, tmp_path / each.name) for each in slices]
    monkeypatch.delattr("experiments.training.settings.search.search_points")
    for part in parts:
        assert run.main(["--resume", str(part), *steps(4)]) == 0
    assert join_all(parts, tmp_path / "run") == 0
    assert_same(tmp_path / "run", longer_whole, [*FILES, "table.md"])
    assert read_json(tmp_path / "run" / "training.json")["evaluated_ends"] == [3, 4]
    assert read_result(tmp_path / "run").evaluation_log.updates.tolist() == [2, 3, 4]


def test_a_point_that_diverged_in_a_slice_is_the_one_of_the_whole(slices: list[Path], tmp_path):
    line = [*SEARCH, *LINE, *steps(3)]
    with lost_numbers(2, 1, 0):
        assert sweep.main([*line, "--out", str(tmp_path / "whole")]) == 0
        argv = [*line, "--slice", "0/2", "--out", str(tmp_path / "0")]
        assert sweep.main(argv) == 0
    assert join_all([tmp_path / "0", slices[1]], tmp_path / "run") == 0
    assert_same(tmp_path / "run", tmp_path / "whole", [*FILES, "table.md", "preset.json"])
    assert read_result(tmp_path / "run").diverged == {1: 2}


def test_a_join_that_was_killed_is_done_again(slices: list[Path], joined: Path, tmp_path):
    out = tmp_path / "run"

    def die(*_: Any) -> None:
        (unfinished,) = out.glob(".joining-*")
        shutil.copytree(unfinished, out / ".joining-killed")  # Which nothing tidies up.
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(joining, "save_first", die)
        assert join_all(slices, out) == 130
    assert {path.name for path in out.iterdir()} == {".lock", ".joining-killed"}
    assert join_all(slices, out) == 0
    assert_same(out, joined)
    assert {path.name for path in out.iterdir()} == {path.name for path in joined.iterdir()}


def test_a_joined_run_is_compared_and_exported(joined: Path, tmp_path):
    picture = tmp_path / "both.png"
    assert compare.main([str(joined), "--out", str(picture)]) == 0 and picture.exists()
    assert export.main([str(joined), "--out", str(tmp_path / "team.zip")]) == 0


def test_a_joined_team_is_evaluated(joined: Path):
    assert evaluate.main([str(joined), "--episodes", "2"]) == 0
    best = read_json(joined / "summary.json")["best_point"]
    assert read_json(joined / "evaluation.json")["point"] == best


@pytest.mark.thorough
def test_seeds_in_slices_are_the_whole_to_the_bit(tmp_path, capfd):
    whole = tmp_path / "whole"
    line = [*SMALL, "--seeds", "3", *EVALUATED, *steps(3)]
    line += ["--actor-lr-end", "1e-5", "--num-epochs", "2"]  # A schedule, and a program of its own.
    assert run.main([*line, "--out", str(whole)]) == 0
    parts = train(tmp_path, 2, run, *line)
    assert join_all(parts, tmp_path / "run") == 0
    assert_same(tmp_path / "run", whole)
    # A seed that diverged takes the only point with it.
    lost = {"point": 0, "update": 2, "seed": 5, "metric": "critic/loss"}
    change_json(parts[1] / "training.json", diverged=[lost], completed=False, absolute=None)
    errors = refused(parts, tmp_path / "lost", capfd)
    assert "slice 1/2 in" in errors and "critic/loss in update 2, seed 5" in errors


@pytest.mark.thorough
def test_groups_of_agents_are_joined_with_their_seeds(tmp_path, capfd):
    line = [*SMALL, "--seeds", "2", *steps(1), "--algorithm", "seps", "--grouping-epochs", "1"]
    line += ["--grouping-steps", "256"]
    for options in ((), ("--actor-lr", "1e-3", "1e-2")):
        folder = tmp_path / str(len(options))
        assert run.main([*line, *options, "--out", str(folder / "whole")]) == 0
        assert join_all(train(folder, 2, run, *line, *options), folder / "run") == 0
        told = [(folder / each / "clusters.json").read_bytes() for each in ("run", "whole")]
        assert told[0] == told[1]
    # Slices of points have the same seeds, and so the same groups.
    parts = [folder / "0", folder / "1"]
    groups = read_json(parts[1] / "clusters.json")
    groups["seeds"][0]["labels"] = ["other"]
    change_json(parts[1] / "clusters.json", **groups)
    assert "got seeds [{" in refused(parts, folder / "other", capfd)


def test_a_slice_of_which_no_point_is_left_has_empty_cells(tmp_path, capfd):
    search = ["--search", "ent_coef=1e38,0.01", "--method", "grid", *LINE, *steps(3)]
    parts = [tmp_path / "0", tmp_path / "1"]
    for number, (part, code) in enumerate(zip(parts, (1, 0), strict=True)):
        argv = [*search, "--slice", f"{number}/2", "--out", str(part)]
        assert sweep.main(argv) == code
    errors = capfd.readouterr().err
    assert "Join the slices" in errors and "start all of them anew" in errors
    assert "--resume" not in errors  # With other coefficients it would be none of these slices.
    assert join_all(parts, tmp_path / "run") == 0
    result = read_result(tmp_path / "run")
    assert result.is_complete and result.diverged == {0: 1}
    assert np.isnan(result.log.columns["policy/entropy"][1:, 0]).all()
    np.testing.assert_array_equal(
        result.log.columns["policy/entropy"][:, 1],
        read_result(parts[1]).log.columns["policy/entropy"][:, 0],
    )
    lines = (tmp_path / "run" / "table.md").read_text().splitlines()[4:]
    assert lines[0].startswith("| 1 | 1 | 0.01 |") and "diverged" in lines[1]
    assert run.main(["--resume", str(tmp_path / "run"), *steps(4)]) == 0
    # Nothing is left of a run of such slices alone.
    change_json(parts[1] / "training.json", **read_json(parts[0] / "training.json"))
    errors = refused(parts, tmp_path / "lost", capfd)
    assert "no point of the run is left" in errors and "in update 1, seed 3" in errors


def test_rows_that_a_lost_slice_had_are_not_replaced(slices: list[Path], tmp_path, capfd):
    # All of slice 1 is lost in update 2: it has the rows of two updates, and no evaluation.
    lost = shutil.copytree(slices[1], tmp_path / "lost")
    one = {"point": 0, "update": 2, "seed": 3, "metric": "critic/loss"}
    change_json(lost / "training.json", diverged=[one], num_updates=2, absolute=None)
    logs = {name: (lost / name).read_bytes().splitlines(True) for name in FILES}
    for name, kept in (("metrics.csv", 5), ("matrices.csv", 3), ("evaluation.csv", 1)):
        (lost / name).write_bytes(b"".join(logs[name][:kept]))
    assert join_all([slices[0], lost], tmp_path / "run") == 0
    for name, kept, update in (("metrics.csv", 4, 2), ("matrices.csv", 2, 1)):
        content = (lost / name).read_bytes()
        (lost / name).write_bytes(b"".join(logs[name][:kept]))
        errors = refused([slices[0], lost], tmp_path / "other", capfd)
        assert f"{name}: slice 1/2" in errors and f"the rows of update {update}" in errors
        (lost / name).write_bytes(content)


def refused(directories: Sequence[Path], out: Path, capfd: Any) -> str:
    """Returns what it says when it exits with 2, having changed nothing."""
    before = [contents(each) for each in directories if each.is_dir()]
    capfd.readouterr()
    with pytest.raises(SystemExit) as exit_:
        join_all(directories, out)
    assert exit_.value.code == 2 and not (out.exists() and contents(out))
    assert [contents(each) for each in directories if each.is_dir()] == before
    errors = " ".join(capfd.readouterr().err.replace("│", " ").split())
    assert "Traceback" not in errors
    return errors


def test_what_is_no_whole_set_of_slices_is_refused(slices, whole, tmp_path, capfd):
    first, second = slices
    cases = [
        ([], "got none"),
        ([second], "slice 0/2 is missing"),
        ([first, second, second], "is given twice, also in"),
        ([first, whole], "holds a run of its own; leave it out"),
        ([first, tmp_path / "nothing"], "holds no run"),
    ]
    for directories, expected in cases:
        assert expected in refused(directories, tmp_path / "run", capfd)


def changed(directory: Path, file: str, *keys: str, value: Any) -> None:
    """Replaces what stands in a JSON file under keys, one inside the other."""
    content = read_json(directory / file)
    place = content
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    (directory / file).write_text(json.dumps(content))


OTHERS = {
    "settings": (("config", "gamma_of_nobody"), 1, "gamma_of_nobody None in"),
    "shapes": (("config", "num_epochs"), 77, "and 77 in"),
    "coefficients": (("hyperparameters", "gamma"), [0.5], "got gamma [0.9"),
    "options": (("run", "eval_episodes"), 4, "got eval_episodes 3 in"),
    "steps": (("total_steps",), 64, "got total_steps 192 in"),
    "cut": (("run", "slice"), "1/3", "the number of slices 2 in"),
    "points": (("whole", "points"), [], "got whole {'points'"),
    "version": (("versions", "oatrpo_jax"), "0.0.1", "and 0.0.1 in"),
    "file": (("environment_source",), {"sha256": "0"}, "environment_source None in"),
    "history": (("resumed",), [{"after_update": 1, "changed": {"gamma": {}}}], "on the way [] in"),
}


def test_slices_of_other_settings_are_refused_by_name(slices, tmp_path, capfd):
    for name, (keys, value, expected) in OTHERS.items():
        other = shutil.copytree(slices[1], tmp_path / name)
        changed(other, "config.json", *keys, value=value)
        errors = refused([slices[0], other], tmp_path / "run", capfd)
        assert expected in errors and str(other)[-12:] in errors.replace(" ", ""), name


def test_a_slice_that_is_not_finished_is_refused_with_what_goes_on(slices, tmp_path, capfd):
    for name in ("training.json", "summary.json"):
        other = shutil.copytree(slices[1], tmp_path / name)
        (other / name).unlink()
        errors = refused([slices[0], other], tmp_path / "run", capfd)
        assert "goes on by" in errors and "run.py --resume" in errors
    other = shutil.copytree(slices[1], tmp_path / "evaluated")
    changed(other, "training.json", "evaluated_ends", value=[1, 3])
    assert "got evaluated_ends [3] in" in refused([slices[0], other], tmp_path / "run", capfd)


def test_what_is_damaged_is_refused_and_nothing_is_left(slices, tmp_path, capfd):
    other = shutil.copytree(slices[1], tmp_path / "checkpoint")
    damage(find_checkpoints(other)[3])
    assert "has no checkpoint of update 3" in refused([slices[0], other], tmp_path / "a", capfd)
    for name in FILES:
        other = shutil.copytree(slices[1], tmp_path / name)
        text = (other / name).read_text()
        (other / name).write_text(text[:-20])
        errors = refused([slices[0], other], tmp_path / "run", capfd)
        assert f"{name}: slice 1/2" in errors and "does not hold the rows of update" in errors
        (other / name).write_text(text.replace("point,", "place,", 1))
        assert "expected point, got place" in refused([slices[0], other], tmp_path / "run", capfd)


def test_a_directory_that_holds_files_is_refused(slices, tmp_path, capfd):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(SystemExit) as exit_:
        join_all(slices, tmp_path)
    assert exit_.value.code == 2 and "holds files" in capfd.readouterr().err
    assert [each.name for each in tmp_path.iterdir()] == ["notes.txt"]


def test_slices_of_other_machines_are_joined_with_a_warning(slices, joined, tmp_path, capfd):
    other = shutil.copytree(slices[1], tmp_path / "other")
    config = read_json(other / "config.json")
    later = {"device": {**config["device"], "kind": "abacus"}, "mesh": {"lanes": 7, "envs": 2}}
    later |= {"versions": {**config["versions"], "jax": "0.4.1"}, "git_commit": "abc"}
    resumed = [{"after_update": 1, "changed": {}, **later}] * 2
    changed(other, "config.json", "resumed", value=resumed)
    assert join_all([slices[0], other], tmp_path / "run") == 0
    errors = " ".join(capfd.readouterr().err.split())
    for expected in ("jax 0.10", " and 0.4.1", "kind cpu and abacus", "devices for envs 1 and 2"):
        assert errors.count(expected) == 1 and "rounded otherwise" in errors, errors
    assert errors.count(" and abc") == 1 and "lanes" not in errors
    assert (tmp_path / "run" / "metrics.csv").read_bytes() == (joined / "metrics.csv").read_bytes()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1", "expected i/n"),
        ("2/2", "expected i/n"),
        ("-1/2", "expected i/n"),
        ("1/0", "expected i/n"),
        ("0/2/4", "expected i/n"),
        ("0/4", "expected at most 3 parts, as there are 3 grid points, got 0/4"),
    ],
)
def test_a_slice_that_makes_no_sense_leaves_nothing(text, expected, tmp_path, capfd):
    argv = [*LINE, *steps(3), "--reuse-sigma", "0.1", "1", "10", "--out", str(tmp_path / "run")]
    with pytest.raises(SystemExit) as exit_:
        run.main([*argv, f"--slice={text}"])
    errors = " ".join(capfd.readouterr().err.replace("│", " ").split())
    assert exit_.value.code == 2 and expected in errors and not list(tmp_path.iterdir())


def test_a_slice_says_how_large_it_is(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    argv = [*LINE, *steps(3), "--reuse-sigma", "0.1", "10", "--slice", "0/2", "--dry-run"]
    assert run.main(argv) == 0
    assert "points" in capfd.readouterr().out and not list(tmp_path.iterdir())
