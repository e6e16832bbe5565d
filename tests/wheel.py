"""Whether a wheel does what the documents say: ``python -m tests.wheel dist/*.whl``.

It is installed into a fresh environment in a folder of somebody else's repository, first alone,
then with the extra that its own message names.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from oatrpo_jax.installation import STARTED_BY
from tests import newcomer

LOCK = Path(__file__).parents[1] / "requirements.lock"
RUN = ("run", *newcomer.MAZE, "--total-steps", "64", "--out", "tiny")
RULED_OUT = ("PYTHONPATH", "VIRTUAL_ENV", STARTED_BY)


class Shell:
    """Commands in a folder outside of the clone, whose environment they use."""

    def __init__(self, folder: Path) -> None:
        kept = {name: value for name, value in os.environ.items() if name not in RULED_OUT}
        self.folder, self.programs = folder, folder / ".venv" / "bin"
        self.environment = {**kept, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": "", "COLUMNS": "300"}

    def elsewhere(self) -> Shell:
        """Returns the same commands in another folder."""
        other = Shell(self.folder / "elsewhere")
        other.folder.mkdir(exist_ok=True)
        other.programs = self.programs
        return other

    def fails(self, program: str, *arguments: str) -> str:
        """Returns what a command says in one line, without a frame; it is to exit with code 2."""
        return " ".join(self(program, *arguments, code=2).replace("│", " ").split())

    def __call__(self, program: str, *arguments: str, code: int = 0) -> str:
        """Returns what a command prints; its exit code is to be `code`."""
        command = [str(self.programs / program), *arguments]
        print("$", program, *(each.splitlines()[0] for each in arguments if each), flush=True)
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, text=True, capture_output=True
        )
        text = done.stdout + done.stderr
        assert done.returncode == code, f"exit code {done.returncode}:\n{text}"
        return text


def check(wheel: Path, folder: Path) -> None:
    """Raises an AssertionError unless all that is promised of a wheel holds, in a new folder."""
    make_repository(folder)
    subprocess.run([sys.executable, "-m", "venv", folder / ".venv"], check=True)
    shell = Shell(folder)
    install(shell, str(wheel))
    check_core(shell)
    (line,) = re.findall(r'pip install "(.+)"', shell.fails("oatrpo", "run"))
    install(shell, line)  # What is installed already is not looked for anywhere.
    check_training(shell)
    install(shell, "oatrpo-jax[wandb]")
    check_wandb(shell)


def make_repository(folder: Path) -> None:
    """Makes a repository of somebody else's there, with one commit."""
    author = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    for arguments in (["init", "--quiet"], ["commit", "--quiet", "--allow-empty", "-m", "theirs"]):
        subprocess.run(["git", *author, *arguments], cwd=folder, check=True)


def install(shell: Shell, what: str) -> None:
    """Installs something, in the versions of the lock file where that is for this Python."""
    here = f"# Python {sys.version_info[0]}.{sys.version_info[1]}"
    is_locked = LOCK.read_text().splitlines()[0] == here
    constraint = ("--constraint", str(LOCK)) if is_locked else ()
    shell("pip", "install", "--quiet", "--disable-pip-version-check", *constraint, what)


def check_core(shell: Shell) -> None:
    """The core alone: a learner in a loop of one's own, and words for the rest."""
    shell("python", "-c", newcomer.UPDATE)
    version = shell("oatrpo", "--version").strip()
    assert (
        version == shell("python", "-c", "import oatrpo_jax as oa; print(oa.__version__)").strip()
    )
    assert "reproduce " in shell("oatrpo", "--help")
    words = shell("python", "-c", MAZE)
    assert "environments: expected the package jumanji, which is not installed" in words, words
    assert 'pip install "oatrpo-jax[train]"' in words


MAZE = """
import envs
try:
    envs.make("maze")
except ImportError as error:
    print(error)
"""


def check_training(shell: Shell) -> None:
    """The installed command: it knows of no commit, and newcomers do with it what they want."""
    shell("oatrpo", *RUN)
    config = json.loads((shell.folder / "tiny" / "config.json").read_text())
    assert config["git_commit"] is None
    for number, task in enumerate(newcomer.TASKS, 1):
        print(f"task {number} of {len(newcomer.TASKS)}: {task.__doc__}", flush=True)
        task(shell)


def check_wandb(shell: Shell) -> None:
    """Weights & Biases, without a network: a run per grid point in the run's folder."""
    shell.environment["WANDB_MODE"] = "offline"
    shell("oatrpo", *RUN[:-1], "logged", "--reuse-sigma", "0.1", "1", "--log", "wandb")
    logged = shell.folder / "logged"
    assert len(list(logged.glob("wandb/offline-run-*/run-*.wandb"))) == 2
    assert not (logged / "tensorboard").exists()


def main(argv: Sequence[str]) -> None:
    """Checks one wheel in a folder that is removed afterwards."""
    (wheel,) = argv
    with tempfile.TemporaryDirectory(prefix="oatrpo-") as folder:
        check(Path(wheel).resolve(), Path(folder))
    print(f"{wheel}: installs alone and with its extra, and does what the documents say")


if __name__ == "__main__":
    main(sys.argv[1:])
