"""The recipes, each run as it stands but for its sizes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from experiments.training.settings.options import Options
from tests.newcomer import AGREE
from tests.pages import PAGES, ROOT

TEXT = PAGES["recipes.md"]
FIRST = "Train HAPPO"
"""The recipe whose run is read by those that train nothing."""

OF_PROGRAMS = {
    "sweep": {"--search", "--points"},
    "evaluate": {"--episodes", "--replay"},
}
"""Options that `run` has not, by program."""

OATRPO = f"""#!{sys.executable}
import sys
from oatrpo_jax.__main__ import main
from tests.small import as_small

sys.exit(main(as_small(sys.argv[1:])))
"""
SBATCH = """#!/bin/bash -e
for number in 0 1 2 3; do SLURM_ARRAY_TASK_ID=$number bash -e "$1"; done
"""
"""Starts the jobs of an array of four one after another."""


class Recipe(NamedTuple):
    """What a section of the page shows.

    Attributes:
        job: a script for SLURM, "" if there is none.
        shell: commands.
        python: a program.
    """

    job: str
    shell: str
    python: str


def recipes() -> dict[str, Recipe]:
    """The recipes of the page by title."""
    found = {}
    for section in TEXT.split("\n## ")[1:]:
        shells = re.findall(r"```bash\n(.*?)```", section, flags=re.DOTALL)
        programs = re.findall(r"```python\n(.*?)```", section, flags=re.DOTALL)
        jobs = [each for each in shells if each.startswith("#!")]
        shells = [each for each in shells if each not in jobs]
        found[section.partition("\n")[0]] = Recipe(*map("\n".join, (jobs, shells, programs)))
    return found


class Shop:
    """A folder in which recipes are run, with an ``oatrpo`` that keeps them small."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "agree.py").write_text(AGREE)
        commands = folder / "bin"
        commands.mkdir()
        for name, text in {"oatrpo": OATRPO, "sbatch": SBATCH}.items():
            (commands / name).write_text(text)
            (commands / name).chmod(0o755)
        path = f"{commands}{os.pathsep}{os.environ['PATH']}"
        self.environment = {
            **os.environ,
            "PATH": path,
            "PYTHONPATH": str(ROOT),
            "COLUMNS": "200",
            "JAX_NUM_CPU_DEVICES": "2",  # Whatever the machine has.
        }

    def __call__(self, *command: str) -> str:
        """Returns what a command prints; it is to end well."""
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """A folder with the run of the first recipe."""
    shop = Shop(tmp_path_factory.mktemp("recipes"))
    shop("bash", "-ec", recipes()[FIRST].shell)
    return shop


def test_there_are_recipes_and_each_does_something():
    found = recipes()
    assert len(found) >= 18 and next(iter(found)) == FIRST
    assert all(each.shell or each.python for each in found.values())


def test_every_option_of_a_recipe_exists():
    lines = re.findall(r"^oatrpo (\w+) (.+)$", TEXT, flags=re.MULTILINE)
    assert len(lines) >= 20
    for program, line in lines:
        known = {f"--{name.replace('_', '-')}" for name in Options().by_name()}
        known |= OF_PROGRAMS.get(program, set())
        assert {*re.findall(r"--[a-z-]+", line)} <= known, line


@pytest.mark.slow
@pytest.mark.parametrize("title", [title for title in recipes() if title != FIRST])
def test_a_recipe_runs(title: str, shop: Shop):
    recipe = recipes()[title]
    (shop.folder / "job.sh").write_text(recipe.job)
    if recipe.shell:
        shop("bash", "-ec", recipe.shell)
    if recipe.python:
        assert shop(sys.executable, "-c", recipe.python)
    left = re.findall(r"--(?:out|replay) ([\w./-]+)", recipe.shell)
    assert [name for name in left if not (shop.folder / name).exists()] == []
