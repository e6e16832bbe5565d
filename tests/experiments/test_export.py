"""Exported teams, used as somebody does who has the file but not this library."""

import io
import json
import pickle
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export as jax_export
from safetensors.numpy import load

from experiments import evaluate, export
from experiments.training.packing import describe_team
from experiments.training.team import Team
from oatrpo_jax import Observation
from oatrpo_jax.export import actor_parameters
from tests.experiments.trained_run import make_trained_run
from tests.experiments.without_library import READING, run_without_library

ROOT = Path(__file__).parents[2]
LINES = f"""
agents_view, action_mask = rows["agents_view"], rows["action_mask"]
{READING}
np.savez("result.npz", logits=logits, action=action)
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Directory, experiment and state of a run, with an evaluation of its point 1."""
    directory = tmp_path_factory.mktemp("export") / "run"
    result = directory, *make_trained_run(directory)
    evaluate.main([str(directory), "--episodes", "4"])
    return result


@pytest.fixture(scope="module")
def policy(trained):
    """The file that is exported where nothing else is asked for."""
    assert export.main([str(trained[0])]) == 0
    return trained[0] / "policy.zip"


def run_snippet(folder: Path, archive: bytes, rows: int = 5) -> subprocess.CompletedProcess:
    """Runs the documented lines beside a policy.zip, in a process that cannot import us."""
    return run_without_library(folder, archive, LINES, **observe(rows)._asdict())


def observe(rows: int) -> Observation:
    """Returns views of 2 agents in a 3 x 3 maze and masks with at least one legal action."""
    view_key, mask_key = jax.random.split(jax.random.key(rows))
    mask = jax.random.bernoulli(mask_key, 0.5, (rows, 2, NUM_ACTIONS)).at[..., 0].set(True)
    view = jax.random.normal(view_key, (rows, 2, VIEW_SIZE))
    return Observation(view, mask, jnp.zeros((rows, 1)), jnp.ones((rows, 2), bool))


VIEW_SIZE, NUM_ACTIONS = 63, 5


def read_specs(path: Path) -> dict:
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read("specs.json"))


@pytest.mark.parametrize("rows", [64, pytest.param(1, marks=pytest.mark.thorough)])
def test_a_process_without_the_library_acts_alike_to_the_bit(trained, policy, tmp_path, rows):
    _, experiment, state = trained
    result = run_snippet(tmp_path, policy.read_bytes(), rows)
    assert result.returncode == 0, result.stderr
    got = np.load(tmp_path / "result.npz")
    best = jax.tree.map(lambda x: x[1, 1], state.learner)
    learner, seen = experiment.trainer.learner, observe(rows)
    action, _ = jax.jit(learner.act, static_argnums=3)(best, seen, jax.random.key(0), True)
    assert got["action"].dtype == np.int32
    np.testing.assert_array_equal(got["action"], action)
    logits = jax.jit(learner.outputs)(best, seen.agents_view, seen.action_mask)
    np.testing.assert_allclose(got["logits"], logits, rtol=1e-5, atol=1e-5)


def test_the_specs_say_what_it_is(policy):
    specs = read_specs(policy)
    said = ("environment", "algorithm", "point", "seed", "update", "env_steps", "platforms")
    assert {name: specs[name] for name in said} == {
        "environment": "maze",
        "algorithm": "oappo",
        "point": 1,  # The better one of both in summary.json, as the seed.
        "seed": 4,
        "update": 3,
        "env_steps": 192,
        "platforms": ["cpu", "cuda", "tpu"],
    }
    assert specs["agents"] == [{"type": "red", "policy": 0}, {"type": "black", "policy": 1}]
    assert specs["env_options"]["num_per_colour"] == 1
    assert {"jax", "jaxlib", "python"} <= specs["versions"].keys()
    shapes = {k: v["shape"] for k, v in (specs["inputs"] | specs["outputs"]).items()}
    assert shapes == {
        "agents_view": ["batch", 2, VIEW_SIZE],
        "action_mask": ["batch", 2, NUM_ACTIONS],
        "logits": ["batch", 2, NUM_ACTIONS],
        "action": ["batch", 2],
    }


