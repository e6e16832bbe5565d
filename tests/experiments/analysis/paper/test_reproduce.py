"""The command as a user gives it, on runs whose learning curves are made up."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from PIL import Image

from experiments import reproduce
from experiments.analysis.paper import cache, figures, workflow
from experiments.analysis.paper.drawing import save_figure
from experiments.training.folder.files import locked
from experiments.training.settings.defaults import AlgorithmName
from tests.experiments.made_up_runs import change_json, write_run

ROOT = Path(__file__).parents[4]
FILES = {"figure.png", "figure.pdf", "data.csv", "table.md", "claims.md", "marl-eval.json"}

NEEDED = {"oappo": 5, "oatrpo": 3, "happo": 8, "mappo": 40, "fixed": 4}
"""Updates until the optimum, of 18 (150,000 x 0.125 / 1024)."""


def updates_needed(algorithm, point, seed):
    return NEEDED.get(algorithm, 6) * (1 + point["reuse_sigma"]) + 0.1 * seed


@pytest.fixture
def launched(monkeypatch) -> list[tuple[str, ...]]:
    """The command lines of the runs that were started; they leave made-up results, undrawn."""
    started = []

    def launch(*arguments: str) -> int:
        started.append(arguments)
        *options, _, directory = arguments
        # An update alone has episodes enough to show that a threshold is reached.
        write_run(options, Path(directory), updates_needed, episode__count=400.0)
        return 0

    def save_blank(_, directory: Path) -> None:
        (directory / "figure.png").touch()

    monkeypatch.setattr(cache, "_launch", launch)
    monkeypatch.setattr(workflow, "save_figure", save_blank)
    return started


@pytest.fixture
def drawn(monkeypatch, launched) -> None:
    """Draws the figures of such runs."""
    monkeypatch.setattr(workflow, "save_figure", save_figure)


def reproduce_in(root: Path, *argv: str) -> int:
    return reproduce.main([*argv, "--out", str(root)])


def test_a_figure_leaves_its_files_and_they_say_what_was_measured(tmp_path, drawn):
    assert reproduce_in(tmp_path, "figure-3b", "--seeds", "4", "--budget", "0.125") == 0
    directory = tmp_path / "figure-3b"
    assert {path.name for path in directory.iterdir()} >= FILES
    assert (tmp_path / "report.html").exists()
    assert Image.open(directory / "figure.png").size[0] > 1000
    with (directory / "data.csv").open() as file:
        rows = list(csv.DictReader(file))
    first = next(
        row
        for row in rows
        if row["series"] == "oatrpo"
        and row["seed"] == "0"
        and row["metric"] == "path_optimality"
        and float(row["value"]) >= 0.9
    )
    # Three updates times 1 + sigma = 1.1, of which 0.9 are 2.97: the third, 3 x 1024 steps.
    assert first["env_steps"] == "3072"
    table = (directory / "table.md").read_text()
    assert "| oatrpo | 4 | " in table and "| 4,096 [4,096, 4,096] | 4 of 4 |" in table
    assert "| at least 18,432 [18,432, 18,432] | 0 of 4 |" in table  # MAPPO: 18 x 1024
    claims = (directory / "claims.md").read_text()
    # MAPPO ends at 18 / 44 of the optimum; two updates saved by OATRPO against OAPPO.
    assert claims.count("**holds**") == 4
    assert "## 4. OATRPO is faster than OAPPO." in claims


def test_marl_eval_has_environment_task_algorithm_seed_and_equal_steps(tmp_path, launched):
    reproduce_in(tmp_path, "figure-3c", "--seeds", "2", "--budget", "0.12")
    content = json.loads((tmp_path / "figure-3c" / "marl-eval.json").read_text())
    algorithms = content["maze"]["black-red"]
    assert list(algorithms) == [f"sigma = {value}" for value in ("0.01", "0.1", "1", "10")]
    entries = [entry for seeds in algorithms.values() for entry in seeds.values()]
    assert [list(seeds) for seeds in algorithms.values()] == [["seed_0", "seed_1"]] * 4
    steps = [
        [(name, step["step_count"]) for name, step in entry.items() if name != "absolute_metrics"]
        for entry in entries
    ]
    assert all(one == steps[0] for one in steps)
    assert [name for name, _ in steps[0]] == [f"step_{n}" for n in range(len(steps[0]))]
    first = entries[0]["step_0"]
    # One update of five times 1 + sigma = 1.01, minus 0.1.
    assert first["step_count"] == 1024
    assert first["mean_episode_return"] == [pytest.approx(1 / 5.05 - 0.1, abs=1e-6)]
    # 17 updates took 2 seconds.
    assert first["elapsed_time"] == pytest.approx(2 / 17)
    assert entries[0]["absolute_metrics"]["win_rate"] == [1.0]


def test_a_grid_is_one_run(tmp_path, launched):
    reproduce_in(tmp_path, "figure-3d", "--seeds", "2", "--budget", "0.05", "--devices", "all")
    assert len(launched) == 1 and "--devices all --out" in " ".join(launched[0])
    assert " ".join(launched[0]).count("--reuse-lambda 0.2 0.4 0.7 1 --seeds 2") == 1


def test_runs_that_are_there_are_taken_and_figures_share_them(tmp_path, launched):
    command = ("--seeds", "2", "--budget", "0.05")
    reproduce_in(tmp_path, "figure-3b", *command)
    num_runs = len(launched)
    assert reproduce_in(tmp_path, "figure-3b", *command) == 0
    assert len(launched) == num_runs
    reproduce_in(tmp_path, "figure-agents", *command)
    # HAPPO with 4 agents is there, and OAPPO with the estimator that is the default.
    assert len(launched) == num_runs + 10


def test_an_interrupted_command_goes_on_with_what_is_missing(
    tmp_path, launched, monkeypatch, capfd
):
    whole = cache._launch

    def interrupted(*arguments: str) -> int:
        if "happo" not in arguments:
            return whole(*arguments)
        *options, _, directory = arguments
        write_run(options, Path(directory), updates_needed)
        change_json(Path(directory) / "summary.json", completed=False)
        return 130

    command = ("figure-3b", "--seeds", "2", "--budget", "0.05")
    monkeypatch.setattr(cache, "_launch", interrupted)
    assert reproduce_in(tmp_path, *command) == 130
    assert "goes on with what is missing" in capfd.readouterr().err
    assert [options[3] for options in launched] == ["oappo", "oatrpo"]
    resumed = []

    def resume(*arguments: str) -> int:
        if arguments[0] != "--resume":
            return whole(*arguments)
        resumed.append(arguments[1])
        change_json(Path(arguments[1]) / "summary.json", completed=True)
        return 0

    monkeypatch.setattr(cache, "_launch", resume)
    assert reproduce_in(tmp_path, *command) == 0
    assert len(resumed) == 1 and "happo" in resumed[0]
    assert [options[3] for options in launched[2:]][:1] == ["mappo"]


def test_what_cannot_be_resumed_is_named_and_kept(tmp_path, launched, monkeypatch, capfd):
    whole = cache._launch
    monkeypatch.setattr(cache, "_launch", lambda *a: 2 if a[0] == "--resume" else whole(*a))
    command = ("figure-3d", "--seeds", "2", "--budget", "0.05")
    reproduce_in(tmp_path, *command)
    (run,) = (tmp_path / "cache").iterdir()
    (run / "summary.json").unlink()
    assert reproduce_in(tmp_path, *command) == 1
    assert len(launched) == 1 and (run / "metrics.csv").exists()
    assert f"remove {run}" in capfd.readouterr().out


def test_a_run_that_fails_is_missing_from_the_figure_and_the_exit_code_says_so(
    tmp_path, launched, monkeypatch, capfd
):
    whole = cache._launch
    monkeypatch.setattr(cache, "_launch", lambda *a: 1 if "oatrpo" in a else whole(*a))
    assert reproduce_in(tmp_path, "figure-3b", "--seeds", "2", "--budget", "0.05") == 1
    assert "oatrpo: did not finish (exit code 1)" in capfd.readouterr().out.replace("\n", " ")
    table = (tmp_path / "figure-3b" / "table.md").read_text()
    assert (
        "**Missing, as it did not finish, diverged, or ended too few episodes: oatrpo.**" in table
    )
    claims = (tmp_path / "figure-3b" / "claims.md").read_text()
    assert "| no finished run of oatrpo | undecided |" in claims


def test_a_grid_point_that_diverged_is_missing_from_the_figure(
    tmp_path, launched, monkeypatch, capfd
):
    whole = cache._launch

    def diverge(*arguments: str) -> int:
        entry = {"point": 3, "seed": 1, "update": 2, "metric": "critic/loss"}
        code = whole(*arguments)
        change_json(Path(arguments[-1]) / "training.json", diverged=[entry])
        return code

    monkeypatch.setattr(cache, "_launch", diverge)
    assert reproduce_in(tmp_path, "figure-3c", "--seeds", "2", "--budget", "0.05") == 1
    assert "sigma = 10 diverged" in capfd.readouterr().out.replace("\n", " ")
    table = (tmp_path / "figure-3c" / "table.md").read_text()
    assert (
        "**Missing, as it did not finish, diverged, or ended too few episodes: sigma = 10.**"
        in table
    )
    assert "| sigma = 1 | 2 |" in table and "| sigma = 10 | 2 |" not in table
    claims = (tmp_path / "figure-3c" / "claims.md").read_text()
    assert "| no finished run of sigma = 10 | undecided |" in claims


def test_where_no_episode_ended_nothing_is_drawn_and_the_exit_code_says_so(
    tmp_path, launched, monkeypatch, capfd
):
    def launch(*arguments: str) -> int:
        *options, _, directory = arguments
        write_run(options, Path(directory), updates_needed, episode__count=0.0)
        return 0

    monkeypatch.setattr(cache, "_launch", launch)
    assert reproduce_in(tmp_path, "figure-3d", "--seeds", "2", "--budget", "0.05") == 1
    shown = capfd.readouterr().out.replace("\n", " ")
    assert "lambda = 0.4 ended too few episodes" in shown
    assert "figure-3d: no run has anything to draw" in shown
    assert not (tmp_path / "figure-3d" / "figure.png").exists()


def test_one_seed_works_and_says_that_there_is_no_interval(tmp_path, launched, capfd):
    assert reproduce_in(tmp_path, "figure-5b", "--seeds", "1", "--budget", "0.05") == 0
    assert "One seed: there is no interval" in capfd.readouterr().out
    directory = tmp_path / "figure-5b"
    assert "One seed: no interval." in (directory / "table.md").read_text()
    assert "**undecided at one seed**" in (directory / "claims.md").read_text()


@pytest.mark.parametrize(
    "figure",
    # JaxMARL, which SMAX is of, takes seconds to import.
    [*figures.MAZE_FIGURES, pytest.param(figures.figure_4("3m"), marks=pytest.mark.thorough)],
)
def test_every_figure_can_be_drawn_and_only_names_curves_that_it_has(figure, tmp_path, drawn):
    name, *map_ = figure.name.split("-3m")
    options = ["--map", "3m"] if map_ else []
    reproduce_in(tmp_path, name, *options, "--seeds", "2", "--budget", "0.03")
    table = (tmp_path / figure.name / "table.md").read_text()
    assert "Missing" not in table
    labels = {line.split(" | ")[0].removeprefix("| ") for line in table.splitlines()}
    needed = {label for claim in figure.claims for check in claim.checks for label in check.needs}
    assert needed <= labels


def test_every_algorithm_of_the_comparison_is_in_the_table():
    for figure in (figures.FIGURE_3B, figures.figure_4("3m")):
        assert {plan.algorithm for plan in figure.plans} <= set(get_args(AlgorithmName))
        assert {"oappo", "happo", "mappo"} <= {plan.label for plan in figure.plans}


def refused(capfd, *argv: str) -> str:
    with pytest.raises(SystemExit) as exit_:
        reproduce.main(list(argv))
    assert exit_.value.code == 2
    return " ".join(capfd.readouterr().err.replace("│", " ").split())


def test_results_of_another_configuration_or_code_are_refused_with_what_differs(
    tmp_path, launched, monkeypatch, capfd
):
    reproduce_in(tmp_path, "figure-3d", "--seeds", "2", "--budget", "0.05")
    before = len(launched)
    out = ("--out", str(tmp_path))
    message = refused(capfd, "figure-3d", "--seeds", "3", "--budget", "0.05", *out)
    assert "seeds: 2 there, 3 here" in message and "choose another --out" in message.lower()
    code = cache.code_state() | {"jax": "0.0.1"}
    monkeypatch.setattr(cache, "code_state", lambda: code)
    message = refused(capfd, "figure-3d", "--seeds", "2", "--budget", "0.05", *out)
    assert "code.jax: " in message and "0.0.1 here" in message
    assert len(launched) == before


def test_another_command_at_work_in_the_folder_is_refused(tmp_path, launched, capfd):
    with locked(tmp_path):
        message = refused(capfd, "figure-3d", "--seeds", "1", "--out", str(tmp_path))
    assert "is in use by process" in message
    assert not launched


BAD_INPUT = {
    "unknown figure": (["figure-9"], "figure-agents"),
    "unknown map": (["figure-4", "--map", "4m"], "3s5z_vs_3s6z"),
    "map of another figure": (["figure-3b", "--map", "3m"], "only figure-4 has maps"),
    "no seeds": (["figure-3b", "--seeds", "0"], "seeds: expected at least 1"),
    "no budget": (["figure-3b", "--budget", "0"], "budget: expected a number above 0"),
    "a budget too small": (["figure-3b", "--budget", "0.02"], "budget: expected at least 0.028"),
    "endless budget": (["figure-3b", "--budget", "inf"], "budget: expected a number above 0"),
    "folder is a file": (["figure-3b", "--out", "/etc/hostname"], "out"),
}


@pytest.mark.parametrize(("argv", "expected"), BAD_INPUT.values(), ids=BAD_INPUT.keys())
def test_bad_input_is_a_usage_error(argv, expected, tmp_path, monkeypatch, launched, capfd):
    monkeypatch.chdir(tmp_path)
    message = refused(capfd, *argv)
    assert expected in message and "Traceback" not in message
    assert not launched and not os.listdir(tmp_path)


def test_files_that_are_no_results_stay_as_they_are(tmp_path, launched, capfd):
    (tmp_path / "figure-3d").mkdir()
    (tmp_path / "figure-3d" / "thesis.txt").write_text("kept")
    message = refused(capfd, "figure-3d", "--seeds", "1", "--out", str(tmp_path))
    assert "holds files that are no results" in message
    assert (tmp_path / "figure-3d" / "thesis.txt").read_text() == "kept"


def test_the_key_of_a_run_is_its_configuration_however_it_is_typed():
    plain = ("--env", "maze", "--seeds", "1", "--total-steps", "2048")

    def key(*options: str, jax: str = "1") -> Path:
        return cache.directory_of(cache.resolve((*plain, *options)), {"jax": jax}, Path())

    assert key("--reuse-sigma", "0.1") == key("--out", "x") == key()
    watched = key("--eval-every", "1")
    more = key("--eval-every", "1", "--eval-episodes", "5")
    assert len({key(), key("--reuse-sigma", "0.2"), key(jax="2"), watched, more}) == 5


def test_the_code_of_a_run_is_all_that_decides_its_result(tmp_path, monkeypatch):
    files = (path for source in cache.SOURCES for path in (cache.ROOT / source).rglob("*.py"))
    paths = [path.relative_to(cache.ROOT) for path in files]
    assert all((cache.ROOT / source).exists() for source in cache.SOURCES)
    named = {path.stem for path in paths if path.parts[0] == "experiments"}
    assert named >= {"defaults", "experiment", "evaluation", "clusters", "loop", "program"}
    for path in paths:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes((cache.ROOT / path).read_bytes())
    monkeypatch.setattr(cache, "ROOT", tmp_path)
    before = cache.code_state()
    for path in (
        Path("oatrpo_jax/advantages.py"),
        *(p for p in paths if p.parts[0] == "experiments"),
    ):
        whole = (tmp_path / path).read_bytes()
        (tmp_path / path).write_bytes(whole + b"\n")
        assert cache.code_state() != before, path
        (tmp_path / path).write_bytes(whole)
    assert cache.code_state() == before


def test_a_run_during_which_the_code_changed_is_thrown_away(tmp_path, launched, monkeypatch, capfd):
    states = iter([{"jax": "1"}, {"jax": "2"}])
    monkeypatch.setattr(cache, "code_state", lambda: next(states))
    argv = ("figure-3d", "--seeds", "1", "--budget", "0.05", "--out", str(tmp_path))
    assert "jax: 1 there, 2 here" in refused(capfd, *argv)
    assert not list((tmp_path / "cache").iterdir())


@pytest.mark.slow
def test_a_real_figure_stopped_half_way_goes_on_and_ends(tmp_path):
    command = [sys.executable, str(ROOT / "experiments" / "reproduce.py"), "figure-3d"]
    command += ["--seeds", "2", "--budget", "0.4", "--out", str(tmp_path)]
    process = subprocess.Popen(command, start_new_session=True, text=True, stderr=subprocess.PIPE)
    while not list(tmp_path.glob("cache/*/metrics.csv")) or not any(
        path.stat().st_size for path in tmp_path.glob("cache/*/metrics.csv")
    ):
        assert process.poll() is None
        time.sleep(0.2)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 130 and "goes on with what is missing" in errors
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert "resuming" in result.stdout
    with (tmp_path / "figure-3d" / "data.csv").open() as file:
        values = [float(row["value"]) for row in csv.DictReader(file)]
    assert values and np.isfinite(values).all()


def test_table_6b_is_of_greedy_episodes_after_training(tmp_path, launched):
    scenario = ("--scenario", "academy_pass_and_shoot_with_keeper")
    command = ("table-6b", *scenario, "--seeds", "4", "--budget", "0.02")
    assert reproduce_in(tmp_path, *command) == 0
    # 5,000,000 x 0.02 steps are 20 updates of 50 environments x 100 steps.
    assert all("--eval-every 20 --eval-episodes 20" in " ".join(one) for one in launched[:4])
    directory = tmp_path / "table-6b-pass_and_shoot_with_keeper"
    table = (directory / "table.md").read_text()
    assert "| | seeds | greedy success |" in table.replace("|  |", "| |")
    # OATRPO needs 3.3 updates or so and ends at 1, of which greedy episodes reach half.
    assert "| oatrpo | 4 | 0.5 [0.5, 0.5] | " in table
    content = json.loads((directory / "marl-eval.json").read_text())
    oatrpo = content["football"]["academy_pass_and_shoot_with_keeper"]["oatrpo"]
    # The evaluation's, not the end of training, which is 1; nothing else was evaluated.
    assert oatrpo["seed_0"]["absolute_metrics"] == {"win_rate": [0.5]}
    claims = (directory / "claims.md").read_text()
    assert "## 10. OAPPO and OATRPO score more often" in claims and "undecided" in claims


def test_a_file_in_the_place_of_a_figures_directory_is_said_in_words(tmp_path, launched, capsys):
    (tmp_path / "figure-3d").touch()
    assert reproduce_in(tmp_path, "figure-3d", "--seeds", "1", "--budget", "0.05") == 1
    errors = capsys.readouterr().err
    assert "figure-3d: File exists" in errors and "goes on with what is missing" in errors
    assert not launched


def test_scenarios_are_for_table_6b(tmp_path, launched, capsys):
    with pytest.raises(SystemExit, match="2"):
        reproduce_in(tmp_path, "figure-3b", "--scenario", "academy_counterattack_easy")
    assert "only table-6b has scenarios" in capsys.readouterr().err
    assert not launched
