"""From options to an experiment: the grid, steps, what is read, reuse matrices, the glossary."""

import dataclasses
import re
from pathlib import Path

import jax
import numpy as np
import pytest

from experiments.training.errors import UsageError, typed_names
from experiments.training.folder.metrics import INDEX_COLUMNS, flatten
from experiments.training.settings.checks import unread
from experiments.training.settings.command_line import parse
from experiments.training.settings.defaults import AlgorithmName, get_preset
from experiments.training.settings.experiment import (
    Experiment,
    build,
    make_config,
)
from experiments.training.settings.points import grid_points
from experiments.training.settings.reuse_matrix import named_matrix
from oatrpo_jax.algorithms import get_algorithm
from oatrpo_jax.config import Config
from oatrpo_jax.hyperparams import ENDS

ALGORITHMS = AlgorithmName.__args__
SMALL = "--num-envs 2 --rollout-length 3 --hidden-sizes 4 --env-option num_per_colour=1"


def small(*argv: str) -> Experiment:
    return build(parse([*SMALL.split(), *argv]))


def test_the_grid_is_the_product_with_the_last_name_fastest():
    grid = {"gamma": (0.9, 0.99), "ent_coef": (0.0,), "reuse_sigma": (0.1, 1.0)}
    points = grid_points(grid)
    assert [(p["gamma"], p["reuse_sigma"]) for p in points] == [
        (0.9, 0.1), (0.9, 1.0), (0.99, 0.1), (0.99, 1.0)
    ]  # fmt: skip
    assert all(p["ent_coef"] == 0 for p in points)


def test_hyperparams_have_one_entry_per_point_in_the_order_of_the_points():
    experiment = small("--reuse-sigma", "0.1", "10", "--gamma", "0.9", "0.99")
    assert experiment.swept == ("gamma", "reuse_sigma")
    np.testing.assert_allclose(experiment.hparams.reuse_sigma, [0.1, 10, 0.1, 10])
    np.testing.assert_allclose(experiment.hparams.gamma, [0.9, 0.9, 0.99, 0.99])
    assert experiment.labels[1] == "gamma=0.9, reuse_sigma=10"


def test_an_end_is_a_coefficient_of_the_grid_if_it_is_given():
    assert not small().points[0].keys() & ENDS.values() and small().schedule_updates is None
    experiment = small("--actor-lr", "1e-3", "--actor-lr-end", "0", "1e-3", "--total-steps", "60")
    assert experiment.swept == ("actor_lr_end",)
    assert experiment.labels == ["actor_lr_end=0", "actor_lr_end=0.001"]
    # 60 steps are 10 updates of 2 x 3.
    np.testing.assert_array_equal(experiment.hparams.schedule_updates, [10, 10])
    # In the first update, the last and a later one.
    rates = [experiment.hparams.at(update, 10).actor_lr for update in (0, 9, 12)]
    np.testing.assert_allclose(rates, [[1e-3, 1e-3], [0, 1e-3], [0, 1e-3]], rtol=1e-6)
    longer = ("--ent-coef-end", "0", "--total-steps", "60", "--schedule-steps", "1e2")
    assert small(*longer).schedule_updates == 16


@pytest.mark.parametrize(
    ("argv", "complaint"),
    [
        (
            ["--schedule-steps", "60"],
            r"no coefficient has an end; .*--critic-lr-end.*clip-eps-end",
        ),
        (
            ["--algorithm", "mappo", "--schedule-steps", "5", "--ent-coef-end", "0"],
            "schedule_steps: expected from one update of 6 steps to .*, got 5 steps",
        ),
        (["--ent-coef-end", "0", "--schedule-steps", "0"], "from one update .*, got 0 steps"),
        (["--ent-coef-end", "0", "--schedule-steps", "1e30"], "from one update"),
        (["--gamma"], "gamma: expected one or several numbers, got none"),
        (["--actor-lr-end", "0", "0"], "actor_lr_end: expected values that differ"),
        (["--actor-lr-end", "-1"], r"actor_lr_end .*\[0, 1\], got -1"),
        (["--clip-eps-end", "0"], "clip_eps_end .*above 0, got 0"),
        (["--algorithm", "hatrpo", "--actor-lr-end", "0"], "actor_lr_end is not read by hatrpo"),
        (["--kl-threshold-end", "0.1"], "kl_threshold_end is not read by oappo"),
    ],
)
def test_a_schedule_that_cannot_be_kept_is_refused(argv, complaint):
    with pytest.raises(UsageError, match=complaint):
        small(*argv)


