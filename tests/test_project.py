"""What the files around the code say of each other: lock, Makefile, licence, templates."""

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from oatrpo_jax import __version__

ROOT = Path(__file__).parents[1]
LOCK = dict(line.split("==") for line in (ROOT / "requirements.lock").read_text().split("\n")[1:-1])
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Says what make would do in a clone that has nothing but what a test has put there."""
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    command = ["make", "--dry-run", "--no-print-directory", "PYTHON=python3", *arguments]
    kept = {name: value for name, value in os.environ.items() if name not in ("JAX", "MAKEFLAGS")}
    return subprocess.run(command, cwd=folder, env=kept, capture_output=True, text=True)


def test_without_a_device_jax_is_what_the_lock_says(tmp_path):
    done = make(tmp_path, "maze", "JAX=")
    assert done.returncode == 0 and "jax[" not in done.stdout, done.stderr
    assert "touch .venv/.ready\n" in done.stdout


@pytest.mark.parametrize("device", ["cpu", "cuda12", "cuda13", "tpu"])
def test_jax_for_a_device_comes_in_the_version_of_the_lock(device, tmp_path):
    done = make(tmp_path, "maze", f"JAX={device}")
    assert f'--requirement requirements.lock "jax[{device}]=={LOCK["jax"]}" &&' in done.stdout
    assert f"touch .venv/.ready-{device}\n" in done.stdout and "--clear" not in done.stdout


@pytest.mark.parametrize("device", ["foo", "cuda", "cuda12 tpu"])
def test_another_device_is_refused_with_the_list(device, tmp_path):
    done = make(tmp_path, "maze", f"JAX={device}")
    assert done.returncode == 2
    expected = f"JAX: expected one of cpu cuda12 cuda13 tpu, got {device}; choose one"
    assert expected in done.stderr


def test_an_environment_keeps_its_device_and_is_made_anew_for_another_one(tmp_path):
    (tmp_path / ".venv").mkdir()
    stamp = tmp_path / ".venv" / ".ready-cuda12"
    stamp.touch()
    os.utime(stamp, (2**33, 2**33))  # Newer than the files that a test copies.
    done = make(tmp_path, "maze")
    assert done.stdout == ".venv/bin/python experiments/run.py --env maze\n"
    done = make(tmp_path, "maze", "JAX=cuda13")
    assert "-m venv --clear .venv" in done.stdout and "jax[cuda13]" in done.stdout
    assert "-m venv --clear .venv" in make(tmp_path, "maze", "JAX=").stdout


def test_the_line_for_a_device_has_the_version_of_the_lock():
    assert f'`"jax[cuda12]=={LOCK["jax"]}"`' in (ROOT / "docs" / "start.md").read_text()


def test_the_lock_holds_every_requirement_in_a_version_that_is_allowed():
    names = {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in LOCK.items()}
    extras = PROJECT["optional-dependencies"]
    unlocked = ("grf", "wandb")  # Nothing that `make test` runs needs them.
    lines = [
        *PROJECT["dependencies"],
        *(one for name in extras if name not in unlocked for one in extras[name]),
    ]
    for one in map(Requirement, lines):
        if one.name != PROJECT["name"]:
            version = names[re.sub(r"[-_.]+", "-", one.name).lower()]
            assert one.specifier.contains(version, prereleases=True), one


def test_a_commit_is_looked_at_by_the_ruff_of_the_lock():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    found = {one for hook in hooks for one in hook["additional_dependencies"]}
    assert found == {f"ruff=={LOCK['ruff']}"}


def test_licence_and_citation_are_of_this_version():
    text = (ROOT / "LICENSE").read_text()
    assert "Apache License" in text and "The oatrpo_jax authors" in text
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert (citation["version"], citation["license"]) == (__version__, PROJECT["license"])
    assert citation["preferred-citation"]["doi"] in PROJECT["urls"]["Paper"]


FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_an_issue_form_is_one(path):
    form = yaml.safe_load(path.read_text())
    assert form.keys() >= {"name", "description", "body"}
    for field in form["body"]:
        assert field["type"] in ("input", "textarea") and field["attributes"]["label"]
    assert len({field["id"] for field in form["body"]}) == len(form["body"])


def test_there_are_forms_for_bugs_features_algorithms_and_environments():
    assert [path.stem for path in FORMS] == ["algorithm", "bug", "environment", "feature"]
