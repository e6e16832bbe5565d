"""A TensorBoard event file written at once, so that a full disk is an error where it happens."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto import event_pb2
from tensorboardX.summary import scalar

_PROTO: Any = event_pb2


class Board:
    """Scalars of one run.

    tensorboardX's own `SummaryWriter` hands them to a thread, and waits for ever once that thread
    has met an error.
    """

    def __init__(self, folder: Path, first_step: int) -> None:
        """Opens a new file in which events from ``first_step`` on replace those of older files."""
        folder.mkdir(parents=True, exist_ok=True)
        self._writer = EventsWriter(str(folder / "events"), f".{first_step}")
        start = _PROTO.SessionLog(status=_PROTO.SessionLog.START)
        self._write(_PROTO.Event(step=first_step, session_log=start))

    def add_scalar(self, name: str, value: float, step: int) -> None:
        """Appends a value."""
        self._write(_PROTO.Event(step=step, summary=scalar(name, value)))

    def flush(self) -> None:
        """Hands to the system what was appended."""
        self._writer.flush()

    def close(self) -> None:
        """Flushes and closes the file."""
        self._writer.close()

    def _write(self, event: Any) -> None:
        event.wall_time = time.time()
        self._writer.write_event(event)
