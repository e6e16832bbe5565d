"""Runs on several devices: what lanes compute, where they lie, and what goes between devices."""

import contextlib
import io
import json
import re
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from experiments import evaluate, run
from experiments.analysis import finish
from experiments.analysis.speed.collectives import collectives
from experiments.analysis.speed.memory import per_update
from experiments.training import program
from experiments.training.settings.command_line import parse
from experiments.training.settings.experiment import build
from oatrpo_jax import ALGORITHMS
from oatrpo_jax.checkpoint import to_host
from tests.experiments.trained_run import STEPS, TINY, read_checkpoint
from tests.on_devices import run_on_devices
from tests.probe_envs import RoleGame, tree_equal

EVALUATED = ("--eval-every", "2", "--eval-episodes", "3", "--log", "csv")
LANES = ("--seeds", "2", "--actor-lr", "1e-3", "1e-2", "--algorithm", "happo", *EVALUATED)
FILES = ("metrics.csv", "evaluation.csv")


def steps(num_updates: int) -> tuple[str, str]:
    return "--total-steps", str(num_updates * STEPS)


def read_json(path: Path) -> dict:
    return json.loads(path.read_text())


def begin(out: Path, *options: str) -> Path:
    assert run.main([*TINY, *options, "--out", str(out)]) == 0
    return out


def assert_equal(one: Path, other: Path) -> None:
    for name in FILES:
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    states = (to_host(read_checkpoint(each).state) for each in (one, other))
    assert tree_equal(*states)


def resumed_on_other_numbers(folder: Path) -> None:
    """Two points x two seeds on 4 devices, then on 1, then on 3 (2, 1, 1): as on one all along."""
    whole = begin(folder / "whole", *LANES, *steps(6))
    parts = begin(folder / "parts", *LANES, *steps(2), "--devices", "4")
    for total, devices in ((4, "1"), (6, "3")):
        assert run.main(["--resume", str(parts), *steps(total), "--devices", devices]) == 0
    assert_equal(whole, parts)
    config = read_json(parts / "config.json")
    assert config["mesh"] == {"lanes": 4, "envs": 1} and config["device"]["platform"] == "cpu"
    assert [one["mesh"]["lanes"] for one in config["resumed"]] == [1, 3]
    assert "devices" not in config["run"] and config["run"]["env_devices"] == 1
    figures = []
    for devices in ("1", "4"):
        out = folder / f"{devices}.json"
        argv = [str(parts), "--episodes", "5", "--devices", devices, "--out", str(out)]
        assert evaluate.main(argv) == 0
        figures.append(read_json(out)["metrics"])
    assert figures[0] == figures[1]


def environments_apart(folder: Path) -> None:
    """Two lanes, each on two devices: nearly as on one, and the same once more, to the bit."""
    options = ("--seeds", "2", "--algorithm", "happo", "--log", "csv", *steps(1))
    spread = ("--env-devices", "2", "--devices", "4")
    one = begin(folder / "one", *options)
    apart, again = (begin(folder / name, *options, *spread) for name in "ab")
    assert (apart / "metrics.csv").read_bytes() == (again / "metrics.csv").read_bytes()
    learners = [read_checkpoint(each).state.train.learner for each in (one, apart)]
    for x, y in zip(*map(jax.tree.leaves, learners), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-3, atol=1e-5)
    assert read_json(apart / "config.json")["mesh"] == {"lanes": 2, "envs": 2}
    # It goes on with another number if it must, and says what that does.
    assert run.main(["--resume", str(apart), *steps(2), "--env-devices", "1"]) == 0
    resumed = read_json(apart / "config.json")["resumed"][0]
    assert resumed["changed"] == {"env_devices": {"from": 2, "to": 1}}


WRONG = (
    (("--devices", "5"), "devices: expected from 1 to the 4", "give another number"),
    (("--devices", "0"), "devices: expected from 1 to the 4", "got 0; give another number"),
    (("--env-devices", "8"), "env_devices: expected from 1 to the 4", "give another number"),
    (("--env-devices", "0"), "env_devices: expected from 1", "got 0; give another number"),
    (
        ("--devices", "3", "--env-devices", "2"),
        "devices: expected a multiple of env_devices = 2, got 3",
        "choose another number",
    ),
    (
        ("--env-devices", "4", "--num-minibatches", "2"),
        "expected a divisor of the 2 environments of a minibatch",
        "choose another number",
    ),
    (
        ("--env", f"{__file__}:OnHost", "--devices", "2"),
        "computes on the host, got 2",
        "leave out --devices and --env-devices",
    ),
)


class OnHost(RoleGame):
    """Says how many episodes the host can hold."""

    def __init__(self) -> None:
        super().__init__((0, 1))

    def check_episodes(self, number: int) -> None:
        """Any number."""


