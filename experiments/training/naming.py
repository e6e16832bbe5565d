"""How a program is called: by the installed command, or as a script of a clone."""

from __future__ import annotations

import os

from oatrpo_jax.installation import ROOT, STARTED_BY


def command(program: str) -> str:
    """Returns what starts a program the way that this one was started.

    >>> command("run")
    'python experiments/run.py'
    """
    is_clone = (ROOT / "pyproject.toml").exists()
    if started_by := os.environ.get(STARTED_BY, "" if is_clone else "oatrpo"):
        return f"{started_by} {program}"
    return f"python experiments/{program}.py"