def test_the_specs_say_who_shares_a_policy(trained):
    _, experiment, state = trained
    learner = state.learner._replace(labels=jnp.zeros((2, 2, 2), jnp.int32).at[1, 1].set(1))
    run = Team(Path(), experiment, learner, np.full((2, 2), 3))
    for seed, policy in ((0, 0), (1, 1)):
        agents = describe_team(run, 1, seed)["agents"]
        assert [agent["policy"] for agent in agents] == [policy, policy]


def test_the_specs_tell_the_evaluation_of_just_this_team(trained, policy, tmp_path):
    evaluation = json.loads((trained[0] / "evaluation.json").read_text())
    scores = read_specs(policy)["evaluation"]
    assert scores["episodes"] == 4 and scores["policy"] == "greedy"
    for name, each in evaluation["metrics"].items():
        assert scores[name] == each["per_seed"][1]
    for other in (["--point", "0"], ["--checkpoint", "best"]):
        export.main([str(trained[0]), "--out", str(tmp_path / "other.zip"), *other])
        assert read_specs(tmp_path / "other.zip")["evaluation"] is None


def test_point_seed_and_checkpoint_choose_the_parameters(trained, policy, tmp_path):
    directory, _, state = trained
    with zipfile.ZipFile(policy) as archive:
        default = load(archive.read("params.safetensors"))
    out = tmp_path / "other.zip"
    export.main([str(directory), "--out", str(out), "--point", "0", "--seed", "3"])
    with zipfile.ZipFile(out) as archive:
        other = load(archive.read("params.safetensors"))
    for name, value in actor_parameters(state.learner).items():
        np.testing.assert_array_equal(default[name], value[1, 1])
        np.testing.assert_array_equal(other[name], value[0, 0])
    export.main([str(directory), "--out", str(out), "--checkpoint", "best"])
    assert read_specs(out)["update"] == 2
    with zipfile.ZipFile(out) as archive:
        best = load(archive.read("params.safetensors"))
    assert all((best[name] != default[name]).any() for name in default)


def test_the_same_team_makes_the_same_file(trained, policy, tmp_path):
    export.main([str(trained[0]), "--out", str(tmp_path / "again.zip")])
    assert without_commit(tmp_path / "again.zip") == without_commit(policy)
    script = "import sys; from experiments.export import main; main(sys.argv[1:])"
    argv = [str(trained[0]), "--out", str(tmp_path / "other.zip")]
    subprocess.run([sys.executable, "-c", script, *argv], cwd=ROOT, timeout=120, check=True)
    assert without_commit(tmp_path / "other.zip") == without_commit(policy)


def without_commit(path: Path) -> list[tuple]:
    """Returns all of the file but the commit, which moves on while developers test."""
    with zipfile.ZipFile(path) as archive:
        return [
            (
                info.filename,
                info.date_time,
                info.external_attr,
                re.sub(rb'"git_commit": .*', b"", archive.read(info)),
            )
            for info in archive.infolist()
        ]


def test_the_file_tells_no_paths_of_the_machine_that_made_it(policy):
    with zipfile.ZipFile(policy) as archive:
        assert all(info.date_time == (1980, 1, 1, 0, 0, 0) for info in archive.infolist())
        program = jax_export.deserialize(bytearray(archive.read("policy.jax"))).mlir_module()
    assert str(ROOT) not in program and ".py" not in program


def test_the_arrays_are_all_there_is_to_load(policy):
    with zipfile.ZipFile(policy) as archive:
        assert archive.namelist() == ["specs.json", "policy.jax", "params.safetensors"]
        params = load(archive.read("params.safetensors"))
        about = json.loads(archive.read("specs.json"))["parameters"]
    assert about == {k: {"shape": list(v.shape), "dtype": str(v.dtype)} for k, v in params.items()}


