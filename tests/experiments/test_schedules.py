"""A run with schedules and standardised inputs: trained, made longer, played, given away."""

import json
from collections.abc import Iterator
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import oatrpo_jax as oa
from experiments import run
from experiments.analysis.reading import read_result
from experiments.training.packing import pack
from experiments.training.team import Team, load_team
from oatrpo_jax.checkpoint import to_host
from tests.experiments.test_resume import refused
from tests.experiments.trained_run import (
    LANES,
    STEPS,
    TINY,
    read_checkpoint,
    shared_programs,
    with_random_policies,
)
from tests.experiments.without_library import LOADING, run_without_library
from tests.probe_envs import tree_equal

TOTAL = 5
"""Updates of the whole run."""
SCHEDULES = ["--actor-lr", "0.01", "--actor-lr-end", "0"]
SCHEDULES += ["--ent-coef", "0", "--ent-coef-end", "0.4"]
EVALUATED = ["--eval-every", "1", "--eval-episodes", "4"]
SMALL = [*TINY, *LANES, "--normalise-inputs", *SCHEDULES, *EVALUATED]
ENV_STEPS = str(TOTAL * STEPS)


@pytest.fixture(scope="module", autouse=True)
def share_program() -> Iterator[None]:
    with shared_programs():
        yield


def begin(directory: Path, num_updates: int, *argv: str) -> int:
    numbers = ["--total-steps", str(num_updates * STEPS), "--checkpoint-every", "2"]
    return run.main([*SMALL, *numbers, *argv, "--out", str(directory)])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, share_program: None) -> Path:
    """The directory of a run of 2 points and 2 seeds that nothing interrupted."""
    directory = tmp_path_factory.mktemp("schedules") / "run"
    assert begin(directory, TOTAL) == 0
    return directory


def rates(directory: Path) -> np.ndarray:
    """Returns the actors' learning rates ``[updates]``, the same in all lanes."""
    column = read_result(directory).log.columns["schedule/actor_lr"]
    assert (column == column[:, :1, :1]).all()
    return column[:, 0, 0]


def test_the_values_in_force_are_logged_and_ratios_start_at_one(whole: Path):
    columns = read_result(whole).log.columns
    # From 0.01 to 0 and from 0 to 0.4 in five updates, which are four steps.
    np.testing.assert_allclose(rates(whole), [0.01, 0.0075, 0.005, 0.0025, 0], rtol=1e-6)
    np.testing.assert_allclose(columns["schedule/ent_coef"][:, 1, 1], [0, 0.1, 0.2, 0.3, 0.4])
    assert "schedule/critic_lr" not in columns
    np.testing.assert_allclose(columns["policy/first_ratio"], 1.0, atol=1e-6)


def test_a_run_stopped_on_its_way_goes_on_to_the_bit(whole: Path, tmp_path: Path):
    directory = tmp_path / "run"
    assert begin(directory, 2, "--schedule-steps", ENV_STEPS) == 0
    np.testing.assert_allclose(rates(directory), [0.01, 0.0075], rtol=1e-6)
    assert run.main(["--resume", str(directory), "--total-steps", ENV_STEPS]) == 0
    for name in ("metrics.csv", "matrices.csv"):
        assert (directory / name).read_bytes() == (whole / name).read_bytes(), name
    ours, theirs = (to_host(read_checkpoint(each).state) for each in (directory, whole))
    assert tree_equal(ours, theirs)


def test_a_longer_run_keeps_its_schedule_and_says_so_unless_it_is_stretched(tmp_path, capfd):
    directory = tmp_path / "run"
    assert begin(directory, 2) == 0
    go_on = ["--resume", str(directory), "--total-steps"]
    assert run.main([*go_on, str(3 * STEPS)]) == 0
    said = " ".join(capfd.readouterr().out.split())
    assert "schedules end with update 2 as before, and coefficients keep their ends" in said
    assert f"--schedule-steps {3 * STEPS} draws the lines anew" in said
    np.testing.assert_array_equal(rates(directory), np.float32([0.01, 0, 0]))
    # Update 4 is the fourth of five: three of four steps are done.
    assert run.main([*go_on, str(4 * STEPS), "--schedule-steps", ENV_STEPS]) == 0
    assert "schedules end" not in capfd.readouterr().out
    config = json.loads((directory / "config.json").read_text())
    changes = [entry["changed"] for entry in config["resumed"]]
    assert changes == [{}, {"schedule_steps": {"from": 2 * STEPS, "to": 5 * STEPS}}]
    np.testing.assert_allclose(rates(directory)[3], 0.0025, rtol=1e-6)
    more = refused(directory, "--total-steps", ENV_STEPS, "--critic-lr-end", "0", capfd=capfd)
    assert "critic_lr_end was not given, got 0.0" in more


