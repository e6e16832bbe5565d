"""What is said where a package is missing, or where another one hides ours."""

import os
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from envs.jaxmarl_import import require_jaxmarl
from oatrpo_jax import installation
from oatrpo_jax.installation import ROOT, TRAIN, NotInstalled, check_ours, install_line, missing

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LINE = install_line("train")

CORE_ALONE = """
import sys
from importlib.machinery import PathFinder

HERE = {{"oatrpo_jax", "envs", "experiments", *{needed}, *sys.stdlib_module_names}}
find = PathFinder.find_spec


def find_what_the_core_needs(name, path=None, target=None):
    root = name.partition(".")[0]
    return find(name, path, target) if root in HERE or root[0] == "_" else None


PathFinder.find_spec = find_what_the_core_needs
"""

USE = """
from typing import NamedTuple
import jax, jax.numpy as jnp
import oatrpo_jax as oa
from oatrpo_jax import __main__ as door

class Step(NamedTuple):
    reward: jax.Array
    discount: jax.Array
    observation: oa.Observation
    extras: dict
    ended: jax.Array

    def last(self):
        return self.ended

class Agree:
    num_agents, num_actions, agent_types = 2, 2, ("a", "b")
    seen = oa.Observation(jnp.ones((2, 1)), jnp.ones((2, 2), bool), jnp.ones(1), jnp.ones(2, bool))

    def reset(self, key):
        zero = jnp.float32(0)
        return key, Step(zero, zero + 1, self.seen, {"success": zero}, jnp.bool_(False))

    def step(self, state, action):
        agree = (action[0] == action[1]).astype(jnp.float32)
        return state, Step(agree, 0 * agree, self.seen, {"success": agree}, jnp.bool_(True))

train = oa.make_train(Agree(), "oatrpo", oa.Config(num_envs=8, rollout_length=4, num_updates=2))
state, metrics = jax.eval_shape(train, jax.random.key(0), oa.Hyperparams.create())
assert metrics["critic/loss"].shape == (2,)
oa.export_actors
import oatrpo_jax.checkpoint

import envs
for use in (lambda: envs.make("maze"), envs.registered_names):
    try:
        use()
    except ImportError as error:
        print(error)
try:
    import experiments.run
except ImportError as error:
    print(error)
print(door.main(["run"]))
"""


def in_process(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, *arguments], cwd=cwd, env=environment, capture_output=True, text=True
    )


def needed_by_the_core() -> set[str]:
    """Returns the names under which the core's dependencies, and theirs, are imported."""
    found: set[str] = set()
    waiting = [Requirement(each) for each in PROJECT["dependencies"]]
    while waiting:
        one = waiting.pop()
        name = re.sub(r"[-_.]+", "-", one.name).lower()
        extras = one.extras or {""}
        if name in found:
            continue
        found.add(name)
        for each in map(Requirement, metadata.requires(name) or ()):
            if each.marker is None or any(each.marker.evaluate({"extra": x}) for x in extras):
                waiting.append(each)
    packages = metadata.packages_distributions().items()
    return {
        package
        for package, owners in packages
        if found & {re.sub(r"[-_.]+", "-", owner).lower() for owner in owners}
    }


