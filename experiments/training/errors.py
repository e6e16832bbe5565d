"""Mistakes in what the user asked for, and how they are shown."""

from __future__ import annotations

import shlex
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from rich.console import Console
from rich.panel import Panel
from rich.text import Text

from experiments.training.signals import interrupted_at_once
from experiments.training.streams import sturdy_output
from oatrpo_jax.installation import NotInstalled

MAX_COUNT = 2**31 - 1
"""The largest number that a loop on a device counts to; the core, slow to import, has it too."""


class UsageError(Exception):
    """The user asked for something that cannot be; the message says what to do."""


def fail(message: str, program: str) -> NoReturn:
    """Shows a usage error on stderr, framed like those of tyro, and exits with code 2."""
    text = Text(f"{message}\n\nFor the options: {program} --help")
    panel = Panel(text, title="Usage error", title_align="left", border_style="red")
    Console(stderr=True, width=100).print(panel)
    sys.exit(2)


def shown(path: Path) -> str:
    """Returns a path as it is typed in a shell.

    >>> shown(Path("my runs/a"))
    "'my runs/a'"
    """
    return shlex.quote(str(path))


def check_counts(**counts: int) -> None:
    """Raises a UsageError that names the first number that no loop on a device can count to."""
    for name, count in counts.items():
        if count < 1:
            raise UsageError(f"{name}: expected at least 1, got {count}; raise it")
        if count > MAX_COUNT:
            raise UsageError(f"{name}: expected at most {MAX_COUNT}, got {count}; lower it")


def exit_code_of(action: Callable[[], int | None], program: str, advice: str = "") -> int:
    """Returns the exit code of a program that does this: 0 for None, 130 if it was interrupted.

    A usage error or a missing package is shown, and exits with 2.  What the machine lacks, such as
    room on the disk or memory, is said in words, and the code is 1.  Whether anybody reads what it
    prints, it goes on.

    Args:
        program: what starts it.
        advice: what else to say where a file could not be written or read.
    """
    with sturdy_output(), interrupted_at_once():
        try:
            return action() or 0
        except (UsageError, NotInstalled) as error:
            fail(str(error), program)
        except KeyboardInterrupt as error:
            print("Interrupted.", file=sys.stderr)
            return exit_code_for(error)
        except OSError as error:
            where = error.filename or "the results"
            print(
                f"Stopped: cannot write or read {where}: {error.strerror or error}. What was saved "
                f"before is as it was. {advice}".rstrip(),
                file=sys.stderr,
            )
            return 1
        except RuntimeError as error:
            if "RESOURCE_EXHAUSTED" not in str(error):
                raise
            print(
                "Stopped: the device has too little memory. Lower num_envs, rollout_length, the "
                f"number of seeds, grid points or episodes. ({str(error).splitlines()[0][:200]})",
                file=sys.stderr,
            )
            return 1


def exit_code_for(error: BaseException) -> int:
    """Returns the exit code of a program that an error ends, see `exit_code_of`."""
    if isinstance(error, KeyboardInterrupt):
        return 130
    return 2 if isinstance(error, UsageError | NotInstalled) else 1


def check_once(argv: Sequence[str], program: str) -> None:
    """Exits with a usage error if an option stands twice on what the user typed.

    The parser would take the last one and forget the others without a word.
    """
    if twice := [name for name, count in Counter(typed_names(argv)).items() if count > 1]:
        flag = f"--{twice[0].replace('_', '-')}"
        fail(
            f"{twice[0]}: expected {flag} once, got it again. Leave all but one out; where it "
            f"takes several values, list them after it: {flag} FIRST SECOND",
            program,
        )


def typed_names(argv: Sequence[str]) -> list[str]:
    """Returns the options of a command line by name, whatever their spelling, repeats included."""
    flags = (token[2:].partition("=")[0] for token in argv if token.startswith("--"))
    return [flag.replace("_", "-").removeprefix("no-").replace("-", "_") for flag in flags]
