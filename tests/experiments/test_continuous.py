"""Teams whose actions are continuous: trained, taken up, searched, played and given away."""

import dataclasses
import io
import json
import math
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export as jax_export
from safetensors.numpy import load

import oatrpo_jax as oa
from experiments import compare, evaluate, run, sweep
from experiments.analysis.reading import read_result
from experiments.training.errors import UsageError
from experiments.training.packing import pack
from experiments.training.places import Place, check_sizes
from experiments.training.playing import Purpose, episode_keys
from experiments.training.settings.command_line import parse
from experiments.training.settings.config_file import describe_experiment
from experiments.training.settings.defaults import PRESETS, Preset, get_preset
from experiments.training.settings.experiment import build
from experiments.training.settings.stored import stored_options
from experiments.training.team import Team, load_team, play_episode
from oatrpo_jax.checkpoint import to_host
from tests.experiments.trained_run import (
    TINY,
    make_trained_run,
    read_checkpoint,
    shared_programs,
    with_random_policies,
)
from tests.experiments.without_library import (
    DRAWING,
    LOADING,
    PLAYING,
    STEPPING,
    run_without_library,
)
from tests.probe_envs import tree_equal

OWN = '''
from pathlib import Path
from tests.probe_envs import Steering

class Ours(Steering):
    """The second of three agents has one dimension, and the others two."""

    def __init__(self):
        super().__init__(dimensions=(2, 1, 2))

    def animate(self, states, save_path):
        Path(save_path).write_text(f"{len(states)} states")
'''
SIZES = ["--num-envs", "4", "--hidden-sizes", "8", "--rollout-length", "6"]
STEPS, TOTAL = 24, 3
"""Environment steps of an update, 4 environments x 6 steps; updates of the whole run."""
LANES = ["--seeds", "2", "--seed", "3", "--reuse-sigma", "0.1", "10"]
EVALUATED = ["--eval-every", "1", "--eval-episodes", "4"]
ENTROPY = 0.5 * math.log(2 * math.pi * math.e)
"""Of a Gaussian whose deviation is 1, in each dimension."""


@pytest.fixture(scope="module", autouse=True)
def share_programs() -> Iterator[None]:
    with shared_programs():
        yield


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Options of a small run in an environment of one's own."""
    file = tmp_path_factory.mktemp("own") / "mine.py"
    file.write_text(OWN)
    return [*SIZES, "--env", f"{file}:Ours"]


def begin(small: list[str], directory: Path, memory_size: int, num_updates: int) -> int:
    numbers = ["--total-steps", str(num_updates * STEPS), "--memory-size", str(memory_size)]
    return run.main([*small, *LANES, *EVALUATED, *numbers, "--out", str(directory)])


@pytest.fixture(scope="module", params=[0, pytest.param(8, marks=pytest.mark.thorough)])
def memory_size(request: pytest.FixtureRequest) -> int:
    return request.param


@pytest.fixture(scope="module")
def whole(small: list[str], memory_size: int, tmp_path_factory, share_programs: None) -> Path:
    """The directory of a run of 2 points and 2 seeds that nothing interrupted."""
    directory = tmp_path_factory.mktemp("continuous") / "run"
    assert begin(small, directory, memory_size, TOTAL) == 0
    return directory


def test_a_run_records_what_its_actions_are_and_has_their_defaults(whole: Path):
    config = json.loads((whole / "config.json").read_text())
    assert config["env_spec"]["is_continuous"] is True and config["env_spec"]["num_actions"] == 2
    assert config["hyperparameters"]["ent_coef"] == [0.0]
    assert {point["ent_coef"] for point in config["points"]} == {0.0}
    assert config["config"]["initial_log_std"] == -0.5 and config["config"]["clip_center"] == "own"
    assert {"initial_log_std", "clip_center"} <= {*config["reads"]}
    columns = read_result(whole).log.columns
    np.testing.assert_allclose(columns["policy/first_ratio"], 1.0, atol=1e-5)
    # 5 dimensions of 3 agents; a few steps have hardly moved the deviations.
    entropy = 5 / 3 * (ENTROPY - 0.5)
    np.testing.assert_allclose(columns["policy/entropy"][0], entropy, atol=0.05)
    assert np.all(np.isfinite(columns["critic/loss"]))


