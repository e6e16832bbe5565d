"""A run whose policies remember: trained, taken up within episodes, played, given away."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import oatrpo_jax as oa
from experiments import evaluate, run
from experiments.analysis.reading import read_result
from experiments.training.packing import describe_call, pack
from experiments.training.playing import Purpose, episode_keys
from experiments.training.team import Team, load_team, play_episode
from oatrpo_jax.checkpoint import to_host
from tests.experiments.trained_run import (
    LANES,
    STEPS,
    TINY,
    read_checkpoint,
    shared_programs,
    with_random_policies,
)
from tests.experiments.without_library import PLAYING, STEPPING, run_without_library
from tests.probe_envs import tree_equal

SIZE, TOTAL = 6, 5
"""Units of the memory, and updates of the whole run."""
SMALL = [*TINY, *LANES, "--memory-size", str(SIZE)]
EVALUATED = ["--eval-every", "1", "--eval-episodes", "4"]
LINES = f"""
{STEPPING + PLAYING}
np.savez("result.npz", actions=actions, memory=memory, format=specs["format"])
"""
"""The documented lines of a team with memory, between views that are given and what they give."""


@pytest.fixture(scope="module", autouse=True)
def share_program() -> Iterator[None]:
    with shared_programs():
        yield


def begin(directory: Path, num_updates: int) -> int:
    numbers = ["--total-steps", str(num_updates * STEPS), "--checkpoint-every", "2"]
    return run.main([*SMALL, *EVALUATED, *numbers, "--out", str(directory)])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, share_program: None) -> Path:
    """The directory of a run of 2 points and 2 seeds that nothing interrupted."""
    directory = tmp_path_factory.mktemp("memory") / "run"
    assert begin(directory, TOTAL) == 0
    return directory


@pytest.fixture(scope="module")
def team(whole: Path) -> Team:
    """Its team, with policies that say different things."""
    team = load_team(whole)
    learner = with_random_policies(team.learner, 0)
    return Team(whole, team.experiment, learner, team.updates)


def test_policies_remember_in_each_rollout_what_they_had_in_mind_when_they_acted(whole: Path):
    result = read_result(whole)
    # Rollouts of 16 steps cut episodes of 12 anywhere.
    np.testing.assert_allclose(result.log.columns["policy/first_ratio"], 1.0, atol=1e-6)
    assert result.log.columns["policy/first_ratio"].shape == (TOTAL, 2, 2)
    assert json.loads((whole / "config.json").read_text())["config"]["memory_size"] == SIZE


def test_a_run_stopped_within_episodes_goes_on_to_the_bit(whole: Path, tmp_path: Path):
    directory = tmp_path / "run"
    assert begin(directory, 2) == 0
    halfway = read_checkpoint(directory).state.train.rollout
    # 32 steps are two episodes of 12 and 8 of the third; all agents look on at all.
    assert np.all(halfway.episode_length > 0)
    assert halfway.memory.shape == (2, 2, 4, 2, 2, SIZE) and np.all(np.any(halfway.memory, -1))
    assert run.main(["--resume", str(directory), "--total-steps", str(TOTAL * STEPS)]) == 0
    for name in ("metrics.csv", "matrices.csv", "evaluation.csv"):
        assert (directory / name).read_bytes() == (whole / name).read_bytes(), name
    ours, theirs = (to_host(read_checkpoint(each).state) for each in (directory, whole))
    assert tree_equal(ours, theirs)


def test_a_replay_shows_what_the_team_does_with_what_it_remembers(team: Team):
    trainer, act = team.experiment.trainer, team.experiment.trainer.learner.act
    one = jax.tree.map(lambda x: x[1, 0], team.learner)
    (key,) = episode_keys([3], Purpose.REPLAY)
    states = play_episode(trainer, one, key)
    state, timestep = jax.jit(trainer.env.reset)(jax.random.split(key)[0])
    memory, step = jnp.zeros((2, 1, SIZE)), jax.jit(trainer.env.step)
    greedy = jax.jit(lambda seen, memory: act(one, seen, key, True, memory=memory))
    for shown in states[:-1]:
        assert tree_equal(to_host(shown), to_host(state))
        action, _, memory = greedy(timestep.observation, memory)
        state, timestep = step(state, action)
    assert tree_equal(to_host(states[-1]), to_host(state))
    assert timestep.last() and np.any(memory)


def test_the_best_policies_play_and_are_drawn(whole: Path, tmp_path: Path):
    replay, table = tmp_path / "a.gif", tmp_path / "a.json"
    argv = ["--checkpoint", "best", "--episodes", "4", "--replay", str(replay), "--out", str(table)]
    assert evaluate.main([str(whole), *argv]) == 0
    played = json.loads(table.read_text())
    assert replay.exists() and len(played["metrics"]["return"]["per_seed"]) == 2
    assert min(played["updates"]) >= 1


@pytest.mark.parametrize("which", ["latest", "best"])
def test_a_loaded_run_acts_with_memory(whole: Path, which):
    loaded = oa.load_run(whole, point=1, seed=4, which=which)
    assert loaded.config.memory_size == SIZE
    learner, team = loaded.learner, load_team(whole, which)
    assert tree_equal(loaded.state, jax.tree.map(lambda x: x[1, 1], team.learner))
    start = learner.start(5, to_learn=False)
    assert start is not None and start.shape == (5, 2, 1, SIZE)
    seen, key = random_views(0), jax.random.key(0)
    action, _, memory = jax.jit(learner.act)(loaded.state, seen, key, memory=start)
    assert action.shape == (5, 2) and memory.shape == start.shape and np.any(memory)
    with pytest.raises(ValueError, match=r"^memory: expected .* got None; learner\.start"):
        learner.act(loaded.state, seen, key)


def random_views(number: int) -> oa.Observation:
    """Returns what 2 agents might see in 5 mazes of 3 x 3, not all of them still under way."""
    keys = jax.random.split(jax.random.key(number), 3)
    mask = jax.random.bernoulli(keys[0], 0.5, (5, 2, 5)).at[..., 0].set(True)
    view, active = (
        jax.random.normal(keys[1], (5, 2, 63)),
        jax.random.bernoulli(keys[2], 0.8, (5, 2)),
    )
    return oa.Observation(view, mask, jnp.zeros((5, 1)), active)


def test_an_exported_team_remembers_as_the_docs_show(team: Team, tmp_path: Path):
    learner = team.experiment.trainer.learner
    one = jax.tree.map(lambda x: x[1, 1], team.learner)
    archive, _ = pack(team, 1, 1)
    seen = [random_views(number) for number in range(6)]
    views, masks = zip(*((each.active_views, each.action_mask) for each in seen), strict=True)
    ends = np.eye(5, dtype=bool)  # In each of five steps the episode of another maze ends.
    rows = {"views": np.stack(views), "masks": np.stack(masks), "ends": ends}
    result = run_without_library(tmp_path, archive, LINES, **rows)
    assert result.returncode == 0, result.stderr
    got = np.load(tmp_path / "result.npz")
    memory, act = jnp.zeros((5, 2, 1, SIZE)), jax.jit(learner.act, static_argnums=3)
    for number, ended in enumerate(ends):
        action, _, memory = act(one, seen[number], jax.random.key(0), True, memory=memory)
        np.testing.assert_array_equal(got["actions"][number], action)
        memory = jnp.where(ended[:, None, None, None], 0.0, memory)
    np.testing.assert_allclose(got["memory"], memory[:, :, 0], atol=1e-5)
    assert np.any(got["memory"][:4]) and not np.any(got["memory"][4])
    assert got["format"] == 2


def test_the_specs_list_what_is_taken_and_given_in_the_order_of_the_call(team: Team):
    learner = team.experiment.trainer.learner
    said = describe_call(learner)
    assert {name: each["shape"] for name, each in said["inputs"].items()} == {
        "memory": ["batch", 2, SIZE],
        "agents_view": ["batch", 2, 63],
        "action_mask": ["batch", 2, 5],
    }
    notes = {name: each["note"] for name, each in said["inputs"].items() if "note" in each}
    assert [*notes] == ["memory", "agents_view"]
    assert all(note.startswith("zeros ") for note in notes.values())
    function = oa.export_actors(learner, jax.tree.map(lambda x: x[0, 0], team.learner), ("cpu",))
    taken = function.in_avals[len(oa.actor_parameters(team.learner)) :]
    for avals, told in ((taken, said["inputs"]), (function.out_avals, said["outputs"])):
        named = [(each["shape"][1:], each["dtype"]) for each in told.values()]
        assert [(list(each.shape[1:]), str(each.dtype)) for each in avals] == named


@pytest.mark.thorough
def test_a_dry_run_counts_the_memory_in_the_train_state_and_not_in_the_trajectory(capsys, tmp_path):
    def sizes(memory_size: int) -> list[float]:
        """Returns megabytes of 4 train states, and of one trajectory."""
        wide = ["--num-envs", "1024", "--memory-size", str(memory_size)]
        steps = ["--total-steps", "16384", "--dry-run", "--out", str(tmp_path / "run")]
        assert run.main([*TINY[2:], *LANES, *wide, *steps]) == 0  # TINY begins with --num-envs.
        names = "train state, all of them", "trajectory of one rollout, on each device"
        text = capsys.readouterr().out
        return [float(re.findall(rf"{name} +(\S+) MB", text)[0]) for name in names]

    (plain, seen), (remembering, seen_too) = sizes(0), sizes(16)
    # 4 lanes x 4 bytes x 1024 environments x 2 agents x 2 memories of each x 16 units: 1.05 MB.
    # Their policies grow by less than 0.2 MB, and each size is rounded to 0.1.
    assert 1.05 - 0.1 <= remembering - plain <= 1.05 + 0.3
    assert seen == seen_too > 1