def repacked(policy: Path, **members: bytes) -> bytes:
    """Returns the file with members replaced or added; `.` in a name is written `__`."""
    changed = {name.replace("__", "."): content for name, content in members.items()}
    buffer = io.BytesIO()
    with zipfile.ZipFile(policy) as old, zipfile.ZipFile(buffer, "w") as new:
        kept = {name: old.read(name) for name in old.namelist()}
        for name, content in (kept | changed).items():
            new.writestr(name, content)
    return buffer.getvalue()


class Bomb:
    """Runs when it is unpickled."""

    def __reduce__(self):
        return eval, ("open('executed', 'w').close()",)


def test_a_name_that_leaves_the_archive_goes_nowhere(policy, tmp_path):
    folder = tmp_path / "inner"
    folder.mkdir()
    archive = repacked(policy, **{"../escaped": b"x", str(tmp_path / "escaped"): b"x"})
    assert run_snippet(folder, archive).returncode == 0
    assert sorted(path.name for path in folder.iterdir()) == [
        "policy.zip",
        "result.npz",
        "rows.npz",
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["inner"]


@pytest.mark.parametrize("member", ["params__safetensors", "policy__jax", "specs__json"])
def test_a_pickle_is_never_executed(policy, tmp_path, member):
    result = run_snippet(tmp_path, repacked(policy, **{member: pickle.dumps(Bomb())}))
    assert result.returncode != 0
    assert not (tmp_path / "executed").exists()


def test_a_program_that_calls_out_of_xla_is_refused(policy, tmp_path):
    """The function of an export is a program; only calls of native code could do harm."""
    jitted = jax.jit(lambda params, view, mask: jnp.linalg.qr(view)[0])
    row = jax.ShapeDtypeStruct((1, 2, 3), jnp.float32)
    program = jax_export.export(jitted, platforms=["cpu"])(row, row, row)
    result = run_snippet(tmp_path, repacked(policy, policy__jax=bytes(program.serialize())))
    assert result.returncode != 0
    assert "AssertionError" in result.stderr
    assert not (tmp_path / "result.npz").exists()


BAD_INPUT = {
    "not a zip": (["--out", "policy.pkl"], "out: expected a file that ends in .zip"),
    "nowhere": (["--out", "/proc/none/policy.zip"], "out: expected a file in a directory"),
    "no such point": (["--point", "2"], "point: expected a number in [0, 1], got 2"),
    "no such seed": (["--seed", "5"], "seed: expected one of 3, 4, got 5"),
    "no such checkpoint": (["--checkpoint", "7"], "latest"),
}


@pytest.mark.parametrize(("argv", "expected"), BAD_INPUT.values(), ids=BAD_INPUT.keys())
def test_bad_input_is_a_usage_error(trained, argv, expected, capfd):
    assert expected in usage_error([str(trained[0]), *argv], capfd)


def test_a_run_that_lacks_something_is_a_usage_error(trained, tmp_path, capfd):
    run = tmp_path / "run"
    run.mkdir()
    assert "holds no run" in usage_error([str(run)], capfd)
    for name in ("config.json", "checkpoints"):
        (run / name).symlink_to(trained[0] / name)
    assert "choose a point with --point" in usage_error([str(run)], capfd)
    assert "choose a seed with --seed" in usage_error([str(run), "--point", "1"], capfd)
    (run / "summary.json").symlink_to(trained[0] / "summary.json")
    for content in ("{", "[]", '{"point": 1}', '{"point": 1, "updates": [3, 3], "metrics": 5}'):
        (run / "evaluation.json").write_text(content)
        assert "evaluate again" in usage_error([str(run)], capfd)
    assert not (run / "policy.zip").exists()


def usage_error(argv: list[str], capfd) -> str:
    with pytest.raises(SystemExit) as exit_:
        export.main(argv)
    errors = " ".join(capfd.readouterr().err.replace("│", " ").split())
    assert exit_.value.code == 2, errors
    assert "Traceback" not in errors
    return errors
