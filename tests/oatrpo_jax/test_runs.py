"""A run's learner without its environment: the same as the command line's, to the bit."""

import functools
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import envs
import oatrpo_jax as oa
from experiments.training.team import Team, load_team
from oatrpo_jax.checkpoint import DamagedCheckpointError
from tests.experiments.faults import damage
from tests.experiments.trained_run import LANES, TINY, make_trained_run
from tests.probe_envs import tree_equal

BLOCKED = """
import sys
for name in ("envs", "experiments", "jumanji", "jaxmarl", "tyro", "tensorboardX"):
    sys.modules[name] = None
import jax, numpy as np, oatrpo_jax as oa
run = oa.load_run(sys.argv[1])
rows = np.load(sys.argv[2])
observation = oa.Observation(**{name: rows[name] for name in oa.Observation._fields})
action, log_prob = run.learner.act(run.state, observation, jax.random.key(0), greedy=True)
np.savez(sys.argv[3], action=action, log_prob=log_prob)
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    directory = tmp_path_factory.mktemp("runs") / "run"
    make_trained_run(directory)
    return directory


def seen() -> oa.Observation:
    """Returns what 2 agents might see, 16 times."""
    view = jax.random.normal(jax.random.key(0), (16, 2, 63))
    mask = jax.random.bernoulli(jax.random.key(1), 0.5, (16, 2, 5)).at[..., 0].set(True)
    return oa.Observation(view, mask, jnp.zeros((16, 1)), jnp.ones((16, 2), bool))


@functools.cache
def team_of(directory: Path, which: Literal["latest", "best"] = "latest") -> Team:
    return load_team(directory, which)


@pytest.mark.parametrize(
    ("given", "place"),
    [
        ({}, (1, 1)),
        ({"point": 0}, (0, 0)),
        ({"point": 0, "seed": 4}, (0, 1)),
        ({"seed": 3}, (1, 0)),
    ],
)
@pytest.mark.parametrize("which", ["latest", "best"])
def test_it_is_the_learner_that_evaluation_and_export_take(trained, given, place, which):
    run = oa.load_run(trained, which=which, **given)
    assert (run.point, run.seed) == (place[0], 3 + place[1])
    team = team_of(trained, which)
    assert tree_equal(run.state, jax.tree.map(lambda x: x[place], team.learner))
    assert run.num_updates == {"latest": 3, "best": 2}[which]
    assert float(run.hparams.reuse_sigma) == pytest.approx([0.1, 10][place[0]])


def test_its_parts_are_those_of_the_run(trained):
    run, experiment = oa.load_run(str(trained)), team_of(trained).experiment
    learner = experiment.trainer.learner
    assert (run.learner.spec, run.config) == (learner.spec, learner.config)
    assert run.learner.algorithm is learner.algorithm
    assert tree_equal(run.hparams, jax.tree.map(lambda x: x[1], experiment.hparams))
    env = envs.make(run.env_name, **run.env_options)
    assert oa.EnvSpec.from_env(env) == run.learner.spec
    given = seen(), jax.random.key(0)
    assert tree_equal(run.learner.act(run.state, *given), learner.act(run.state, *given))


def test_a_run_of_before_policies_had_memory_or_acted_continuously_does_neither(trained, tmp_path):
    content = json.loads((trained / "config.json").read_text())
    assert content["config"].pop("memory_size") == 0
    assert content["env_spec"].pop("is_continuous") is False
    del content["config"]["initial_log_std"]
    (tmp_path / "config.json").write_text(json.dumps(content))
    (tmp_path / "checkpoints").symlink_to(trained / "checkpoints")
    old, new = (oa.load_run(directory, 1, 4) for directory in (tmp_path, trained))
    assert old.config == new.config and old.learner.start(3) is None
    assert old.learner.spec == new.learner.spec
    assert tree_equal(old.state, new.state)


def test_it_needs_neither_the_environment_nor_the_command_line(trained, tmp_path):
    rows = tmp_path / "rows.npz"
    np.savez(rows, **seen()._asdict())
    argv = [str(trained), str(rows), str(tmp_path / "result.npz")]
    subprocess.run([sys.executable, "-c", BLOCKED, *argv], check=True, timeout=120)
    result = np.load(tmp_path / "result.npz")
    run = oa.load_run(trained)
    action, log_prob = run.learner.act(run.state, seen(), jax.random.key(0), greedy=True)
    np.testing.assert_array_equal(result["action"], action)
    np.testing.assert_array_equal(result["log_prob"], log_prob)


@pytest.mark.parametrize("matrix", ["rr", "0.7,0.3;0.4,0.6"])
def test_a_matrix_set_by_hand_comes_back(tmp_path, matrix):
    argv = ["--algorithm", "fixed", "--reuse-matrix", matrix, "--seeds", "1"]
    experiment, _ = make_trained_run(tmp_path / "run", [*TINY, *argv, "--total-steps", "192"])
    run = oa.load_run(tmp_path / "run")  # One lane: no summary is needed.
    ours, theirs = (each.algorithm.reuse for each in (experiment.trainer.learner, run.learner))
    assert ours.reads == theirs.reads
    rows = [
        [each.cell_contents.tolist() for each in rule.weights.__closure__]
        for rule in (ours, theirs)
    ]
    assert rows[0] == rows[1]


BAD = {
    "point": ({"point": 2}, r"^point: expected a number in \[0, 1\], got 2"),
    "negative point": ({"point": -1}, r"^point: expected a number in \[0, 1\], got -1"),
    "seed": ({"seed": 5}, r"^seed: expected one of 3, 4, got 5"),
    "which": ({"which": "last"}, r"^which: expected latest or best, got 'last'"),
}


@pytest.mark.parametrize(("given", "complaint"), BAD.values(), ids=BAD)
def test_what_there_is_not_is_refused_with_what_there_is(trained, given, complaint):
    with pytest.raises(ValueError, match=complaint):
        oa.load_run(trained, **given)


def test_a_folder_that_lacks_something_is_refused_in_words(trained, tmp_path):
    with pytest.raises(ValueError, match=r"holds no run: it has no config\.json"):
        oa.load_run(tmp_path)
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    (run / "summary.json").unlink()
    with pytest.raises(ValueError, match=r"^point: .* no summary.json .*choose a point"):
        oa.load_run(run)
    with pytest.raises(ValueError, match=r"^seed: .* no summary.json .*choose a seed"):
        oa.load_run(run, point=1)
    assert oa.load_run(run, 1, 4).seed == 4
    config = json.loads((run / "config.json").read_text())
    for changed in (
        {k: v for k, v in config.items() if k != "env_spec"},
        config | {"config": config["config"] | {"flux": 1}},
        config | {"points": 3},
    ):
        (run / "config.json").write_text(json.dumps(changed))
        with pytest.raises(ValueError, match=r"config.json: .* of another version, or"):
            oa.load_run(run, 1, 4)
    (run / "config.json").write_text("{")
    with pytest.raises(ValueError, match="cannot be read"):
        oa.load_run(run)
    (run / "config.json").write_text(json.dumps(config))
    shutil.rmtree(run / "checkpoints")
    with pytest.raises(ValueError, match="expected checkpoints, got none"):
        oa.load_run(run, 1, 4)


def test_a_run_without_evaluations_has_no_best_policies(tmp_path):
    make_trained_run(tmp_path / "run", [*TINY, *LANES, "--total-steps", "192"])
    with pytest.raises(ValueError, match=r"^which: .* without --eval-every"):
        oa.load_run(tmp_path / "run", which="best")
    assert oa.load_run(tmp_path / "run").num_updates == 3


def test_a_damaged_checkpoint_is_passed_over_and_said(trained, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    newest = run / "checkpoints" / "000000003"
    shutil.copytree(newest, run / "checkpoints" / "000000002")
    damage(newest)
    with pytest.warns(UserWarning, match="the one before is used"):
        assert oa.load_run(run).num_updates == 2
    damage(run / "checkpoints" / "000000002")
    with pytest.raises(DamagedCheckpointError, match=r"no checkpoint in .* can be loaded"):
        oa.load_run(run)