def test_an_end_without_a_value_is_that_of_a_constant(tmp_path):
    preset = tmp_path / "preset.json"
    preset.write_text('{"hyperparameters": {"actor_lr_end": 0, "ent_coef_end": 0.5}}')
    given = ["--preset", str(preset)]
    assert {*small(*given).hparams.ends()} == {"actor_lr", "ent_coef"}
    assert {*small(*given, "--actor-lr-end").hparams.ends()} == {"ent_coef"}
    none = small(*given, "--actor-lr-end", "--ent-coef-end")
    assert none.schedule_updates is None and not none.hparams.ends()
    # Of any other coefficient there is no such thing as none.
    preset.write_text('{"hyperparameters": {"gamma": []}}')
    with pytest.raises(UsageError, match="gamma: expected one or several numbers, got none"):
        small(*given)


def test_steps_are_rounded_down_to_whole_updates():
    # 4 x 8 = 32 steps per update; 100 // 32 = 3.
    config = make_config({"num_envs": 4, "rollout_length": 8}, 100)
    assert config.num_updates == 3
    with pytest.raises(UsageError, match="at least one update"):
        make_config({"num_envs": 4, "rollout_length": 8}, 31)


def test_one_name_sets_the_defaults_of_environment_and_algorithm():
    assert parse(["--env", "maze"]).config["num_envs"] == 32
    assert parse(["--env", "maze:black-blue-red"]).run.total_steps == 150_000
    assert parse(["--env", "smax:3m"]).run.total_steps == get_preset("", "oappo").total_steps
    assert parse(["--num-envs", "7"]).config["num_envs"] == 7


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_help_shows_what_the_algorithm_reads(algorithm: str, capsys: pytest.CaptureFixture):
    with pytest.raises(SystemExit) as exit_:
        parse(["--algorithm", algorithm, "--help"])
    shown, examples, _ = capsys.readouterr().out.partition("Examples:")
    assert exit_.value.code == 0
    assert examples
    assert "--num-envs" in shown
    assert ("--clip-eps" in shown) == ("trpo" not in algorithm and algorithm != "seac")
    assert ("--kl-threshold" in shown) == ("trpo" in algorithm)
    assert ("--reuse-sigma" in shown) == (algorithm in ("oappo", "oatrpo"))
    assert ("--seac-coef" in shown) == algorithm.startswith("seac")


def test_help_says_that_an_end_is_none_by_default(capsys):
    with pytest.raises(SystemExit):
        parse(["--help"])
    text = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "where ent_coef goes to in a straight line over the run" in text
    assert "constant without a value, in [0, inf) (default: none)" in text


def test_options_are_recognised_in_every_spelling():
    argv = ["--num_envs", "4", "--gamma=0.9", "--no-layer-norm", "-h", "--reuse-sigma", "-1"]
    assert set(typed_names(argv)) == {"num_envs", "gamma", "layer_norm", "reuse_sigma"}


def test_what_is_read_depends_on_the_settings():
    given = frozenset({"env", "seeds", "clip_eps", "kl_threshold", "divergence_quantile"})
    oappo, happo = get_algorithm("oappo"), get_algorithm("happo")
    assert unread(oappo.reads(Config()), given) == ["divergence_quantile", "kl_threshold"]
    assert unread(oappo.reads(Config(divergence="quantile")), given) == ["kl_threshold"]
    affinity = frozenset({"divergence", "divergence_rows"})
    assert unread(happo.reads(Config()), affinity) == sorted(affinity)
    assert unread(happo.reads(Config(log_affinity=True)), affinity) == []
    assert unread(happo.reads(Config()), frozenset({"initial_log_std"})) == ["initial_log_std"]
    assert unread(happo.reads(Config(), is_continuous=True), frozenset({"initial_log_std"})) == []


def test_only_options_that_are_read_may_be_given():
    with pytest.raises(UsageError, match=r"kl_threshold is not read by oappo.*it reads .*clip_eps"):
        small("--kl-threshold", "0.1")


