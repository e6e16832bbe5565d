"""Where metrics go besides the logs: what --log asks for, wandb, and a function of the caller's."""

import csv
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from experiments import run
from experiments.training.errors import UsageError
from experiments.training.folder.loggers import open_loggers
from experiments.training.settings.command_line import parse
from experiments.training.settings.experiment import Experiment, build
from tests.experiments.trained_run import LANES, STEPS, TINY, shared_programs

METRICS = {
    # [2 updates, 2 points, 2 seeds]
    "critic/loss": np.array([[[1, 2], [3, np.nan]], [[4, 6], [np.nan, np.nan]]], np.float32),
    "reuse/weight": np.ones((2, 2, 2, 3, 3), np.float32),
}


@pytest.fixture(scope="module", autouse=True)
def share_program() -> Iterator[None]:
    with shared_programs():
        yield


class FakeWandb(SimpleNamespace):
    """The part of wandb that is used: keeps what it is given."""

    def __init__(self) -> None:
        error = type("Error", (Exception,), {})
        super().__init__(runs=[], errors=SimpleNamespace(Error=error), most=2)

    def Settings(self, **settings: Any) -> Any:
        return SimpleNamespace(project=None, **settings)

    def init(self, **arguments: Any) -> Any:
        if len(self.runs) == self.most:
            raise self.errors.Error("no API key")
        rows: list[dict[str, float]] = []
        made = SimpleNamespace(
            arguments=arguments, rows=rows, log=rows.append, define_metric=lambda *_, **__: None
        )
        made.finish = lambda exit_code: setattr(made, "exit_code", exit_code)
        self.runs.append(made)
        return made


@pytest.fixture
def wandb(monkeypatch) -> FakeWandb:
    fake = FakeWandb()
    monkeypatch.setitem(sys.modules, "wandb", fake)
    monkeypatch.setattr("oatrpo_jax.installation.find_spec", lambda name: fake)
    return fake


def experiment(*log: str) -> Experiment:
    return build(parse([*TINY, *LANES, "--total-steps", "128", "--log", *log]))


def test_wandb_has_a_run_per_point_with_means_over_seeds(tmp_path: Path, wandb: FakeWandb):
    with open_loggers(experiment("wandb"), tmp_path / ".", 1, None) as (write,):
        write(METRICS, [1, 2])
    first, second = wandb.runs
    assert first.rows == [
        {"env_steps": STEPS, "critic/loss": 1.5},
        {"env_steps": 2 * STEPS, "critic/loss": 5.0},
    ]
    # 3 alone; in update 2 no seed is finite.
    assert second.rows == [{"env_steps": STEPS, "critic/loss": 3.0}, {"env_steps": 2 * STEPS}]
    assert first.arguments["group"] == second.arguments["group"] == tmp_path.name
    assert second.arguments["config"]["reuse_sigma"] == 10
    assert (first.exit_code, second.exit_code) == (0, 0)


def test_a_resumed_run_goes_on_in_the_same_runs_of_wandb(tmp_path: Path, wandb: FakeWandb):
    wandb.most = 4
    for _ in range(2):
        with open_loggers(experiment("wandb"), tmp_path, 1, None):
            pass
    names = [each.arguments["id"] for each in wandb.runs]
    assert names[:2] == names[2:]
    assert len(set(names)) == 2


def test_why_wandb_does_not_start_is_said(tmp_path: Path, wandb: FakeWandb):
    wandb.most = 1
    with (
        pytest.raises(UsageError, match=r"log: wandb does not start \(no API key\).* --resume"),
        open_loggers(experiment("wandb"), tmp_path, 1, None),
    ):
        pass
    assert [each.exit_code for each in wandb.runs] == [1]


def test_an_error_while_training_is_the_end_of_its_runs(tmp_path: Path, wandb: FakeWandb):
    with pytest.raises(KeyError), open_loggers(experiment("wandb"), tmp_path, 1, None):
        raise KeyError
    assert [each.exit_code for each in wandb.runs] == [1, 1]


def test_who_trains_needs_wandb_but_not_who_reads_the_run(tmp_path: Path, monkeypatch, capfd):
    argv = [*TINY, *LANES, "--total-steps", "128", "--log", "wandb", "--out", str(tmp_path / "a")]
    with monkeypatch.context() as patch:
        patch.setattr("oatrpo_jax.installation.find_spec", lambda name: None)
        with pytest.raises(SystemExit) as exit_:
            run.main(argv)
    assert exit_.value.code == 2 and not (tmp_path / "a").exists()
    errors = " ".join(capfd.readouterr().err.replace("│", " ").split())
    assert "log: expected the package wandb" in errors and "[wandb]" in errors
    assert build(parse(argv)).options.run.log == ("wandb",)


@pytest.mark.parametrize(("log", "number"), [(["csv"], 0), (["csv", "tensorboard"], 1)])
def test_csv_alone_means_nowhere_else(tmp_path: Path, log: list[str], number: int):
    with open_loggers(experiment(*log), tmp_path, 1, None) as loggers:
        assert len(loggers) == number
    assert len(list(tmp_path.glob("tensorboard"))) == number


def test_a_function_of_the_callers_gets_what_metrics_csv_gets(tmp_path: Path):
    got: list[tuple[list[int], dict[str, np.ndarray]]] = []
    argv = [*TINY, *LANES, "--total-steps", str(5 * STEPS), "--out", str(tmp_path / "run")]
    argv += ["--log", "csv", "--eval-every", "3", "--eval-episodes", "2"]
    on_chunk = lambda metrics, updates: got.append((list(updates), dict(metrics)))  # noqa: E731
    assert run.main(argv, on_chunk) == 0
    assert not (tmp_path / "run" / "tensorboard").exists()
    training = [each for each in got if "critic/loss" in each[1]]
    assert [update for updates, _ in training for update in updates] == [1, 2, 3, 4, 5]
    losses = np.concatenate([metrics["critic/loss"] for _, metrics in training])
    with (tmp_path / "run" / "metrics.csv").open() as file:
        written = [np.float32(row["critic/loss"]) for row in csv.DictReader(file)]
    assert losses.ravel().tolist() == written
    evaluated = [updates for updates, metrics in got if "evaluation/return" in metrics]
    assert evaluated == [[3], [5]]
