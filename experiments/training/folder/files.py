"""Files that are either old or new, never in between."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def read_json(path: Path) -> Any:
    """Returns what a JSON file holds; OSError or ValueError if it does not."""
    return json.loads(path.read_text())


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Writes a dictionary for people and programs; a process that dies leaves the file before."""
    replace_bytes(path, (json.dumps(content, indent=2, allow_nan=False) + "\n").encode())


def replace_bytes(path: Path, content: bytes) -> None:
    """Writes a file beside the old one, and puts it in its place once it is on the disk."""
    unfinished = path.with_name(f".{path.name}.new")
    try:
        with unfinished.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
