"""TensorBoard event files, written at once, so that a full disk is an error where it happens."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto import event_pb2

from experiments.training.folder.metrics import mean_over_seeds

_PROTO: Any = event_pb2


class Boards:
    """Scalars of a run, a board per grid point, means over seeds.

    tensorboardX's own `SummaryWriter` hands them to a thread, and waits for ever once that thread
    has met an error.
    """

    def __init__(self, directory: Path, labels: Sequence[str], steps: int, first: int) -> None:
        """Says what is written and where; entering the context opens the files.

        Args:
            first: number of the first update to come; its events replace those of older files.
        """
        root = directory / "tensorboard"
        # A number tells points apart whose names are cut off, as no file's name may be endless.
        names = [f"{point}, {label}"[:100] for point, label in enumerate(labels)]
        self._folders = [root] if len(labels) == 1 else [root / name for name in names]
        self._steps, self._first = steps, first
        self._writers: list[EventsWriter] = []

    def __enter__(self) -> Boards:
        self._writers = [_open(folder, self._first * self._steps) for folder in self._folders]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for writer in self._writers:
            writer.close()

    def write(self, metrics: Mapping[str, np.ndarray], updates: Sequence[int]) -> None:
        """Appends the scalars among metrics ``[U, P, K, ...]`` of so many updates, and flushes.

        An update is one event of a board, with a value per metric, as each event costs time.
        """
        names, means = mean_over_seeds(metrics)
        for update, of_boards in zip(updates, means, strict=True):
            for writer, of_names in zip(self._writers, of_boards, strict=True):
                event = _PROTO.Event(step=update * self._steps)
                for name, mean in zip(names, of_names, strict=True):
                    if mean is not None:
                        event.summary.value.add(tag=name, simple_value=mean)
                _write(writer, event)
        for writer in self._writers:
            writer.flush()


def _open(folder: Path, first_step: int) -> EventsWriter:
    """Returns a new file in which events from ``first_step`` on replace those of older files."""
    folder.mkdir(parents=True, exist_ok=True)
    writer = EventsWriter(str(folder / "events"), f".{first_step}")
    start = _PROTO.SessionLog(status=_PROTO.SessionLog.START)
    _write(writer, _PROTO.Event(step=first_step, session_log=start))
    return writer


def _write(writer: EventsWriter, event: Any) -> None:
    event.wall_time = time.time()
    writer.write_event(event)