def test_one_line_serves_several_algorithms_if_it_is_lenient(capsys):
    line = ["--lenient", "--reuse-sigma", "0.1", "1", "--clip-eps", "0.1", "--reuse-matrix", "nr"]
    warned = {}
    for algorithm in ("oappo", "hatrpo", "fixed"):
        experiment = small(*line, "--algorithm", algorithm)
        warned[algorithm] = capsys.readouterr().err
        # What is not read is no part of the run: it makes no grid, and resumes without --lenient.
        assert len(experiment.points) == (2 if algorithm == "oappo" else 1)
        expected = "nr" if algorithm == "fixed" else None
        assert experiment.options.run.reuse_matrix == expected
    assert warned["oappo"].splitlines() == [
        "Warning: reuse_matrix is not read by oappo, and changes nothing"
    ]
    assert "clip_eps, reuse_sigma are not read by hatrpo" in warned["hatrpo"]
    assert "reuse_sigma is not read by fixed" in warned["fixed"]


def test_schedules_that_nothing_reads_are_left_out_if_it_is_lenient(capsys):
    line = ["--actor-lr-end", "0", "--schedule-steps", "60", "--lenient"]
    assert small(*line).schedule_updates == 10 and not capsys.readouterr().err
    experiment = small(*line, "--algorithm", "hatrpo")
    assert experiment.schedule_updates is None and not experiment.hparams.ends()
    assert capsys.readouterr().err.splitlines() == [
        "Warning: actor_lr_end is not read by hatrpo with these settings in this environment, and "
        "changes nothing",
        "Warning: schedule_steps: no coefficient has an end, so that it changes nothing",
    ]


def test_what_is_searched_has_to_be_read_however_lenient():
    options = parse([*SMALL.split(), "--algorithm", "happo", "--lenient"])
    points = ({"reuse_sigma": 0.1}, {"reuse_sigma": 1.0})
    with pytest.raises(UsageError, match=r"reuse_sigma is not read by happo.* Leave it out\."):
        build(dataclasses.replace(options, sweep={}, points=points))


@pytest.mark.parametrize("text", ["100000", "100_000", "1e5", "1.0E+5"])
def test_steps_are_whole_numbers_however_they_are_written(text):
    assert parse(["--total-steps", text]).run.total_steps == 100_000
    assert parse(["--hidden-sizes", "1e2", "64"]).config["hidden_sizes"] == (100, 64)


@pytest.mark.parametrize("text", ["1.5", "1e-1", "many", "inf", "nan"])
def test_other_steps_are_usage_errors(text, capsys):
    with pytest.raises(SystemExit) as exit_:
        parse(["--total-steps", text])
    assert exit_.value.code == 2
    assert "expected a whole number" in capsys.readouterr().err


def test_a_preset_may_write_whole_numbers_like_that_as_well(tmp_path):
    (tmp_path / "preset.json").write_text('{"total_steps": 1e5, "config": {"num_envs": 8.0}}')
    options = parse(["--preset", str(tmp_path / "preset.json")])
    assert (options.run.total_steps, options.config["num_envs"]) == (100_000, 8)
    assert isinstance(options.config["num_envs"], int)


@pytest.mark.parametrize(
    ("argv", "hint"),
    [
        (["--learning-rate", "1"], "Did you mean --actor-lr or --critic-lr?"),
        (["--lr=1"], "Did you mean --actor-lr or --critic-lr?"),
        (["--reuse-lamda", "1"], "Did you mean --reuse-lambda?"),
        (["--entropy", "1"], "Did you mean --ent-coef?"),
        (["--num-seeds", "3"], "Did you mean --seeds?"),
        (["--zzz"], "Look at those that there are."),
        (["--algorithm", "hapo"], "Did you mean happo or"),
    ],
)
def test_names_that_there_are_not_bring_those_that_were_meant(argv, hint):
    with pytest.raises(UsageError) as error:
        parse(argv)
    assert hint in str(error.value)


def test_logs_are_named_once():
    with pytest.raises(UsageError, match="log: expected each name once, got csv csv"):
        small("--log", "csv", "csv")


