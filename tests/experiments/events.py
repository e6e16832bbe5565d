"""What TensorBoard reads of a run."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tensorboardX.proto import event_pb2

PROTO: Any = event_pb2


def read_events(folder: Path) -> Iterator[Any]:
    """Yields the events of a board's files, oldest file first."""
    for path in sorted(folder.glob("events*"), key=lambda p: p.stat().st_mtime_ns):
        content, position = path.read_bytes(), 0
        while position < len(content):
            # Length and its checksum, 12 bytes; the event; its checksum, 4 bytes.
            (length,) = struct.unpack_from("<Q", content, position)
            yield PROTO.Event.FromString(content[position + 12 : position + 12 + length])
            position += 12 + length + 4


def read_scalars(folder: Path) -> dict[tuple[str, int], float]:
    """Returns what TensorBoard shows, by name and step: older events give way to a file's start."""
    shown: dict[tuple[str, int], float] = {}
    for event in read_events(folder):
        if event.HasField("session_log"):
            shown = {key: value for key, value in shown.items() if key[1] < event.step}
        for value in event.summary.value:
            assert (value.tag, event.step) not in shown
            shown[value.tag, event.step] = value.simple_value
    return shown
