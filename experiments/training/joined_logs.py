"""A log of a run made of those of its slices: rows as one program would have written them."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, NamedTuple

from experiments.training.errors import UsageError
from experiments.training.folder.metrics import INDEX_COLUMNS, Rows, compare_columns, read_head
from experiments.training.trained_slices import Slices, TrainedSlice


def logs_of(slices: Slices) -> dict[str, Rows]:
    """Returns the names of the logs of a whole run, and what its rows are of."""
    whole = slices.whole
    rows = Rows(len(whole.points), whole.seeds, whole.config.steps_per_update)
    logs = {"metrics.csv": rows, "matrices.csv": rows._replace(every=whole.matrix_every)}
    if every := whole.options.run.eval_every:
        ends = tuple(slices.sound_part.training["evaluated_ends"])
        logs["evaluation.csv"] = rows._replace(first=every, every=every, others=ends)
    return logs


class _Source(NamedTuple):
    """A slice's log.

    Attributes:
        part: the slice.
        file: open.
        first_point: the number of the slice's first point in the whole.
        num_updates: of how many updates it has to hold the rows.
    """

    part: TrainedSlice
    file: IO[bytes]
    first_point: int
    num_updates: int


def join_log(slices: Slices, name: str, rows: Rows, out: Path) -> None:
    """Writes a log of the whole, an update at a time: of each the rows of one slice after another.

    Args:
        rows: what those of the whole are of.

    Raises:
        UsageError: if a slice's log does not hold its rows as they were written.
    """
    with ExitStack() as stack, (out / name).open("wb") as file:
        sources = [
            _Source(part, stack.enter_context(_open(part, name)), first, _num_updates(part, name))
            for part, first in zip(slices.parts, slices.first_points, strict=True)
        ]
        try:
            head = _common_head(sources)
            file.write(head)
            for update in rows.updates(slices.whole.config.num_updates):
                for source in sources:
                    file.writelines(_rows_of(source, rows.steps, update, head.count(b",")))
        except ValueError as error:
            raise UsageError(f"slices: {name}: {error}; put it back as training left it") from error
        file.flush()
        os.fsync(file.fileno())


def _num_updates(part: TrainedSlice, name: str) -> int:
    """Returns of how many updates a log has the rows: what is lost is logged, but not evaluated."""
    return part.training["num_updates"] - (part.is_lost and name == "evaluation.csv")


def _open(part: TrainedSlice, name: str) -> IO[bytes]:
    """Returns a slice's log; one that stopped early may have none."""
    path = part.directory / name
    return io.BytesIO() if part.is_lost and not path.exists() else path.open("rb")


def _common_head(sources: list[_Source]) -> bytes:
    """Returns the first line of all logs; a ValueError says that one has another."""
    heads = [source.file.readline() for source in sources]
    head = next(
        head for head, source in zip(heads, sources, strict=True) if not source.part.is_lost
    )
    for one, source in zip(heads, sources, strict=True):
        if one or not source.part.is_lost:
            try:
                compare_columns(read_head(head), read_head(one))
            except ValueError as error:
                raise ValueError(f"{source.part}: {error}") from error
    return head


def _rows_of(source: _Source, steps: int, update: int, num_commas: int) -> Iterator[bytes]:
    """Yields the rows of an update, their points numbered as in the whole.

    Those that a slice has no more, as all its points diverged, have empty cells.
    """
    part, num_points = source.part, source.part.lanes[0]
    for index in Rows(num_points, part.config["seeds"], steps).index([update]):
        line, known = source.file.readline(), f"{','.join(index)},".encode()
        if not line and update > source.num_updates:
            line = known + b"," * (num_commas - len(INDEX_COLUMNS)) + b"\n"
        is_whole = line.count(b",") == num_commas and line.endswith(b"\n")
        if not (line.startswith(known) and is_whole):
            raise ValueError(f"{part} does not hold the rows of update {update}")
        point, _, others = line.partition(b",")
        yield b"%d,%s" % (source.first_point + int(point), others)