def test_the_core_trains_where_nothing_else_is_and_the_rest_names_what_to_install(tmp_path):
    needed = needed_by_the_core()
    assert {"jax", "orbax", "safetensors", "flatbuffers"} <= needed
    assert not needed & {"jumanji", "tyro", "matplotlib", "jaxmarl", "tensorboardX"}
    done = in_process("-c", CORE_ALONE.format(needed=needed) + USE, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    environments = f"environments: expected the package jumanji, which is not installed; {LINE}"
    programs = f"experiments: expected the package PIL, which is not installed; {LINE}"
    assert lines == [environments, environments, programs, "2"]
    assert done.stderr.strip() == programs


def test_whatever_is_missing_the_words_are_the_same(monkeypatch):
    words = "they: expected the package jaxmarl, which is not installed; " + install_line("jaxmarl")
    assert str(missing("jaxmarl", "jaxmarl", "they")) == words
    real = metadata.version

    def version(name):
        if name == "jaxmarl":
            raise metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(metadata, "version", version)
    with pytest.raises(NotInstalled) as error:
        require_jaxmarl("they")
    assert str(error.value) == words


@pytest.mark.parametrize(("is_installed", "expected"), [(True, "oatrpo-jax"), (False, str(ROOT))])
def test_the_line_names_what_pip_can_find(is_installed, expected, monkeypatch):
    def version(name):
        if not is_installed:
            raise metadata.PackageNotFoundError(name)
        return "0.1.0"

    monkeypatch.setattr(metadata, "version", version)
    assert install_line("train") == f'pip install "{expected}[train]"'


def test_the_extra_for_training_is_what_the_programs_ask_for():
    owners = metadata.packages_distributions()
    names = {Requirement(each).name for each in PROJECT["optional-dependencies"]["train"]}
    assert {owners[package][0].lower() for package in TRAIN} == {name.lower() for name in names}


def test_every_extra_but_the_engine_is_in_all():
    extras = PROJECT["optional-dependencies"]
    (everything,) = (Requirement(each).extras for each in extras["all"])
    assert everything == {*extras} - {"all", "smax", "grf", "dev", "docs"}


HIDING = {
    "a package": ("envs", "envs/__init__.py"),
    "a module": ("envs", "envs.py"),
    "another one's programs": ("experiments", "experiments/__init__.py"),
}


@pytest.mark.parametrize(("name", "file"), HIDING.values(), ids=HIDING)
def test_another_package_of_that_name_is_an_error_in_words(name, file, tmp_path):
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).touch()
    found = tmp_path / Path(file).parts[0]
    words = f"{name}: expected our package in {ROOT / name}, but Python finds {found} first; rename"
    done = in_process("-m", "oatrpo_jax", "run", "--help", cwd=tmp_path)
    assert done.returncode == 2 and done.stderr.startswith(words)
    if name == "envs":
        done = in_process("-c", "import experiments.training.errors", cwd=tmp_path)
        assert done.returncode == 1 and f"NotInstalled: {words}" in done.stderr


def test_a_folder_that_only_may_be_a_package_hides_an_editable_one(monkeypatch, tmp_path):
    def find(name):
        spec = ModuleSpec(name, None, is_package=True)
        spec.submodule_search_locations = [str(tmp_path / name)]
        return spec

    monkeypatch.setattr(installation, "find_spec", find)
    with pytest.raises(NotInstalled, match=re.escape(f"Python finds {tmp_path / 'envs'} first")):
        check_ours("envs")


def test_packages_that_lie_elsewhere_as_a_whole_are_ours(monkeypatch, tmp_path):
    (tmp_path / "link").symlink_to(ROOT, target_is_directory=True)
    monkeypatch.setattr(installation, "ROOT", tmp_path / "link")
    check_ours("envs")
    monkeypatch.setattr(installation, "find_spec", lambda name: None)
    with pytest.raises(NotInstalled, match="found none; install oatrpo-jax anew"):
        check_ours("envs")


@pytest.mark.parametrize("script", ["run", "evaluate"])
def test_a_script_without_a_package_that_it_needs_says_what_to_install(script, tmp_path):
    hide = "import importlib.util as i\nfind = i.find_spec\n"
    hide += "i.find_spec = lambda name, *more: None if name == 'tyro' else find(name, *more)\n"
    (tmp_path / "sitecustomize.py").write_text(hide)
    done = subprocess.run(
        [sys.executable, str(ROOT / "experiments" / f"{script}.py"), "--help"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("experiments: expected the package tyro, which is not installed")
    assert done.stderr.count("\n") == 1
