"""How jaxmarl is imported: its version is checked, and what the import prints is not passed on."""

from __future__ import annotations

import contextlib
import importlib.metadata
import io
import re
import sys
from collections.abc import Iterator

from oatrpo_jax.installation import NotInstalled, install_line, missing


def require_jaxmarl(who: str) -> None:
    """Raises a `NotInstalled` that says what to install unless jaxmarl >= 0.2 is here.

    Version 0.2 renamed fields of the state and changed the dynamics, so older ones are refused.

    Args:
        who: needs it, such as ``"the SMAX environments"``; begins the message.
    """
    try:
        version = importlib.metadata.version("jaxmarl")
    except importlib.metadata.PackageNotFoundError:
        raise missing("jaxmarl", "jaxmarl", who) from None
    if tuple(int(part) for part in re.findall(r"\d+", version)[:2]) < (0, 2):
        raise NotInstalled(
            f"{who}: expected jaxmarl >= 0.2, got {version}; {install_line('jaxmarl')}"
        )


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
