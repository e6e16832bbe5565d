"""Runs side by side, and what is refused of them."""

import shlex
import subprocess
import sys

import numpy as np
import pytest
from matplotlib.collections import PolyCollection

from experiments.analysis.colours import ALGORITHMS, MAX_BANDS
from experiments.analysis.comparison import (
    describe_statistic,
    difference_table,
    save_figure,
    table,
    warnings,
)
from experiments.analysis.entries import label_points
from experiments.analysis.estimates import mean_difference, show
from experiments.analysis.grids import point_looks
from experiments.analysis.panels import save_curves
from experiments.analysis.reading import read_result
from experiments.compare import main
from experiments.training.errors import UsageError
from tests.experiments.faults import full_disk
from tests.experiments.made_up_runs import (
    SIZES,
    change_json,
    let_diverge,
    write_clusters,
    write_run,
)


def write(directory, algorithm, needed=10, env="maze", options=(), **changed):
    """A run that needs so many updates to the optimum; seed 1 needs ten more."""
    argv = ["--env", env, "--algorithm", algorithm, *SIZES, *options]
    # An update alone has episodes enough to show that a threshold is reached.
    changed = {"episode__count": 400.0} | changed
    write_run(argv, directory, lambda _, __, seed: needed + 10 * seed, **changed)
    return directory


def entries_of(*directories):
    return label_points([read_result(directory) for directory in directories])


def test_runs_are_put_side_by_side(tmp_path):
    fast = write(tmp_path / "a", "oappo", 5)
    slow = write(tmp_path / "b", "happo", 10)
    entries = entries_of(fast, slow)
    lines = table(entries, threshold=0.9).splitlines()
    head = "| run | seeds | steps | success | return | length | steps to 0.9 success | reached |"
    assert lines[0] == head
    # Seed 0 has 9/10 after 9 of 10 updates, seed 1 ends with 10/20 after 320 steps.
    # An interval of two seeds reaches 12.706 x half their distance to either side: 203, 3.18, 286.
    assert lines[3].endswith(" | at least 304 [101, 507] | 1 of 2 |")
    assert lines[3].startswith(
        "| happo | 2 | 320 | 0.75 [-2.43, 3.93] | 0.65 [-2.53, 3.83] | 32.5 [-253"
    )
    save_figure(entries, tmp_path / "compare.png")
    assert (tmp_path / "compare.png").stat().st_size > 10_000


def test_runs_that_report_no_success_are_compared_by_their_returns(tmp_path):
    entries = entries_of(write(tmp_path / "a", "ippo", 1, episode__success=None))
    head = table(entries, threshold=0.9).splitlines()[0]
    assert head == "| run | seeds | steps | return | length |"
    save_figure(entries, tmp_path / "compare.png")
    assert (tmp_path / "compare.png").stat().st_size > 10_000


def test_the_first_run_named_is_what_the_others_differ_from(tmp_path):
    seeds = ["--seeds", "4"]
    # Ends after ten updates: 10/20, 10/30, 10/40 and 10/50 against 1, 10/11, 10/21 and 10/31.
    slow = write(tmp_path / "a", "happo", 20, options=seeds)
    fast = write(tmp_path / "b", "oappo", 1, options=seeds)
    head, _, row = difference_table(entries_of(slow, fast)).splitlines()
    assert head == (
        "| against happo | success: difference | probability of improvement "
        "| return: difference | probability of improvement |"
    )
    ends = [
        np.array([10 / 20, 10 / 30, 10 / 40, 10 / 50]),
        np.array([1, 10 / 11, 10 / 21, 10 / 31]),
    ]
    gain = show(mean_difference(ends[1], ends[0]), ".3g")
    # 13 of 16 pairs: 10/21 is below 10/20, and 10/31 below 10/20 and 10/30.
    share = "0.81 ["
    assert row.startswith(f"| oappo | {gain} | {share}") and row.count(gain) == 2
    # A run is not set against itself: a head and the line below it.
    assert len(difference_table(entries_of(fast)).splitlines()) == 2


