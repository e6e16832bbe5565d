"""What is said where a package is missing, or another one hides ours."""

import re
import subprocess
import sys
from importlib import metadata
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

import envs
import oatrpo_jax.installation as installation
from oatrpo_jax.__main__ import PROGRAMS, main
from oatrpo_jax.installation import (
    DISTRIBUTION,
    ROOT,
    TRAIN,
    NotInstalled,
    check_ours,
    install_line,
    missing,
)
from tests.test_architecture import CORE_PACKAGES

CORE_ALONE = f"""
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {(*TRAIN, "jaxmarl", "wandb", "gfootball_engine")}:
            raise ModuleNotFoundError(name, name=name.partition(".")[0])

sys.meta_path.insert(0, Blocked())
"""


def in_process(program: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs a program in an environment that has nothing but what the core needs."""


def test_there():
    pass
