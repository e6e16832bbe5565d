"""How jaxmarl is imported: its version is checked, and what the import prints is not passed on."""

from __future__ import annotations

import contextlib
import importlib.metadata
import io
import re
import sys
from collections.abc import Iterator

INSTALL = 'Install it with: pip install "jaxmarl>=0.2"'


def require_jaxmarl(who: str) -> None:
    """Raises an ImportError that says what to install unless jaxmarl >= 0.2 is here.

    Version 0.2 renamed fields of the state and changed the dynamics, so older ones are refused.

    Args:
        who: subject of the message, plural, such as ``"the SMAX environments"``.
    """
    try:
        version = importlib.metadata.version("jaxmarl")
    except importlib.metadata.PackageNotFoundError:
        raise ImportError(f"{who} need jaxmarl. {INSTALL}") from None
    if tuple(int(part) for part in re.findall(r"\d+", version)[:2]) < (0, 2):
        raise ImportError(f"{who} need jaxmarl >= 0.2, not {version}. {INSTALL}")


@contextlib.contextmanager
def quiet_stdout() -> Iterator[None]:
    """Drops what is printed inside, and puts the standard streams back afterwards.

    jaxmarl's import ends with ``sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__`` and then
    prints, so that redirecting ``sys.stdout`` alone neither silences it nor survives it.
    """
    names = ("stdout", "__stdout__", "stderr")
    before = {name: getattr(sys, name) for name in names}
    sink = io.StringIO()
    try:
        sys.stdout = sink
        setattr(sys, "__stdout__", sink)  # noqa: B010  declared Final
        yield
    finally:
        for name in names:
            setattr(sys, name, before[name])