def test_runs_of_other_lengths_are_warned_of(tmp_path):
    seeds = ["--seeds", "4"]
    one = write(tmp_path / "a", "oappo", options=seeds)
    long = write(tmp_path / "b", "happo", options=[*seeds, "--total-steps", "640"])
    (warning,) = warnings([read_result(one), read_result(long)])
    assert f"got 320 environment steps per seed in {one} and 640 in {long}" in warning
    # As many updates of 48 steps as go into 320 are as good as all of them.
    other = write(tmp_path / "c", "happo", options=[*seeds, "--rollout-length", "12"])
    assert read_result(other).env_steps == 288
    assert not warnings([read_result(one), read_result(other)])


def test_the_warning_counts_the_steps_that_the_table_shows(tmp_path):
    seeds = ["--seeds", "4"]
    one = write(tmp_path / "a", "oappo", options=seeds)
    seps = write(tmp_path / "b", "seps", options=seeds)
    write_clusters(seps, [[0, 0, 1, 1]] * 4)
    (warning,) = warnings([read_result(one), read_result(seps)])
    # 320 steps of training each.
    assert f"got 320 environment steps per seed in {one} and 8,512 in {seps}, 8,192 of" in warning
    rows = table(entries_of(one, seps), threshold=0.9).splitlines()[2:]
    assert [row.split(" | ")[2] for row in rows] == ["320", "8,512"]


def of_file(directory, folder, sha256="0" * 64, name="agree.py:Agree"):
    """A run of an environment that somebody's file makes."""
    source = {"file": f"{folder}/agree.py", "sha256": sha256}
    options = ["--seeds", "4"]
    write(directory, "oappo", options=options)
    changes = {"environment": f"{folder}/{name}", "environment_source": source}
    change_json(directory / "config.json", **changes)
    return directory


def test_an_environment_of_a_file_is_the_same_in_another_folder(tmp_path, capfd):
    runs = of_file(tmp_path / "a", "/home/me"), of_file(tmp_path / "b", "/home/you/x")
    assert main([*map(str, runs), "--out", str(tmp_path / "compare.png")]) == 0
    assert capfd.readouterr().err == ""


def test_an_environment_whose_file_was_changed_is_warned_of(tmp_path):
    one, other = of_file(tmp_path / "a", "/me"), of_file(tmp_path / "b", "/me", "1" * 64)
    (warning,) = warnings([read_result(one), read_result(other)])
    assert warning.startswith("environment: expected one agree.py:Agree, got other code in")
    assert "was changed between the runs" in warning and str(one) in warning


def test_another_environment_of_the_same_file_is_refused(tmp_path, monkeypatch, capfd):
    runs = of_file(tmp_path / "a", "/me"), of_file(tmp_path / "b", "/me", name="agree.py:Other")
    assert "got agree.py:Agree; agree.py:Other." in refused(monkeypatch, capfd, *runs)


def test_a_directory_that_is_named_twice_is_refused(tmp_path, monkeypatch, capfd):
    run = write(tmp_path / "a", "oappo")
    again = tmp_path / "x" / ".." / "a"
    assert f"once, got {run} again" in refused(monkeypatch, capfd, run, again)


def test_few_seeds_are_warned_of(tmp_path):
    few, many = (
        write(tmp_path / str(number), "oappo", options=["--seeds", str(number)])
        for number in (3, 4)
    )
    (warning,) = warnings([read_result(few), read_result(many)])
    assert warning.startswith(f"seeds: expected at least 4 per run, got 3 in {few};")
    assert not warnings([read_result(many)])


def test_the_command_prints_both_tables_and_its_warnings(tmp_path, capfd):
    runs = [str(write(tmp_path / name, name)) for name in ("oappo", "happo")]
    assert main([*runs, "--out", str(tmp_path / "compare.png")]) == 0
    shown, errors = capfd.readouterr()
    assert "| run | seeds | steps |" in shown and "| against oappo | success: difference" in shown
    assert "Warning: seeds: expected at least 4" in errors and "Warning: steps" not in errors


