"""What may go wrong with a run's files, brought about on purpose."""

import contextlib
import resource
import signal
from collections.abc import Iterator
from pathlib import Path


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
