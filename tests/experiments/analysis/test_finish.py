"""What is made of a run's folder once its training is over."""

import io
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from experiments.analysis.finish import finish
from experiments.training.errors import UsageError
from experiments.training.folder.files import json_bytes
from tests.experiments.made_up_runs import SIZES, change_json, let_diverge, write_run

TINY = ["--env", "maze", *SIZES]
SWEEP = {"search": ["reuse_sigma=0.1,0.2"], "points": 2, "method": "grid", "search_seed": 0}
SWEEP |= {"rank_over": "end", "rank_order": "highest"}


@pytest.fixture(autouse=True)
def nobody_plays(monkeypatch):
    """Leaves the replay out: what nobody trained has no policies."""
    team = SimpleNamespace(experiment=SimpleNamespace(trainer=None))
    monkeypatch.setattr("experiments.analysis.finish.load_team", lambda _: team)
    monkeypatch.setattr("experiments.analysis.finish.save_replay", lambda *_: True)


@pytest.fixture
def undrawn(monkeypatch):
    monkeypatch.setattr("experiments.analysis.finish.draw", lambda *_: None)


def finished(directory: Path) -> tuple[dict, str]:
    """Returns the summary and what is printed."""
    console = Console(file=io.StringIO(), width=100)
    summary = finish(directory, console)
    assert (directory / "summary.json").read_bytes() == json_bytes(summary)
    return summary, console.file.getvalue()  # type: ignore[attr-defined]


def test_a_run_ends_with_pictures_a_summary_and_a_table(tmp_path):
    write_run([*TINY, "--eval-every", "5"], tmp_path / "run", lambda *_: 20)
    (tmp_path / "run" / "summary.json").unlink()
    _, text = finished(tmp_path / "run")
    made = {path.name for path in (tmp_path / "run").iterdir()}
    assert made == {"config.json", "metrics.csv", "matrices.csv", "training.json"} | {
        "evaluation.csv", "summary.json", "curves.png", "reuse.png"
    }  # fmt: skip
    lines = [line.strip() for line in text.splitlines()]
    assert lines[0] == "maze, oappo, seeds: 2"
    assert lines[1].split() == ["point", "success", "return", "length"]
    # Half of the optimum in success; 100 - 90 x 0.5 in length.
    assert lines[2].startswith("oappo  0.50 [0.50, 0.50]") and "55.00 [55.00" in lines[2]
    assert lines[3] == "mean and 95% interval over seeds, last tenth of the run"
    assert "best policies of oappo, 320 new episodes: success 0.25 [0.25, 0.25]" in lines
    assert "optimal length: " in text
    assert "320 steps/s over all seeds and points; compiled in 1.0 s, ran 2.0 s" in text


def test_pictures_are_of_the_best_point_and_seed_of_the_summary(tmp_path, monkeypatch):
    shown: dict[str, object] = {}
    monkeypatch.setattr(
        "experiments.analysis.reuse.save_reuse",
        lambda point, path: shown.update({path.name: point.number}),
    )
    monkeypatch.setattr(
        "experiments.analysis.finish.save_replay",
        lambda _, __, lane, path: shown.update({path.name: lane}) or True,
    )
    # The larger sigma and the later seed need fewer updates.
    write_run(
        [*TINY, "--seed", "7", "--reuse-sigma", "0.1", "0.2"],
        tmp_path / "run",
        lambda _, point, seed: 60 - 100 * point["reuse_sigma"] - seed,
    )
    summary, _ = finished(tmp_path / "run")
    assert (summary["best_point"], summary["points"][1]["best_seed"]) == (1, 8)
    assert shown == {"reuse.png": 1, "replay.gif": (1, 1)}


def test_where_nothing_is_reused_there_is_no_picture_of_reuse(tmp_path):
    write_run([*TINY, "--algorithm", "happo"], tmp_path / "run", lambda *_: 20)
    _, text = finished(tmp_path / "run")
    made = {path.name for path in (tmp_path / "run").iterdir()}
    assert "curves.png" in made and "reuse.png" not in made
    assert "no reuse.png: no policy reused the experience of another" in text


