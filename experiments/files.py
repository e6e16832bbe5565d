"""Small files read and written whole: there is the old one or the new one, never half of one."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def read_json(path: Path) -> Any:
    """Returns what a JSON file holds; OSError or ValueError if it does not."""
    return json.loads(path.read_text())


def replace_json(path: Path, content: Mapping[str, Any]) -> None:
    """Writes a dictionary for people and programs."""
    replace_bytes(path, (json.dumps(content, indent=2, allow_nan=False) + "\n").encode())


def replace_bytes(path: Path, content: bytes) -> None:
    """Writes a file beside the old one, and puts it in its place once it is on the disk."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with beside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