def test_a_literal_matrix_leaves_lambda_unread_but_a_named_one_reads_it():
    fixed = ("--algorithm", "fixed", "--reuse-lambda", "0.5", "--reuse-matrix")
    assert small(*fixed, "rr").algorithm.name == "fixed"
    with pytest.raises(UsageError, match="reuse_lambda is not read"):
        small(*fixed, "0.5,0.5;0.5,0.5")


@pytest.mark.parametrize(
    ("env", "name", "expected"),
    [
        # red, black, blue: black and blue belong together; red and black do not.
        ("maze:black-blue-red", "nr", [[1, 0, 0], [0, 1, 0], [0, 0, 1]]),
        ("maze:black-blue-red", "rr", [[1, 0, 0], [0, 1, 1], [0, 1, 1]]),
        ("maze:black-blue-red", "ur", [[1, 1, 0], [1, 1, 0], [0, 0, 1]]),
        ("maze:black-blue-red", "ar", [[1, 1, 1], [1, 1, 1], [1, 1, 1]]),
        ("elsewhere", "rr", [[1, 0, 0], [0, 1, 0], [0, 0, 1]]),
        ("elsewhere", "ur", [[1, 1, 1], [1, 1, 1], [1, 1, 1]]),
    ],
)
def test_named_matrices(env: str, name: str, expected: list[list[int]]):
    assert named_matrix(name, env, ("red", "black", "blue")).astype(int).tolist() == expected


def test_unreasonable_reuse_pairs_different_colours_only():
    expected = [[1, 0, 1], [0, 1, 1], [1, 1, 1]]
    assert named_matrix("ur", "maze", ("red", "red", "black")).astype(int).tolist() == expected


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        ([], 1),  # 2 x 2 cells.
        (["--env-option", "num_per_colour=12"], 9),  # 24 x 24 = 9 x 64.
        (["--env-option", "num_per_colour=12", "--algorithm", "mappo"], 1),  # 1 x 24.
        (["--env-option", "num_per_colour=12", "--matrix-every", "2"], 2),
    ],
)
def test_how_often_matrices_are_logged_follows_from_their_size_unless_given(argv, expected):
    assert small(*argv).matrix_every == expected


def test_matrices_cannot_be_logged_in_less_than_every_update():
    with pytest.raises(UsageError, match="matrix_every: expected at least 1 update"):
        small("--matrix-every", "-1")


def columns(algorithm: str) -> set[str]:
    """Returns the columns of a run with schedules, with what indices of matrices stand for."""
    extra = ["--reuse-matrix", "rr"] if algorithm == "fixed" else []
    reads = small("--algorithm", algorithm, *extra).reads
    for end in sorted(reads.intersection(ENDS.values())):
        extra += [f"--{end}", "0.5"]
    experiment = small("--algorithm", algorithm, *extra)
    state = jax.eval_shape(experiment.trainer.init, jax.random.key(0))
    hparams = jax.tree.map(lambda x: x[0], experiment.hparams)
    _, metrics = jax.eval_shape(experiment.trainer.step, state, hparams)
    zeros = {name: np.zeros((1, 1, 1, *value.shape)) for name, value in metrics.items()}
    return {re.sub(r"/\d+/\d+$", "/<learner>/<source>", name) for name in flatten(zeros)}


@pytest.mark.parametrize(
    "algorithms",
    [
        # These three have every column between them.
        pytest.param(["oappo", "oatrpo", "oappo-ess"], id="three"),
        pytest.param(ALGORITHMS, id="all", marks=pytest.mark.thorough),
    ],
)
def test_the_glossary_has_the_columns_of_the_algorithms_and_no_others(algorithms):
    text = (Path(__file__).parents[4] / "docs" / "metrics.md").read_text()
    table = text[: text.index("## evaluation.csv")]
    glossary = set(re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE))
    produced = set.union(*map(columns, algorithms))
    of_others = ("allies_left", "checkpoints", "conceded", "out", "lost", "unshaped_return")
    of_other_environments = {f"episode/{name}" for name in of_others}
    assert glossary == produced | set(INDEX_COLUMNS) | of_other_environments


def test_every_setting_and_coefficient_is_an_option():
    options = parse([])
    assert set(options.config) == {f.name for f in dataclasses.fields(Config)} - {"num_updates"}