def test_curves_have_the_colours_of_their_algorithms(tmp_path, figures):
    runs = [write(tmp_path / name, name) for name in ("happo", "oappo")]
    runs.append(write(tmp_path / "b", "oappo", options=["--actor-lr", "0.01"]))
    save_figure(entries_of(*runs), tmp_path / "compare.png")
    happo, oappo, other = figures[0].axes[0].lines
    assert happo.get_color() == ALGORITHMS["happo"].colour
    assert oappo.get_color() == other.get_color() == ALGORITHMS["oappo"].colour
    assert oappo.get_linestyle() == "-" != other.get_linestyle()
    names = [text.get_text() for text in figures[0].legends[0].get_texts()]
    assert names == ["happo", "oappo, actor_lr=0.0005", "oappo, actor_lr=0.01"]


def test_a_single_grid_is_drawn_as_in_its_own_picture(tmp_path, figures):
    grid = ["--reuse-sigma", "0.1", "1", "10", "--reuse-lambda", "0.4", "0.7"]
    entries = entries_of(write(tmp_path / "a", "oappo", options=grid))
    save_figure(entries, tmp_path / "compare.png")
    looks = [(line.get_color(), line.get_linestyle()) for line in figures[0].axes[0].lines]
    own = point_looks(entries[0].point.result)
    assert [colour for colour, _ in looks] == [look.colour for look in own.looks.values()]
    assert len(set(looks)) == 6
    names = [text.get_text() for text in figures[0].legends[0].get_texts()]
    assert names == [name for name, _ in own.legend]


def count_bands(figure) -> int:
    """Returns how many intervals the first panel shows."""
    return sum(isinstance(each, PolyCollection) for each in figure.axes[0].collections)


def test_of_many_curves_no_intervals_are_drawn(tmp_path, figures):
    grid = ["--reuse-sigma", *(f"{value / 10:g}" for value in range(1, MAX_BANDS + 1))]
    entries = entries_of(
        write(tmp_path / "a", "oappo", options=grid), write(tmp_path / "b", "happo")
    )
    save_figure(entries[1:], tmp_path / "compare.png")
    save_figure(entries, tmp_path / "compare.png")
    few, many = figures
    assert [count_bands(figure) for figure in figures] == [MAX_BANDS, 0]
    assert few.get_suptitle() == "maze: mean and 95% interval over 2 seeds"
    assert many.get_suptitle() == "maze: mean over 2 seeds"


def test_evaluations_which_are_not_drawn_choose_no_panel(tmp_path, figures):
    options, constant = ["--eval-every", "4"], {"episode__success": 0.5}
    run = write(tmp_path / "a", "oappo", options=options, **constant)
    path = run / "evaluation.csv"
    rows = [line.split(",") for line in path.read_text().splitlines()]
    place = rows[0].index("evaluation/success")
    for number, row in enumerate(rows[1:]):
        row[place] = str(number / 100)
    path.write_text("\n".join(map(",".join, rows)) + "\n")
    entries = entries_of(run)
    save_figure(entries, tmp_path / "compare.png")
    save_curves(entries[0].point.result, tmp_path / "curves.png")
    compared, own = ([axes.get_title() for axes in figure.axes] for figure in figures)
    assert "episode success" in own and "episode success" not in compared


