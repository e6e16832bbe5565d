"""What others install: `make dist` builds it, checks it, and uses it outside of the clone."""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from email.parser import Parser
from pathlib import Path
from typing import NamedTuple

import pytest

from oatrpo_jax import __version__
from tests import newcomer

ROOT = Path(__file__).parents[1]
PACKAGES = ("oatrpo_jax", "envs", "experiments")
FOR_DEVELOPERS = ("envs/football/validation/", "envs/grf/speed/")
"""What a clone and the sources have, and the wheel has not."""
LEFT_OUT = shutil.ignore_patterns(
    *(line.strip("/") for line in (ROOT / ".gitignore").read_text().split()), ".git"
)

pytestmark = pytest.mark.slow


class Built(NamedTuple):
    """The archives, the files in them, and what make printed."""

    wheel: set[str]
    metadata: str
    entry_points: str
    source: set[str]
    printed: str


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """What `make dist` leaves in a copy of this clone, in the environment that tests run in."""
    clone = tmp_path_factory.mktemp("dist") / "clone"
    shutil.copytree(ROOT, clone, ignore=LEFT_OUT)
    command = ["make", "dist", "JAX=", f"VENV={sys.prefix}", "-o", f"{sys.prefix}/.ready"]
    kept = {name: value for name, value in os.environ.items() if name != "MAKEFLAGS"}
    done = subprocess.run(command, cwd=clone, env=kept, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,), (source,) = clone.glob("dist/*.whl"), clone.glob("dist/*.tar.gz")
    about = f"oatrpo_jax-{__version__}.dist-info"
    with zipfile.ZipFile(wheel) as archive, tarfile.open(source) as tar:
        texts = (
            archive.read(f"{about}/{name}").decode() for name in ("METADATA", "entry_points.txt")
        )
        names = {name.partition("/")[2] for name in tar.getnames()}
        return Built({*archive.namelist()}, *texts, names, done.stdout)


def test_it_installs_and_trains_outside_of_the_clone(built: Built):
    assert built.printed.count("PASSED") == 2  # What twine says of each archive.
    assert all(task.__doc__ in built.printed for task in newcomer.TASKS)
    assert "installs alone and with its extra" in built.printed


def test_the_wheel_holds_the_packages_with_their_data_and_nothing_else(built: Built):
    modules = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
    }
    modules = {name for name in modules if not name.startswith(FOR_DEVELOPERS)}
    pages = {path.relative_to(ROOT).as_posix() for path in (ROOT / "experiments").rglob("*.jinja")}
    assert len(pages) == 4
    typed = {"oatrpo_jax/py.typed", "envs/py.typed"}
    about = f"oatrpo_jax-{__version__}.dist-info"
    others = {name for name in built.wheel if not name.startswith(about)}
    assert others == modules | pages | typed
    assert f"{about}/licenses/LICENSE" in built.wheel


def test_its_metadata_say_what_it_is_under_which_licence_and_for_whom(built: Built):
    metadata = Parser().parsestr(built.metadata)
    assert metadata["Version"] == __version__
    assert metadata["License-Expression"] == "Apache-2.0" and metadata["License-File"] == "LICENSE"
    assert metadata["Requires-Python"] == ">=3.11"
    assert "Typing :: Typed" in (metadata.get_all("Classifier") or ())
    assert metadata["Project-URL"] == "Paper, https://doi.org/10.24963/ijcai.2024/420"
    extras = {"all", "brax", "dev", "docs", "grf", "jaxmarl", "smax", "submit", "train", "wandb"}
    assert {*(metadata.get_all("Provides-Extra") or ())} == extras
    assert "oatrpo = oatrpo_jax.__main__:main" in built.entry_points


def test_the_sources_hold_what_it_takes_to_test_them(built: Built):
    names = (
        "LICENSE",
        "CITATION.cff",
        "Makefile",
        "requirements.lock",
        "CHANGELOG.md",
        ".gitignore",
    )
    names = (*names, "tests/golden/maze.json", "docs/metrics.md")
    for_developers = (f"{folder}__main__.py" for folder in FOR_DEVELOPERS)
    assert {*names, *for_developers, "envs/football/validation/reference.npz"} <= built.source
    assert not [name for name in built.source if name.endswith((".pyc", ".venv"))]
