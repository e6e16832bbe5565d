"""Mistakes in what the user asked for, and how they are shown."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import NoReturn

from rich.console import Console
from rich.panel import Panel
from rich.text import Text


class UsageError(Exception):
    """The user asked for something that cannot be; the message says what to do."""


def fail(message: str, program: str = "experiments/run.py") -> NoReturn:
    """Shows a usage error on stderr, framed like those of tyro, and exits with code 2."""
    text = Text(f"{message}\n\nFor the options: python {program} --help")
    panel = Panel(text, title="Usage error", title_align="left", border_style="red")
    Console(stderr=True, width=100).print(panel)
    sys.exit(2)


def exit_code_of(action: Callable[[], int | None], program: str) -> int:
    """Returns the exit code of a program that does this: 0 for None, 130 if it was interrupted.

    A usage error is shown, and exits with 2.
    """
    try:
        return action() or 0
    except UsageError as error:
        fail(str(error), program)
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130