def test_a_run_that_diverged_has_a_cross_and_one_without_a_curve_says_so(tmp_path, figures):
    runs = [write(tmp_path / name, name) for name in ("oappo", "happo", "mappo")]
    for run, update in zip(runs[1:], (6, 1), strict=True):
        let_diverge(run, {0: update})
    entries = entries_of(*runs)
    save_figure(entries, tmp_path / "compare.png")
    names = [text.get_text() for text in figures[0].legends[0].get_texts()]
    assert names == ["oappo", "happo, diverged", "mappo, diverged, no curve", "diverged there"]
    crosses = [line for line in figures[0].axes[0].lines if line.get_marker() == "X"]
    assert [list(cross.get_xdata()) for cross in crosses] == [[5 * 32], []]
    # Its episodes ended, but those of no sound update.
    assert "| mappo, diverged | 2 | 0 | no episode to count |" in table(entries, threshold=0.9)


def test_what_one_seed_shows_has_no_interval():
    assert describe_statistic([5]) == "mean and 95% interval over 5 seeds"
    assert "interval over" not in describe_statistic([1])


def refused(monkeypatch, capfd, *arguments):
    monkeypatch.setattr(sys, "argv", ["compare.py", *map(str, arguments)])
    with pytest.raises(SystemExit) as exit_:
        main()
    assert exit_.value.code == 2
    return " ".join(capfd.readouterr().err.replace("│", " ").split())


def test_runs_on_different_environments_are_refused(tmp_path, monkeypatch, capfd):
    maze, large = (
        write(tmp_path / "a", "oappo"),
        write(tmp_path / "c", "oappo", options=["--env-option", "num_per_colour=4"]),
    )
    other = write(tmp_path / "b", "oappo")
    change_json(other / "config.json", environment="smax:3m")
    assert "same environment" in refused(monkeypatch, capfd, maze, other)
    assert "got maze; maze num_per_colour=4." in refused(monkeypatch, capfd, maze, large)


BAD_INPUT = {
    "no picture": (["--out", "x.txt"], "ends in .png or .pdf, got x.txt"),
    "no folder": (["--out", "nodir/x.png"], "can be written, got nodir/x.png"),
    "nan": (["--threshold", "nan"], "in (0, 1], got nan"),
    "more than all": (["--threshold", "5"], "in (0, 1], got 5"),
    "nothing": (["--threshold", "0"], "in (0, 1], got 0"),
}


@pytest.mark.parametrize(("argv", "expected"), BAD_INPUT.values(), ids=BAD_INPUT.keys())
def test_bad_input_is_a_usage_error(argv, expected, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    assert expected in refused(monkeypatch, capfd, tmp_path / "a", *argv)


def test_a_file_that_cannot_be_written_is_a_usage_error(tmp_path):
    (tmp_path / "folder.png").mkdir()
    entries = entries_of(write(tmp_path / "a", "oappo"))
    with pytest.raises(UsageError, match="can be written"):
        save_figure(entries, tmp_path / "folder.png")


def test_the_command_that_goes_on_can_be_pasted(tmp_path, capfd):
    directory = write(tmp_path / "my runs; a", "oappo")
    change_json(directory / "training.json", completed=False)
    assert main([str(directory), "--out", str(tmp_path / "compare.png")]) == 0
    warning = capfd.readouterr().err.splitlines()[0]
    command = warning.partition("experiments/run.py ")[2]
    assert shlex.split(command) == ["--resume", str(directory), "goes", "on"]


def test_a_full_disk_is_a_usage_error(tmp_path, monkeypatch, capfd):
    directory = write(tmp_path / "a", "oappo")
    with full_disk(5_000):
        message = refused(monkeypatch, capfd, directory, "--out", tmp_path / "compare.png")
    assert "can be written" in message


def test_a_run_that_is_not_complete_is_named(tmp_path):
    directory = write(tmp_path / "a", "oappo")
    change_json(directory / "training.json", completed=False)
    command = [sys.executable, "experiments/compare.py", str(directory)]
    result = subprocess.run(
        [*command, "--out", str(tmp_path / "compare.pdf")], capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    assert "is not complete: what is shown ends after 320 environment steps" in result.stderr
    assert "| oappo, unfinished | 2 |" in result.stdout
    assert (tmp_path / "compare.pdf").stat().st_size > 5_000
