"""What the docs show of exports, run as somebody does who has the file but not this library."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

DOCS = Path(__file__).parents[2] / "docs" / "evaluation.md"
READING, DRAWING, PLAYING = re.findall(r"```py\n(.*?)```", DOCS.read_text(), flags=re.DOTALL)
"""An export read and called; instead of that call continuous actions, and a team with memory."""
LOADING = READING.rpartition("logits, action =")[0]
"""The lines up to the call."""
STEPPING = f"""
views, masks, ends, actions = rows["views"], rows["masks"], rows["ends"], []
agents_view, action_mask, num_steps = views[0], masks[0], len(ends)


def step(action):
    actions.append(np.asarray(action))
    number = len(actions)
    return views[number], masks[number], ends[number - 1]

{LOADING}
"""
"""What the lines on a team with memory need before them: environments that show views given."""

_BEFORE = """
import sys
import numpy as np
rows = np.load("rows.npz")
"""
_AFTER = """
assert "oatrpo_jax" not in sys.modules and "flax" not in sys.modules
"""


def run_without_library(
    folder: Path, archive: bytes, lines: str, **rows: Any
) -> subprocess.CompletedProcess:
    """Runs lines beside a policy.zip, in a process that cannot import us.

    Args:
        folder: where to.
        archive: the zip.
        lines: Python that finds ``np``, and the arrays in ``rows``.
        rows: arrays.
    """
    (folder / "policy.zip").write_bytes(archive)
    np.savez(folder / "rows.npz", **rows)
    return subprocess.run(
        [sys.executable, "-P", "-c", _BEFORE + lines + _AFTER],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
