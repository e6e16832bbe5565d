"""What command lines share: how they start and are read, and arguments of several of them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import tyro
from tyro.conf import Positional, arg
from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

from experiments.training.errors import check_once, exit_code_of
from experiments.training.naming import command
from experiments.training.surroundings import Devices, prepare

Read = TypeVar("Read")

RunDirectory = Annotated[
    Positional[Path], arg(metavar="DIR", help="a directory that a run has left")
]

Point = Annotated[
    int | None,
    arg(
        metavar="NUMBER",
        help_behavior_hint="(default: the best of summary.json)",
        help="grid point, numbered from 0 as in config.json",
    ),
]

Checkpoint = Annotated[
    Literal["latest", "best"],
    arg(help="the last policies, or each seed's as they played best while training"),
]

MaxSteps = Annotated[
    int | None,
    arg(
        metavar="STEPS",
        help_behavior_hint="(default: the run's --eval-max-steps)",
        help="steps after which an episode that has not ended is cut off",
    ),
]

SpreadSeeds = Annotated[
    Devices,
    arg(
        metavar="all|N",
        help="devices to spread seeds over, or all that JAX finds; of a CPU, which is one, a "
        "number makes as many, up to one for each core",
    ),
]

EpisodeSeed = Annotated[int, arg(help="another number plays other episodes")]


def run_script(
    script: str,
    argv: Sequence[str] | None,
    read: Callable[[Sequence[str]], Read],
    action: Callable[[Read], int | None],
    advice: str = "",
) -> int:
    """Returns the exit code of a script; a usage error exits with 2.

    Args:
        script: its name.
        argv: its command line; None for that of this process.
        read: returns what a command line asks for.
        action: does it.
        advice: see `exit_code_of`.
    """
    arguments = sys.argv[1:] if argv is None else argv

    def start() -> int | None:
        prepare()
        check_once(arguments, command(script))
        return action(read(arguments))

    return exit_code_of(start, command(script), advice)


def read_options(
    script: str, kind: Any, arguments: Sequence[str], examples: str = "", **more: Any
) -> Any:
    """Returns what a command line asks for; shows help or a usage error and exits if need be.

    Args:
        script: its name.
        kind: the dataclass of its options.
        examples: what help ends with.
        more: what else `tyro.cli` is told.
    """
    try:
        return tyro.cli(
            kind, prog=command(script), args=list(arguments), registry=_whole_numbers(), **more
        )
    except SystemExit as exit_:
        if examples and not exit_.code:
            print(examples)
        raise


def _whole_numbers() -> ConstructorRegistry:
    """Returns how tyro reads every option that is an int: 100000, 100_000 and 1e5 alike."""
    rules = ConstructorRegistry()

    @rules.primitive_rule
    def whole_number(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[int] | None:
        if info.type is not int:
            return None
        return PrimitiveConstructorSpec(
            nargs=1,
            metavar="INT",
            instance_from_str=lambda texts: parse_whole(texts[0]),
            is_instance=lambda value: isinstance(value, int) and not isinstance(value, bool),
            str_from_instance=lambda value: [str(value)],
        )

    return rules


def parse_whole(text: str) -> int:
    """Returns the number that a text stands for; a ValueError if it is none, or not a whole one.

    >>> parse_whole("100_000"), parse_whole("1e5"), parse_whole("2.5e3")
    (100000, 100000, 2500)
    """
    try:
        return int(text)
    except ValueError:
        pass
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not number.is_integer():
        raise ValueError(f"expected a whole number, such as 100000 or 1e5, got {text}")
    return int(number)
