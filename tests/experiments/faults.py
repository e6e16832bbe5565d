"""What may go wrong with a run's files, brought about on purpose."""

import contextlib
import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from experiments.training.chunks import Chunk, Device


def damage(path: Path) -> None:
    for file in path.rglob("d/*"):
        content = file.read_bytes()
        file.write_bytes(content[: len(content) // 2])


@contextlib.contextmanager
def full_disk(size: int) -> Iterator[None]:
    """Lets no file grow beyond ``size`` bytes: a write then fails as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


@contextlib.contextmanager
def lost_numbers(update: int, point: int | slice, seed: int | slice) -> Iterator[None]:
    """Lets the loss of the critic be no number in an update, as far as the host can see."""
    wait = Device.wait

    def spoilt(device: Device) -> Chunk | None:
        if (chunk := wait(device)) is None:
            return None
        loss = chunk.metrics["critic/loss"].copy()
        loss[[one == update for one in chunk.updates], point, seed] = np.nan
        return chunk._replace(metrics=chunk.metrics | {"critic/loss": loss})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Device, "wait", spoilt)
        yield