def test_a_run_stopped_within_episodes_goes_on_to_the_bit(
    whole: Path, small: list[str], memory_size: int, tmp_path: Path
):
    directory = tmp_path / "run"
    assert begin(small, directory, memory_size, 1) == 0
    halfway = read_checkpoint(directory).state.train.rollout
    assert np.all(halfway.episode_length == 6)  # Of 8 steps.
    assert run.main(["--resume", str(directory), "--total-steps", str(TOTAL * STEPS)]) == 0
    for name in ("metrics.csv", "matrices.csv", "evaluation.csv"):
        assert (directory / name).read_bytes() == (whole / name).read_bytes(), name
    ours, theirs = (to_host(read_checkpoint(each).state) for each in (directory, whole))
    assert tree_equal(ours, theirs)


def test_the_team_plays_its_means_and_is_drawn(whole: Path, tmp_path: Path):
    replay, table = tmp_path / "a.gif", tmp_path / "a.json"
    argv = ["--episodes", "4", "--replay", str(replay), "--out", str(table)]
    assert evaluate.main([str(whole), *argv]) == 0
    played = json.loads(table.read_text())
    assert played["metrics"]["length"]["per_seed"] == [8, 8]
    assert played["metrics"]["return"]["mean"] < 0
    # 8 steps, and the state that they begin with.
    assert replay.read_text() == "9 states"


def test_a_replay_shows_the_means(whole: Path, memory_size: int):
    team = load_team(whole)
    trainer, learner = team.experiment.trainer, team.experiment.trainer.learner
    one = with_random_policies(jax.tree.map(lambda x: x[1, 0], team.learner), 0)
    (key,) = episode_keys([3], Purpose.REPLAY)
    states = play_episode(trainer, one, key)
    state, timestep = trainer.env.reset(jax.random.split(key)[0])
    memory = jnp.zeros((3, 1, memory_size)) if memory_size else None
    for shown in states:
        np.testing.assert_allclose(shown[0], state[0], atol=1e-5)
        seen = timestep.observation
        made: Any = learner.outputs(one, seen.agents_view, seen.action_mask, memory=memory)
        outputs, memory = made if memory_size else (made, None)
        state, timestep = trainer.env.step(state, outputs[..., :2])
    assert len(states) == 9


def test_a_loaded_run_acts_continuously(whole: Path, memory_size: int):
    loaded = oa.load_run(whole, point=1, seed=4)
    assert loaded.learner.spec.is_continuous and float(loaded.hparams.ent_coef) == 0.0
    seen, memory = observe(5), loaded.learner.start(5, to_learn=False)
    action, log_prob, *_ = loaded.learner.act(loaded.state, seen, jax.random.key(0), memory=memory)
    assert action.shape == (5, 3, 2) and action.dtype == jnp.float32 and log_prob.shape == (5, 3)
    assert np.all(action[:, 1, 1] == 0) and np.all(action[:, 0] != 0)


@pytest.mark.thorough
def test_runs_are_compared(whole: Path, tmp_path: Path):
    assert compare.main([str(whole), "--out", str(tmp_path / "a.png")]) == 0
    assert (tmp_path / "a.png").exists()


def observe(rows: int, seed: int = 0) -> oa.Observation:
    """Returns what the three agents might see."""
    view = jax.random.normal(jax.random.key(seed), (rows, 3, 2))
    mask = jnp.broadcast_to(jnp.ones((3, 2), bool).at[1, 1].set(False), (rows, 3, 2))
    return oa.Observation(view, mask, jnp.zeros((rows, 6)), jnp.ones((rows, 3), bool))


@pytest.fixture(scope="module", params=[0, 8])
def exported(small: list[str], request: pytest.FixtureRequest, tmp_path_factory) -> Any:
    """A learner, the state of one of its teams, and the file that holds that."""
    directory = tmp_path_factory.mktemp("export") / "run"
    argv = [*small, *LANES, "--memory-size", str(request.param), "--total-steps", str(3 * STEPS)]
    experiment, state = make_trained_run(directory, argv)
    team = Team(directory, experiment, state.learner, np.full((2, 2), 3))
    one = jax.tree.map(lambda x: x[1, 1], team.learner)
    learner = experiment.trainer.learner
    archive, _ = pack(team, 1, 1)
    return learner, one, archive


