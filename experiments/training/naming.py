"""How a program is called: by the installed command, or as a script of a clone."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).parents[2]
"""The folder that holds the packages: a clone, or where a wheel was installed."""

STARTED_BY = "OATRPO_COMMAND"
"""Environment variable that ``oatrpo_jax.__main__`` sets, for the processes it starts as well."""


def command(program: str) -> str:
    """Returns what starts a program the way that this one was started.

    >>> command("run")
    'python experiments/run.py'

    Args:
        program: name of a script.
    """
    is_clone = (ROOT / "pyproject.toml").exists()
    if started_by := os.environ.get(STARTED_BY, "" if is_clone else "oatrpo"):
        return f"{started_by} {program}"
    return f"python experiments/{program}.py"
