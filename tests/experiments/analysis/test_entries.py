"""What runs side by side are called."""

from experiments.analysis.entries import label_points
from experiments.analysis.reading import read_result
from tests.experiments.made_up_runs import SIZES, change_json, write_run


def write(directory, algorithm, *options, env="maze"):
    argv = ["--env", env, "--algorithm", algorithm, *SIZES, *options]
    write_run(argv, directory, lambda *_: 10)
    return directory


def make_older_than(directory, setting):
    """Makes a run one of before there was a setting."""
    content = read_result(directory).config
    config = {name: value for name, value in content["config"].items() if name != setting}
    reads = [name for name in content["reads"] if name != setting]
    change_json(directory / "config.json", config=config, reads=reads)


def labels_of(*directories):
    return [entry.label for entry in label_points([read_result(each) for each in directories])]


def test_runs_of_one_algorithm_are_called_by_what_differs_between_them(tmp_path):
    first = write(tmp_path / "a", "oappo", "--actor-lr", "0.001")
    second = write(tmp_path / "b", "oappo", "--hidden-sizes", "32", "16")
    assert labels_of(first, second) == [
        "oappo, actor_lr=0.001, hidden_sizes=64,64",
        "oappo, actor_lr=0.0005, hidden_sizes=32,16",
    ]


def test_memory_tells_runs_apart_also_from_those_of_before_there_was_any(tmp_path):
    remembering = write(tmp_path / "a", "oappo", "--memory-size", "16")
    plain = write(tmp_path / "b", "oappo")
    expected = ["oappo, memory_size=16", "oappo, memory_size=0"]
    assert labels_of(remembering, plain) == expected
    make_older_than(plain, "memory_size")
    assert labels_of(remembering, plain) == expected
    assert labels_of(plain, write(tmp_path / "c", "happo")) == ["oappo", "happo"]
    assert labels_of(plain, write(tmp_path / "d", "happo", "--memory-size", "8")) == [
        "oappo",
        "happo, memory_size=8",
    ]


def test_schedules_and_standardised_inputs_tell_runs_apart(tmp_path):
    plain, annealed, short, seeing = (
        write(tmp_path / name, "happo", *options)
        for name, options in {
            "a": (),
            "b": ("--ent-coef-end", "0"),
            "c": ("--ent-coef-end", "0", "--schedule-steps", "50"),
            "d": ("--normalise-inputs",),
        }.items()
    )
    assert labels_of(plain, annealed) == ["happo, ent_coef_end=none", "happo, ent_coef_end=0.0"]
    steps = read_result(annealed).config["total_steps_asked"]
    assert labels_of(annealed, short) == [f"happo, schedule_steps={each}" for each in (steps, 50)]
    expected = ["happo, normalise_inputs=False", "happo, normalise_inputs=True"]
    assert labels_of(plain, seeing) == expected
    make_older_than(plain, "normalise_inputs")
    assert labels_of(plain, seeing) == expected
    assert labels_of(plain, write(tmp_path / "e", "mappo")) == ["happo", "mappo"]


def test_what_a_run_was_too_old_to_be_asked_for_is_not_said_of_it(tmp_path):
    # Runs of before `fisher_rows` took all rows, so that the default is not what they did.
    few = write(tmp_path / "a", "hatrpo", "--fisher-rows", "64")
    old = write(tmp_path / "b", "hatrpo")
    assert labels_of(few, old) == ["hatrpo, fisher_rows=64", "hatrpo, fisher_rows=2048"]
    make_older_than(old, "fisher_rows")
    assert labels_of(few, old) == ["hatrpo (a)", "hatrpo (b)"]
    assert labels_of(old, write(tmp_path / "c", "happo")) == ["hatrpo", "happo"]


def test_reuse_matrices_tell_runs_apart(tmp_path):
    runs = [write(tmp_path / m, "fixed", "--reuse-matrix", m) for m in ("rr", "ar")]
    happo = write(tmp_path / "c", "happo")
    assert labels_of(*runs, happo) == ["fixed, reuse_matrix=rr", "fixed, reuse_matrix=ar", "happo"]


def test_what_an_algorithm_does_not_read_or_has_by_default_is_not_in_a_label(tmp_path):
    # SEAC has other defaults in nine settings, and no sigma.
    runs = [write(tmp_path / name, name) for name in ("oappo", "happo", "seac")]
    assert labels_of(*runs) == ["oappo", "happo", "seac"]