def test_an_exported_team_gives_the_means_that_it_plays(exported):
    learner, one, archive = exported
    with zipfile.ZipFile(io.BytesIO(archive)) as members:
        specs = json.loads(members.read("specs.json"))
        function = jax_export.deserialize(bytearray(members.read("policy.jax")))
        params = load(members.read("params.safetensors"))
    size = learner.config.memory_size
    names = [*(["memory"] if size else []), "log_std", "action"]
    assert specs["format"] == 2 and sorted(specs["outputs"]) == sorted(names)
    for name, aval in zip(names, function.out_avals, strict=True):
        told = specs["outputs"][name]
        assert told["shape"][1:] == list(aval.shape[1:]) and told["dtype"] == str(aval.dtype)
    assert "raw" in specs["outputs"]["action"]["note"]
    assert "dimension" in specs["inputs"]["action_mask"]["note"]
    seen, memory = observe(5), learner.start(5, to_learn=False)
    theirs = [np.zeros((5, 3, size), np.float32)] if size else []
    for number in range(3):
        seen = seen._replace(agents_view=seen.agents_view + number)
        given = *theirs, seen.agents_view, seen.action_mask
        *theirs, log_std, action = function.call(params, *given)
        expected, _, *after = learner.act(one, seen, jax.random.key(0), True, memory=memory)
        memory = after[0] if size else None
        np.testing.assert_allclose(action, expected, atol=1e-6)
        assert_has_deviations(one, log_std)


def assert_has_deviations(learner_state: oa.LearnerState, log_std: Any) -> None:
    """Fails unless the deviations ``[b, N, D]`` are those of the agents' policies."""
    of_policies = learner_state.policies.params["params"]["log_std"]
    for agent, policy in enumerate(learner_state.labels):
        wanted = np.where(observe(1).action_mask[0, agent], of_policies[policy], -1e9)
        np.testing.assert_allclose(log_std[:, agent], np.tile(wanted, (5, 1)), rtol=1e-6)


@pytest.mark.parametrize("exported", [0], indirect=True)
def test_the_documented_lines_draw_actions(exported, tmp_path: Path):
    learner, one, archive = exported
    lines = f"""
import jax
agents_view, action_mask, key = rows["agents_view"], rows["action_mask"], jax.random.key(0)
{LOADING + DRAWING}
np.savez("result.npz", log_std=log_std, action=action, drawn=drawn)
"""
    seen = observe(64)
    result = run_without_library(tmp_path, archive, lines, **seen._asdict())
    assert result.returncode == 0, result.stderr
    got = np.load(tmp_path / "result.npz")
    action, _ = learner.act(one, seen, jax.random.key(0), True)
    np.testing.assert_allclose(got["action"], action, atol=1e-6)
    drawn, _ = learner.act(one, seen, jax.random.key(0))
    np.testing.assert_allclose(got["drawn"], drawn, atol=1e-5)
    assert np.all(got["drawn"][:, 1, 1] == 0)


@pytest.mark.parametrize("exported", [8], indirect=True)
def test_the_documented_lines_remember_and_give_deviations(exported, tmp_path: Path):
    learner, one, archive = exported
    lines = f"""
{STEPPING + PLAYING.replace("logits", "log_std")}
np.savez("result.npz", actions=actions, memory=memory, log_std=log_std)
"""
    # In each of five steps the episode of another row ends.
    seen, ends = [observe(5, seed) for seed in range(6)], np.eye(5, dtype=bool)
    views, masks = (np.stack([each[field] for each in seen]) for field in (0, 1))
    result = run_without_library(tmp_path, archive, lines, views=views, masks=masks, ends=ends)
    assert result.returncode == 0, result.stderr
    got, memory = np.load(tmp_path / "result.npz"), learner.start(5, to_learn=False)
    act = jax.jit(learner.act, static_argnums=3)
    for given, action, ended in zip(seen[:5], got["actions"], ends, strict=True):
        expected, _, memory = act(one, given, jax.random.key(0), True, memory=memory)
        np.testing.assert_allclose(action, expected, atol=1e-6)
        memory = jnp.where(ended[:, None, None, None], 0.0, memory)
    np.testing.assert_allclose(got["memory"], memory[:, :, 0], atol=1e-5)
    assert np.any(got["memory"][:4]) and not np.any(got["memory"][4])
    assert_has_deviations(one, got["log_std"])