def wrong_requests(folder: Path) -> None:
    """Each ends with exit code 2, and says what was expected and what to do."""
    tiny = [*TINY[: TINY.index("--env")], "--log", "csv"]
    for options, expected, advice in WRONG:
        errors, env = io.StringIO(), () if "--env" in options else ("--env", "maze")
        with contextlib.redirect_stderr(errors), pytest.raises(SystemExit) as stopped:
            run.main([*tiny, *env, *options, "--out", str(folder / "none")])
        said = " ".join(errors.getvalue().replace("│", " ").split())
        assert stopped.value.code == 2 and expected in said and advice in said, said
    assert not (folder / "none").exists()


def sizes(_: Path) -> None:
    """A dry run says where lanes lie and what devices send each other: nothing, if lanes alone."""
    for options, expected in (
        (("--seeds", "3", "--devices", "2"), ("2 = 2 (lanes) x 1", "2, 1", "0, 0.000 MB")),
        (("--seeds", "1", "--devices", "4", "--env-devices", "4"), ("4 = 1 (lanes) x 4", "1", "")),
    ):
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            assert run.main([*TINY, "--algorithm", "happo", *options, "--dry-run"]) == 0
        lines = dict(
            re.split(r" {2,}", line.strip(), maxsplit=1)
            for line in said.getvalue().splitlines()
            if "  " in line.strip()
        )
        assert lines["devices"].startswith(expected[0])
        assert lines["lanes on each"] == expected[1]
        assert lines["collectives per update of a lane"].startswith(expected[2])
    number, megabytes = lines["collectives per update of a lane"].removesuffix(" MB").split(", ")
    assert int(number) > 16 and 0 < float(megabytes) < 1


def every_bit(algorithm: str, *others: str) -> None:
    """Three lanes on 1, 2 (two and one) and 3 of 4 devices, as users compile them: every bit."""
    tiny = TINY[: TINY.index("--env")] if "--env" in others else TINY
    given = [*tiny, "--algorithm", algorithm, "--seeds", "3", *others]
    if algorithm == "fixed":
        given += ["--reuse-matrix", "rr"]
    made = []
    for devices, counts in (("1", [3]), ("2", [2, 1]), ("4", [1, 1, 1])):
        traced = program.trace(build(parse([*given, "--devices", devices])))
        assert traced.placement.counts.tolist() == counts
        assert per_update(collectives(traced.advance.lower().compile().as_text())) == (0, 0)
        compiled = program.compile_program(traced)
        state, log = compiled.advance(compiled.init()[0], 4)
        made.append((to_host(state), {name: value[:4] for name, value in log.items()}))
    assert tree_equal(made[0], made[1]) and tree_equal(made[0], made[2])


def no_batch_goes_round(algorithm: str, *others: str) -> None:
    """Of what a run's own program gathers or sums in an update, nothing is as large as a batch."""
    given = [*TINY, "--algorithm", algorithm, "--seeds", "2", "--env-devices", "2", *others]
    experiment = build(parse([*given, "--devices", "4"]))
    traced = program.trace(experiment)
    inside = [
        each for each in collectives(traced.advance.lower().compile().as_text()) if each.depth > 0
    ]
    learner = experiment.trainer.learner
    state = jax.eval_shape(learner.init, jax.random.key(0))
    parameters = jax.tree.leaves((state.policies.params, state.critics.params))
    gradients = 4 * sum(leaf.size for leaf in parameters)
    assert gradients < 4 * STEPS * learner.spec.view_size  # The views of one agent.
    assert inside and {each.kind for each in inside} == {"all-reduce"}
    assert max(each.num_bytes for each in inside) <= gradients


CHECKS = {each.__name__: each for each in (resumed_on_other_numbers, wrong_requests, sizes)}
SLOW_CHECKS = {each.__name__: each for each in (environments_apart, every_bit, no_batch_goes_round)}
STEERING = (*("--env", "tests/probe_envs.py:Steering"), *("--memory-size", "8"))


@pytest.mark.parametrize("check", CHECKS)
def test_on_four_devices(check, tmp_path):
    run_on_devices("-m", __name__, check, str(tmp_path))


@pytest.mark.slow
def test_environments_of_lanes_apart(tmp_path):
    run_on_devices("-m", __name__, "environments_apart", str(tmp_path))


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        *((name,) for name in (*ALGORITHMS, "fixed")),
        ("oappo", "--memory-size", "8"),
        ("oatrpo", *STEERING),
    ],
    ids=" ".join,
)
def test_lanes_are_the_same_to_the_bit_on_any_number_of_devices(options):
    run_on_devices("-m", __name__, "every_bit", *options, quickly=False)


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [("oappo", "--num-minibatches", "2"), ("oatrpo",), ("oappo", "--memory-size", "4")],
    ids=" ".join,
)
def test_no_batch_goes_round_in_a_runs_own_program(options):
    run_on_devices("-m", __name__, "no_batch_goes_round", *options, quickly=False)


if __name__ == "__main__":
    _, name, *arguments = sys.argv
    finish.draw = lambda *_: None  # Pictures say nothing of devices.
    if name in CHECKS or name == "environments_apart":
        (CHECKS | SLOW_CHECKS)[name](Path(*arguments))
    else:
        SLOW_CHECKS[name](*arguments)