def test_what_is_not_the_default_is_said_where_another_algorithm_has_it_otherwise(tmp_path):
    oappo = write(tmp_path / "a", "oappo", "--actor-lr", "0.001")
    happo = write(tmp_path / "b", "happo")
    assert labels_of(oappo, happo) == ["oappo, actor_lr=0.001", "happo"]
    assert labels_of(oappo, write(tmp_path / "c", "happo", "--actor-lr", "0.001")) == [
        "oappo",
        "happo",
    ]


def test_defaults_that_go_with_continuous_actions_are_not_in_a_label(tmp_path):
    steering = "tests/probe_envs.py:Steering"
    oappo = write(tmp_path / "a", "oappo", env=steering)
    happo = write(tmp_path / "b", "happo", "--ent-coef", "0.01", env=steering)
    # The library's default, which is none where actions are continuous.
    assert labels_of(oappo, happo) == ["oappo", "happo, ent_coef=0.01"]


def test_seeds_steps_and_logging_are_not_in_a_label(tmp_path):
    first = write(tmp_path / "a", "oappo")
    second = write(tmp_path / "b", "oappo", "--total-steps", "640", "--seed", "5", "--log-affinity")
    assert labels_of(first, second) == ["oappo (a)", "oappo (b)"]


def test_grid_points_are_called_by_the_coefficients_that_differ(tmp_path):
    grid = write(tmp_path / "a", "oappo", "--reuse-sigma", "0.1", "10")
    happo = write(tmp_path / "b", "happo")
    assert labels_of(grid, happo) == ["oappo, reuse_sigma=0.1", "oappo, reuse_sigma=10", "happo"]


def test_runs_that_differ_in_much_are_called_by_their_directories(tmp_path):
    many = ["--actor-lr", "0.001", "--gamma", "0.9", "--clip-eps", "0.1", "--num-epochs", "2"]
    first, second = write(tmp_path / "a", "oappo"), write(tmp_path / "b", "oappo", *many)
    assert labels_of(first, second) == ["oappo (a)", "oappo (b)"]
    # The points of a grid lie in one directory.
    grid = write(tmp_path / "c", "oappo", *many, "--reuse-sigma", "0.1", "10")
    assert labels_of(first, grid) == [
        "oappo (a)",
        "oappo, reuse_sigma=0.1 (c)",
        "oappo, reuse_sigma=10 (c)",
    ]


def test_runs_that_do_not_differ_are_called_by_their_directories(tmp_path):
    first, second = (write(tmp_path / name, "oappo") for name in ("a", "b"))
    other = write(tmp_path / "c", "happo")
    assert labels_of(first, second, other) == ["oappo (a)", "oappo (b)", "happo"]
    namesake = write(tmp_path / "x" / "a", "oappo")
    assert labels_of(first, namesake) == [f"oappo (a) ({first})", f"oappo (a) ({namesake})"]


def test_a_setting_that_one_run_alone_reads_is_in_its_label_alone(tmp_path):
    plain = write(tmp_path / "a", "oappo")
    clipped = write(
        tmp_path / "b", "oappo", "--value-loss", "clipped", "--value-clip-eps", "0.1", "0.3"
    )
    assert labels_of(plain, clipped) == [
        "oappo, value_loss=huber",
        "oappo, value_loss=clipped, value_clip_eps=0.1",
        "oappo, value_loss=clipped, value_clip_eps=0.3",
    ]
    quantile = ["--divergence", "quantile", "--divergence-quantile"]
    assert labels_of(plain, write(tmp_path / "c", "oappo", *quantile, "0.5", "0.9")) == [
        "oappo, divergence=mean",
        "oappo, divergence=quantile, divergence_quantile=0.5",
        "oappo, divergence=quantile, divergence_quantile=0.9",
    ]


def test_runs_that_differ_in_what_they_log_alone_do_not_differ(tmp_path):
    plain, logged = write(tmp_path / "a", "happo"), write(tmp_path / "b", "happo", "--log-affinity")
    options = ["--log-affinity", "--divergence", "max", "--divergence-rows", "64"]
    other = write(tmp_path / "c", "happo", *options)
    assert labels_of(plain, logged, other) == ["happo (a)", "happo (b)", "happo (c)"]
    # What oappo's rule asks for is no log.
    oappo = [write(tmp_path / "d", "oappo"), write(tmp_path / "e", "oappo", *options[1:3])]
    assert labels_of(*oappo) == ["oappo, divergence=mean", "oappo, divergence=max"]


def test_points_of_a_grid_are_told_apart_even_by_what_is_logged(tmp_path):
    quantile = ["--divergence", "quantile", "--divergence-quantile", "0.5", "0.9"]
    grid = write(tmp_path / "a", "happo", "--log-affinity", *quantile)
    assert labels_of(grid) == ["happo, divergence_quantile=0.5", "happo, divergence_quantile=0.9"]