def random_views(number: int) -> oa.Observation:
    """Returns what 2 agents might see in 5 mazes of 3 x 3."""
    keys = jax.random.split(jax.random.key(number))
    mask = jax.random.bernoulli(keys[0], 0.5, (5, 2, 5)).at[..., 0].set(True)
    view = 3 + 2 * jax.random.normal(keys[1], (5, 2, 63))
    return oa.Observation(view, mask, jnp.zeros((5, 1)), jnp.ones((5, 2), bool))


@pytest.mark.parametrize("which", ["latest", "best"])
def test_a_loaded_run_sees_by_the_statistics_of_its_policies(whole: Path, which):
    loaded, team = oa.load_run(whole, point=1, seed=4, which=which), load_team(whole, which)
    assert tree_equal(loaded.state, jax.tree.map(lambda x: x[1, 1], team.learner))
    assert loaded.hparams.schedule_updates == TOTAL and loaded.config.normalise_inputs
    seen = random_views(0)
    norm, rows = loaded.state.input_norm, (seen.active_views, seen.action_mask)
    views = np.clip(standardised(seen.active_views, norm.views), -10, 10)
    expected = loaded.learner.outputs(loaded.state._replace(input_norm=None), views, rows[1])
    outputs = loaded.learner.outputs(loaded.state, *rows)
    np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-5)


def standardised(rows, moments):
    """What has varied, in deviations from its mean; 0 for what has always been 0."""
    deviation = np.maximum(np.sqrt(moments.variance), 1e-6 * np.abs(moments.mean))
    return np.where(deviation > 0, (rows - moments.mean) / np.where(deviation > 0, deviation, 1), 0)


def test_a_loaded_run_learns_on_by_the_coefficients_in_force(whole: Path):
    loaded = oa.load_run(whole, point=1, seed=4)
    learner, seen = loaded.learner, jax.tree.map(lambda x: x[None, :4], random_views(0))
    seen = seen._replace(global_state=jnp.ones((1, 4, learner.spec.state_size)))
    hparams = loaded.hparams.at(loaded.num_updates, loaded.config.num_updates)
    # All five updates are done: the ends hold.
    assert (hparams.actor_lr, hparams.ent_coef) == (0, np.float32(0.4))
    action, log_prob = learner.act(loaded.state, seen, jax.random.key(0))
    never = jnp.zeros((1, 4), bool)
    rows = oa.Transition(seen, action, log_prob, jnp.ones((1, 4)), never, never, seen)
    after = jax.eval_shape(learner.update, loaded.state, rows, hparams, jax.random.key(1))[0]
    assert jax.tree.structure(after) == jax.tree.structure(loaded.state)
    with pytest.raises(ValueError, match=r"actor_lr_end, ent_coef_end: .* hparams\.at"):
        learner.update(loaded.state, rows, loaded.hparams, jax.random.key(1))


def test_the_best_policies_keep_the_statistics_of_when_they_played(whole: Path):
    state = read_checkpoint(whole).state
    learner, best = state.train.learner, state.best
    earlier = np.asarray(best.update) < TOTAL
    assert earlier.any(), "expected a seed that played better before, as learning rates are absurd"
    differs = (best.actors["views/mean"] != learner.input_norm.views.mean).any(axis=-1)
    np.testing.assert_array_equal(differs, earlier)
    team = load_team(whole, "best")
    np.testing.assert_array_equal(team.learner.input_norm.views.mean, best.actors["views/mean"])
    # Those of critics, of which there are no best ones, are the last ones.
    assert tree_equal(team.learner.input_norm.features, learner.input_norm.features)


def test_an_exported_team_takes_views_as_environments_show_them(whole: Path, tmp_path: Path):
    team = load_team(whole)
    team = Team(whole, team.experiment, with_random_policies(team.learner, 0), team.updates)
    learner, one = team.experiment.trainer.learner, jax.tree.map(lambda x: x[1, 1], team.learner)
    archive, _ = pack(team, 1, 1)
    seen = random_views(1)
    lines = 'agents_view, action_mask = rows["views"], rows["masks"]\n' + LOADING
    lines += "logits, action = policy.call(params, agents_view, action_mask)\n"
    lines += 'np.savez("result.npz", logits=logits, action=action)\n'
    result = run_without_library(
        tmp_path, archive, lines, views=seen.agents_view, masks=seen.action_mask
    )
    assert result.returncode == 0, result.stderr
    got = np.load(tmp_path / "result.npz")
    logits = learner.outputs(one, seen.agents_view, seen.action_mask)
    np.testing.assert_allclose(got["logits"], logits, rtol=1e-4, atol=1e-4)
    blind = learner.outputs(one._replace(input_norm=None), seen.agents_view, seen.action_mask)
    assert not np.allclose(got["logits"], blind, atol=0.1)
