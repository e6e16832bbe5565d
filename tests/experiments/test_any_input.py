"""Whatever stands on the command line or in a Config: it fits, or the error says what does not."""

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args, get_type_hints

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from experiments import run
from experiments.training import console, process, program
from experiments.training.errors import UsageError
from experiments.training.settings.command_line import parse
from experiments.training.settings.defaults import AlgorithmName
from experiments.training.settings.experiment import build
from oatrpo_jax.config import Config
from oatrpo_jax.hyperparams import Hyperparams

pytestmark = pytest.mark.slow

NUM_CASES = 300

numbers = st.one_of(
    st.integers(-3, 9).map(str),
    st.sampled_from(["32", "1000", "999999999999999999999", "0x10", "1_0", "٣"]),
    st.floats(width=32).map(str),
    st.sampled_from(["-0.0", "1e400", "1e-400", "nan", "-inf", "True", "None", ""]),
)
words = st.one_of(
    numbers,
    st.sampled_from(
        ["maze", "smax", "smax:3m", "maze:", ":", "huber", "max", "rr", "1,0;0,1", "-", "--"]
    ),
    st.sampled_from(["num_per_colour=2", "layout=(", "=", "a=b=c", "time_limit=-1", "../..", "~"]),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8),
)
settings_ = [f.name for f in dataclasses.fields(Config) if f.name != "num_updates"]
coefficients = [field.name for field in dataclasses.fields(Hyperparams)]
of_run = ["env", "env_option", "reuse_matrix", "seeds", "seed", "total_steps", "resume"]
of_run += ["checkpoint_every", "keep_checkpoints", "slice", "resume_or_start"]
counts = ["num_envs", "rollout_length", "num_epochs", "critic_epochs", "num_minibatches", "seeds"]
counts += ["cg_iterations", "fisher_rows", "line_search_steps", "divergence_rows", "hidden_sizes"]
estimators = [[name] for name in get_args(get_type_hints(Config)["estimator"])]
plausible = st.one_of(
    st.tuples(st.sampled_from(counts), st.integers(1, 4).map(lambda count: [str(count)])),
    st.tuples(st.sampled_from(coefficients), st.sampled_from([["0.5"], ["0.25", "0.75"], ["1"]])),
    st.tuples(st.just("algorithm"), st.sampled_from(AlgorithmName.__args__).map(lambda a: [a])),
    st.tuples(st.just("estimator"), st.sampled_from(estimators)),
    st.tuples(st.sampled_from(["layer_norm", "no_layer_norm", "no_normalise_values"]), st.just([])),
)
options = st.one_of(
    st.tuples(st.sampled_from([*settings_, *coefficients]), st.lists(numbers, max_size=3)),
    st.tuples(st.sampled_from([*settings_, *of_run]), st.lists(words, max_size=2)),
    st.tuples(st.from_regex(r"[a-z-]{0,6}", fullmatch=True), st.lists(words, max_size=1)),
)


def command_lines(options: st.SearchStrategy) -> st.SearchStrategy[list[str]]:
    return st.lists(options, max_size=4).map(
        lambda given: [
            token for name, values in given for token in (f"--{name.replace('_', '-')}", *values)
        ]
    )


@pytest.fixture(scope="module")
def outcomes() -> Iterator[dict[str, int]]:
    counts = {"accepted": 0, "refused": 0}
    yield counts
    assert min(counts.values()) > NUM_CASES // 20  # Neither answer is the only one.
    print(f"command lines: {counts}")


@settings(
    max_examples=NUM_CASES,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(argv=st.one_of(command_lines(plausible), command_lines(options)))
def test_any_command_line_is_accepted_or_refused_in_words(
    argv: list[str], outcomes: dict[str, int], tmp_path: Path, monkeypatch: Any, capfd: Any
):
    monkeypatch.chdir(tmp_path)
    traced = SimpleNamespace(placement=SimpleNamespace(mesh=SimpleNamespace(shape={})))
    monkeypatch.setattr(process, "trace_program", lambda *_: traced)
    monkeypatch.setattr(process, "Training", lambda *_: SimpleNamespace(execute=lambda *_: 0))
    monkeypatch.setattr(process, "make_console", lambda: console.Console(quiet=True))
    capfd.readouterr()
    try:
        code = run.main(argv)
    except SystemExit as exit_:
        code = exit_.code
    errors = capfd.readouterr().err
    assert code in (0, 2), (argv, code, errors)
    assert "Traceback" not in errors
    assert bool(errors) == (code == 2)
    outcomes["accepted" if code == 0 else "refused"] += 1


@settings(max_examples=10, deadline=None, derandomize=True)
@given(argv=command_lines(plausible))
def test_what_the_command_line_accepts_can_be_traced(argv: list[str]):
    small = ["--env-option", "num_per_colour=1", "--num-envs", "4", "--rollout-length", "2"]
    try:
        experiment = build(parse([*small, *argv]))
    except UsageError:
        return
    assert program.trace(experiment).metrics["critic/loss"].shape[0] == program.CAPACITY


anything = st.one_of(
    st.integers(-2, 40), st.booleans(), st.none(), st.floats(), st.text(max_size=3),
    st.lists(st.one_of(st.integers(-1, 9), st.text()), max_size=2).map(tuple),
    st.sampled_from(["weighted", "mean", "huber", "tanh", "bootstrap", 10**30]),
)  # fmt: skip


@settings(max_examples=NUM_CASES, deadline=None, derandomize=True)
@given(fields=st.dictionaries(st.sampled_from([*settings_, "num_updates"]), anything, max_size=4))
def test_any_config_is_made_or_refused_by_name(fields: dict[str, Any]):
    try:
        config = Config(**fields)
    except ValueError as error:
        named = re.split(r"\W+", str(error))
        assert fields.keys() & set(named), error
    else:
        assert config.steps_per_update >= 1


@settings(max_examples=NUM_CASES, deadline=None, derandomize=True)
@given(fields=st.dictionaries(st.sampled_from(coefficients), st.floats(), max_size=3))
def test_any_coefficients_are_made_or_refused_by_name(fields: dict[str, float]):
    try:
        made = Hyperparams.create(**fields)
    except ValueError as error:
        assert any(str(error).startswith(name) for name in fields), error
    else:
        assert all(getattr(made, name).shape == () for name in coefficients)
