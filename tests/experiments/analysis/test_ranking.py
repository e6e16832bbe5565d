"""What a sweep found: the order of its points, and the best as a preset."""

import io
import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from experiments.analysis.ranking import rank, save_ranking
from experiments.analysis.reading import read_result
from experiments.analysis.results import Result
from experiments.training.settings.command_line import parse
from experiments.training.settings.experiment import build
from experiments.training.settings.search import natural_order
from tests.experiments.made_up_runs import change_json, let_diverge, write_run

TINY = "--env maze --env-option num_per_colour=1 time_limit=12 --num-envs 4 --hidden-sizes 8"
TINY = f"{TINY} --rollout-length 16 --total-steps 640 --seeds 2".split()
SIGMAS = ["--reuse-sigma", "0.1", "0.2", "0.3"]


def write_sweep(
    directory: Path,
    rank_by: str = "return",
    over: str = "end",
    order: str | None = None,
    **changed,
) -> Result:
    """Writes a sweep in which one point learns in ten of ten updates, one in two, one never."""
    needed = {np.float32(0.1): 10, np.float32(0.2): 2, np.float32(0.3): 30}

    def updates_needed(_, point, seed):
        return needed[np.float32(point["reuse_sigma"])]

    write_run([*TINY, *SIGMAS], directory, updates_needed, **changed)
    search = {"search": ["reuse_sigma=0.1,0.2,0.3"], "points": 3, "method": "grid"}
    sweep = {**search, "search_seed": 0, "rank_by": rank_by, "rank_over": over}
    sweep["rank_order"] = order or natural_order(rank_by)
    change_json(directory / "config.json", sweep=sweep)
    return read_result(directory)


def quiet() -> Console:
    return Console(file=io.StringIO())


def test_points_are_ranked_by_their_end_or_by_the_whole_run(tmp_path):
    over_end, over_run = (
        rank(write_sweep(tmp_path / over, "success", over)) for over in ("end", "run")
    )
    # Two end at the optimum.
    assert [score.value for score in over_end.values()] == pytest.approx([1, 1, 1 / 3], abs=1e-6)
    assert [point.number for point in over_run] == [1, 0, 2]
    # (0.5 + 9) / 10, (0.1 + ... + 1) / 10, and a third of that.
    expected = [0.95, 0.55, 0.55 / 3]
    assert [score.value for score in over_run.values()] == pytest.approx(expected, abs=1e-6)


def test_of_what_should_be_low_the_lowest_comes_first_unless_the_sweep_says_otherwise(tmp_path):
    natural = rank(write_sweep(tmp_path / "natural", "length", "run"))
    # 100 - 90 x (0.95, 0.55 and 0.55 / 3).
    assert [point.number for point in natural] == [1, 0, 2]
    scores = [score.value for score in natural.values()]
    assert scores == pytest.approx([14.5, 50.5, 83.5], abs=1e-4)
    highest = rank(write_sweep(tmp_path / "highest", "length", "run", "highest"))
    assert [point.number for point in highest] == [2, 0, 1]
    lowest = write_sweep(tmp_path / "lowest", "success", "run", "lowest")
    assert [point.number for point in rank(lowest)] == [2, 0, 1]
    save_ranking(lowest, quiet())
    head = (tmp_path / "lowest" / "table.md").read_text().splitlines()[2]
    assert head.startswith(
        "| rank | point | reuse_sigma | success, whole run, lowest first | return |"
    )


@pytest.mark.parametrize("order", ["lowest", "highest"])
def test_a_point_without_a_score_comes_after_those_with_one(order, tmp_path):
    result = write_sweep(tmp_path / "run", "return", "end", order)
    result.log.columns["episode/count"][:, 1] = 0
    assert [point.number for point in rank(result)][2] == 1


def test_the_table_names_a_point_that_diverged_last(tmp_path):
    write_sweep(tmp_path / "run", over="run")
    let_diverge(tmp_path / "run", {1: 3})
    save_ranking(read_result(tmp_path / "run"), quiet())
    lines = (tmp_path / "run" / "table.md").read_text().splitlines()
    assert lines[0] == "Interquartile mean and 95% interval over 2 seeds."
    assert (
        lines[2] == "| rank | point | reuse_sigma | return, whole run | return | success | length |"
    )
    assert lines[4].startswith("| 1 | 0 | 0.1 | 0.450 [0.450, 0.450] |")
    assert lines[6].startswith("| 3 | 1 | 0.2 | diverged |")


def test_an_environment_without_success_is_ranked_by_return(tmp_path):
    save_ranking(write_sweep(tmp_path / "run", episode__success=None), quiet())
    head = (tmp_path / "run" / "table.md").read_text().splitlines()[2]
    assert head == "| rank | point | reuse_sigma | return, last tenth | return | length |"


def test_no_preset_is_made_of_points_in_which_no_episode_ended(tmp_path, capfd):
    names = ("return", "success", "length")
    nothing: dict[str, Any] = {f"episode__{name}": np.nan for name in names} | {"episode__count": 0}
    save_ranking(write_sweep(tmp_path / "run", **nothing), quiet())
    assert "No point has a return" in capfd.readouterr().err
    assert not (tmp_path / "run" / "preset.json").exists()


def test_the_preset_says_all_that_the_best_point_was_trained_with(tmp_path):
    console = quiet()
    save_ranking(write_sweep(tmp_path / "my runs", over="run"), console)
    path = tmp_path / "my runs" / "preset.json"
    command = console.file.getvalue().partition("The best: ")[2]  # type: ignore[attr-defined]
    assert shlex.split(command) == ["python", "experiments/run.py", "--preset", str(path)]
    experiment = build(parse([*shlex.split(command)[2:], "--seeds", "2"]))
    config = json.loads((path.with_name("config.json")).read_text())
    assert experiment.env_options == {"num_per_colour": 1, "time_limit": 12}
    trained = experiment.config
    assert (trained.num_envs, trained.hidden_sizes, trained.num_updates) == (4, (8,), 10)
    assert experiment.points[0] == config["points"][1]


def test_the_command_names_an_environment_of_one_s_own_whose_code_it_runs(tmp_path):
    env, console = f"{tmp_path}/my [old] envs/mine.py:make", quiet()
    result = write_sweep(tmp_path / "run")
    result.config["run"]["env"] = env
    save_ranking(result, console)
    words = shlex.split(console.file.getvalue().partition("The best: ")[2])  # type: ignore[attr-defined]
    path = tmp_path / "run" / "preset.json"
    assert words[2:] == ["--preset", str(path), "--env", env]
    assert parse(words[2:]).run.env == env