@pytest.mark.parametrize("name", ["load_team", "save_replay"])
def test_a_replay_that_cannot_be_drawn_is_a_warning_and_the_other_files_stand(
    name, tmp_path, monkeypatch, capfd
):
    def fail(*_):
        raise UsageError("replay: no pencil")

    write_run([*TINY], tmp_path / "run", lambda *_: 20)
    (tmp_path / "run" / "summary.json").unlink()
    monkeypatch.setattr(f"experiments.analysis.finish.{name}", fail)
    summary, _ = finished(tmp_path / "run")
    assert summary["completed"] and (tmp_path / "run" / "curves.png").exists()
    assert capfd.readouterr().err == "Warning: replay.gif was not drawn: replay: no pencil\n"


def test_points_that_diverged_are_named(tmp_path):
    write_run([*TINY, "--reuse-sigma", "0.1", "0.2"], tmp_path / "run", lambda *_: 5)
    let_diverge(tmp_path / "run", {1: 3})
    summary, text = finished(tmp_path / "run")
    assert summary["best_point"] == 0 and summary["completed"]
    assert "diverged: reuse_sigma=0.2: critic/loss is not finite in update 3, seed 0" in text


@pytest.mark.parametrize("rows", [None, 0, 1])
def test_a_run_that_was_stopped_before_its_first_update_has_no_points(rows, tmp_path):
    write_run(TINY, tmp_path / "run", lambda *_: 5)
    for name in ("metrics.csv", "matrices.csv"):
        path = tmp_path / "run" / name
        text = path.read_text()
        path.unlink()
        if rows is not None:
            path.write_text("".join(text.splitlines(keepends=True)[:rows]))
    change_json(tmp_path / "run" / "training.json", completed=False, num_updates=0)
    summary, text = finished(tmp_path / "run")
    assert (summary["points"], summary["best_point"], summary["env_steps"]) == ([], None, 0)
    assert not summary["completed"] and "ran 2.0 s" in text
    assert not (tmp_path / "run" / "curves.png").exists()


def test_a_sweep_is_ranked_and_its_best_point_is_that_of_the_summary(tmp_path, undrawn):
    argv = [*TINY, "--reuse-sigma", "0.1", "0.2"]
    write_run(argv, tmp_path / "run", lambda _, point, __: 400 * point["reuse_sigma"])
    change_json(
        tmp_path / "run" / "config.json",
        sweep=SWEEP | {"rank_by": "length", "rank_order": "lowest"},
    )
    summary, text = finished(tmp_path / "run")
    # The shorter the better: 10 of 40 updates are a quarter, 100 - 90 / 4; 100 - 90 / 8 in point 1.
    assert (summary["best_point"], summary["best_score"]) == (0, 77.5)
    assert "rank" in text and "The best: python" in text
    assert {"table.md", "preset.json"} <= {path.name for path in (tmp_path / "run").iterdir()}


def test_a_sweep_without_a_score_says_so_in_its_summary(tmp_path, undrawn):
    write_run(
        [*TINY, "--reuse-sigma", "0.1", "0.2"], tmp_path / "run", lambda *_: 5, episode__count=0
    )
    change_json(tmp_path / "run" / "config.json", sweep=SWEEP | {"rank_by": "return"})
    summary, text = finished(tmp_path / "run")
    assert summary["best_score"] is None and "no episode to count" in text


def test_a_sweep_that_was_stopped_is_not_ranked(tmp_path, undrawn):
    write_run([*TINY, "--reuse-sigma", "0.1", "0.2"], tmp_path / "run", lambda *_: 5)
    change_json(tmp_path / "run" / "config.json", sweep=SWEEP | {"rank_by": "return"})
    change_json(tmp_path / "run" / "training.json", completed=False)
    summary, _ = finished(tmp_path / "run")
    assert "best_score" not in summary and not (tmp_path / "run" / "table.md").exists()


def test_what_is_printed_names_an_environments_file_without_its_folder(tmp_path, undrawn):
    write_run([*TINY, "--reuse-sigma", "0.1", "0.2"], tmp_path / "run", lambda *_: 5)
    changes = {"environment": "/home/me/agree.py:Agree", "sweep": SWEEP | {"rank_by": "return"}}
    change_json(tmp_path / "run" / "config.json", **changes)
    _, text = finished(tmp_path / "run")
    lines = [line.strip() for line in text.splitlines()]
    assert "agree.py:Agree, oappo, seeds: 2" in lines  # Above the ends.
    assert "agree.py:Agree, oappo" in lines  # Above the ranking.
    assert "/home/me" not in text
