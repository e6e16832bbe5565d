"""Keeps to themselves what libraries print about errors that are reported here in plain words."""

from __future__ import annotations

import functools
import logging
import sys
from typing import Any


@functools.cache
def silence_orbax() -> None:
    """Hides the tracebacks that orbax logs, and those of its threads, when it cannot read or write.

    The error itself is raised, and reported by whoever called.
    """
    for name in ("absl", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    show = sys.unraisablehook

    def hide(unraisable: Any) -> None:
        # The rest of a restore that failed comes back to a loop that is no more.
        if "Event loop is closed" not in str(unraisable.exc_value):
            show(unraisable)

    sys.unraisablehook = hide