def test_a_sweep_of_coefficients_leaves_a_preset_for_continuous_actions(
    small: list[str], tmp_path: Path
):
    out = tmp_path / "sweep"
    search = ["--search", "actor_lr=1e-3,1e-2", "ent_coef=0.001,0.002", "--points", "2"]
    argv = [*search, *small, "--seeds", "2", "--total-steps", str(2 * STEPS), "--out", str(out)]
    assert sweep.main(argv) == 0
    points = json.loads((out / "config.json").read_text())["points"]
    assert len(points) == 2 and {point["ent_coef"] for point in points} <= {0.001, 0.002}
    content = json.loads((out / "preset.json").read_text())
    assert content["config"]["initial_log_std"] == -0.5
    experiment = build(parse(["--preset", str(out / "preset.json"), "--env", small[-1]]))
    assert experiment.points[0] in points


@pytest.mark.parametrize(
    ("text", "value"), [("-1", -1.0), ("-2.5", -2.5), ("-1e-1", -0.1), ("0", 0.0)]
)
def test_deviations_start_where_it_is_said(small: list[str], text: str, value: float):
    experiment = build(parse([*small, "--algorithm", "happo", "--initial-log-std", text]))
    assert describe_experiment(experiment)["config"]["initial_log_std"] == value
    state = jax.jit(experiment.trainer.init)(jax.random.key(0))
    found = state.learner.policies.params["params"]["log_std"]
    np.testing.assert_array_equal(found, np.full((3, 2), value, np.float32))


@pytest.mark.parametrize("text", ["21", "-20.5", "nan", "inf", "many"])
def test_other_deviations_are_usage_errors(small: list[str], text: str, tmp_path: Path, capfd):
    with pytest.raises(SystemExit, match="2"):
        run.main([*small, "--initial-log-std", text, "--out", str(tmp_path / "run")])
    errors = " ".join(capfd.readouterr().err.replace("│", " ").split())
    assert ("initial-log-std" if text == "many" else "a number in [-20, 20]") in errors
    assert "Traceback" not in errors and not (tmp_path / "run").exists()


@pytest.mark.parametrize("value", [True, "wide", [0.1], None])
def test_a_preset_states_deviations_as_a_number(small: list[str], value: Any, tmp_path: Path):
    preset = tmp_path / "preset.json"
    preset.write_text(json.dumps({"config": {"initial_log_std": value}}))
    with pytest.raises(UsageError, match="initial_log_std: expected"):
        parse(["--preset", str(preset), *small])
    preset.write_text(json.dumps({"config": {"initial_log_std": -1}}))
    taken = parse(["--preset", str(preset), *small]).config["initial_log_std"]
    assert (taken, type(taken)) == (-1.0, float)


def test_where_actions_are_discrete_nobody_reads_deviations(capsys):
    argv = [*TINY, "--initial-log-std", "-1", "--total-steps", "64"]
    with pytest.raises(UsageError, match=r"^initial_log_std is not read by oappo.* environment"):
        build(parse(argv))
    experiment = build(parse([*argv, "--lenient"]))
    assert "initial_log_std is not read by oappo" in capsys.readouterr().err
    assert "initial_log_std" not in describe_experiment(experiment)["reads"]
    assert experiment.points[0]["ent_coef"] == pytest.approx(0.01)


def center_and_bonus(argv: list[str]) -> tuple[str, float]:
    """Returns the clip's center and the entropy bonus, which have defaults of their own."""
    experiment = build(parse(argv))
    (point,) = experiment.points
    return experiment.config.clip_center, point["ent_coef"]


@pytest.mark.parametrize(
    ("typed", "center", "bonus"),
    [
        ([], "own", 0.0),
        (["--ent-coef", "0.02"], "own", 0.02),
        (["--clip-center", "behaviour"], "behaviour", 0.0),
    ],
)
def test_what_is_typed_counts_more_than_what_goes_with_continuous_actions(
    small: list[str], typed: list[str], center: str, bonus: float
):
    assert center_and_bonus([*small, *typed]) == (center, bonus)


@pytest.mark.parametrize(
    ("content", "center", "bonus"),
    [
        ({"hyperparameters": {"ent_coef": 0.03}}, "own", 0.03),
        ({"config": {"clip_center": "behaviour"}}, "behaviour", 0.0),
        ({"hyperparameters": {"gamma": 0.9}, "config": {"num_epochs": 2}}, "own", 0.0),
    ],
)
def test_a_preset_file_counts_more_than_what_goes_with_continuous_actions(
    small: list[str], content: Any, center: str, bonus: float, tmp_path: Path
):
    preset = tmp_path / "preset.json"
    preset.write_text(json.dumps(content))
    assert center_and_bonus([*small, "--preset", str(preset)]) == (center, bonus)
    typed = ["--clip-center", "own", "--ent-coef", "0.04"]
    assert center_and_bonus([*small, "--preset", str(preset), *typed]) == ("own", 0.04)


def test_what_goes_with_continuous_actions_counts_more_than_environment_and_algorithm(
    small: list[str], monkeypatch: pytest.MonkeyPatch
):
    theirs = Preset(
        config={"clip_center": "behaviour", "num_epochs": 2}, hyperparams={"ent_coef": 0.5}
    )
    ours = dataclasses.replace(theirs, algorithms={"oappo": theirs})
    monkeypatch.setitem(PRESETS, small[-1], ours)
    preset = get_preset(small[-1], "oappo", is_continuous=True)
    expected = preset.config["clip_center"], preset.hyperparams["ent_coef"]
    assert center_and_bonus(small) == expected == ("own", 0.0)
    assert preset.config["num_epochs"] == build(parse(small)).config.num_epochs == 2
    discrete = get_preset(small[-1], "oappo")
    assert (discrete.config["clip_center"], discrete.hyperparams["ent_coef"]) == ("behaviour", 0.5)


def test_a_run_with_an_entropy_bonus_keeps_it(small: list[str], tmp_path: Path):
    experiment = build(parse([*small, "--ent-coef", "0.02"]))
    (tmp_path / "config.json").write_text(json.dumps(describe_experiment(experiment)))
    assert build(stored_options(tmp_path)).points[0]["ent_coef"] == 0.02
    resumed = build(parse(["--resume", str(tmp_path), "--total-steps", "2000000"]))
    assert resumed.points[0]["ent_coef"] == 0.02


# HAPPO sees no others' rows, and needs no center for them.
@pytest.mark.parametrize(("algorithm", "has_center"), [("happo", False), ("oappo", True)])
def test_help_says_which_defaults_go_with_continuous_actions(algorithm, has_center, capsys):
    with pytest.raises(SystemExit):
        parse(["--algorithm", algorithm, "--help"])
    words = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "--initial-log-std FLOAT" in words
    assert "by default 0.0 where actions are continuous" in words
    assert ("by default own where actions are continuous" in words) == has_center


def test_a_dry_run_trains_nothing(small: list[str], whole: Path, memory_size: int, tmp_path: Path):
    numbers = ["--memory-size", str(memory_size), "--total-steps", str(STEPS)]
    out = tmp_path / "run"
    assert run.main([*small, *LANES, *numbers, "--dry-run", "--out", str(out)]) == 0
    assert not out.exists()


INDICES, VECTORS = oa.EnvSpec(3, 2, 4, 5), oa.EnvSpec(3, 2, 4, 5, is_continuous=True)
"""Agents who act by a number, or by a vector."""
TWO_KINDS = {
    "discrete": (VECTORS, INDICES, "has discrete actions, not continuous actions; choose"),
    "continuous": (INDICES, VECTORS, "has continuous actions, not discrete actions; choose"),
    "dimensions": (
        VECTORS,
        oa.EnvSpec(3, 6, 4, 5, is_continuous=True),
        "has 6 dimensions of an action, not 2; choose",
    ),
    "all": (
        VECTORS,
        oa.EnvSpec(2, 5, 9, 5),
        "has discrete actions, not continuous actions and 2 agents, not 3 and 9 features",
    ),
}


@pytest.mark.parametrize(("ours", "theirs", "words"), TWO_KINDS.values(), ids=TWO_KINDS)
def test_teams_play_where_actions_are_of_their_kind(ours, theirs, words):
    trainer: Any = SimpleNamespace(learner=SimpleNamespace(spec=ours))
    home = Place("home", {}, trainer)
    check_sizes(home, "other", ours)
    with pytest.raises(UsageError, match=f"^env: .* cannot play in other, which {words}"):
        check_sizes(home, "other", theirs)
