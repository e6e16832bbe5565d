"""What devices send each other, as the text of a compiled program tells it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import NamedTuple

KINDS = ("all-gather", "all-reduce", "all-to-all", "collective-permute", "reduce-scatter")
_SHAPE = re.compile(r"(\w+)\[([\d,]*)\]")
_COMPUTATION = re.compile(r"^(ENTRY )?%?([\w.\-]+) .*\{$")
_CALLED = re.compile(r"(?:body|condition|to_apply|calls|\w+_computation)=%?([\w.\-]+)")
_BRANCHES = re.compile(r"branch_computations=\{([^}]*)\}")
_TURNS = re.compile(r'"known_trip_count":\{"n":"(\d+)"')
_WIDTHS = {"pred": 1, "bf16": 2}


class Collective(NamedTuple):
    """An instruction by which devices exchange arrays.

    Attributes:
        kind: one of `KINDS`.
        num_bytes: of its result on one device, all arrays together.
        turns: how often it is done in one turn of all loops whose length is not known.
        depth: number of loops around it.
    """

    kind: str
    num_bytes: int
    turns: int
    depth: int


def collectives(program: str) -> list[Collective]:
    """Returns the collectives of a compiled program, given its text (``compiled.as_text()``)."""
    entry, computations = _computations(program)
    return list(_visit(entry, computations, 1, 0))


def _computations(program: str) -> tuple[str, dict[str, list[str]]]:
    """Returns the name of the first computation to run, and the instructions of each."""
    entry, name, found = "", "", dict[str, list[str]]()
    for line in program.splitlines():
        if match := _COMPUTATION.match(line):
            name = match[2]
            found[name] = []
            entry = name if match[1] else entry
        elif name and " = " in line:
            found[name].append(line)
    return entry, found


def _visit(
    name: str, computations: dict[str, list[str]], turns: int, depth: int
) -> Iterator[Collective]:
    """Yields the collectives of a computation and of those that it calls."""
    for line in computations[name]:
        result, instruction = _split(line)
        if (kind := instruction.partition("(")[0].removesuffix("-start")) in KINDS:
            yield Collective(kind, _num_bytes(result), turns, depth)
        called = _CALLED.findall(instruction)
        for branches in _BRANCHES.findall(instruction):
            called += [each.strip(" %") for each in branches.split(",")]
        is_loop = instruction.startswith("while(")
        known = _TURNS.search(instruction) if is_loop else None
        for each in called if kind not in KINDS else ():
            yield from _visit(
                each, computations, turns * int(known[1] if known else 1), depth + is_loop
            )


def _split(line: str) -> tuple[str, str]:
    """Returns the shapes that an instruction results in, and the instruction from its name on.

    >>> _split("  %a = (f32[2]{0}, /*index=1*/u8[]) all-reduce(%b, %c), to_apply=%add")
    ('(f32[2]{0}, /*index=1*/u8[])', 'all-reduce(%b, %c), to_apply=%add')
    """
    _, _, right = line.partition(" = ")
    depth = 0
    for place, letter in enumerate(right):
        depth += (letter in "({[") - (letter in ")}]")
        if letter == " " and depth == 0:
            return right[:place], right[place + 1 :]
    return "", right


def _num_bytes(shapes: str) -> int:
    """Returns the size of arrays of these shapes.

    >>> _num_bytes("(f32[2,3]{1,0}, pred[5])")
    29
    """
    return sum(
        _width(dtype) * math.prod(int(size) for size in sizes.split(",") if size)
        for dtype, sizes in _SHAPE.findall(shapes)
    )


def _width(dtype: str) -> int:
    """Returns the bytes of a number of a type as XLA names it.

    >>> _width("f32"), _width("s8"), _width("pred")
    (4, 1, 1)
    """
    return _WIDTHS.get(dtype) or max(1, int(re.sub(r"\D", "", dtype) or 8) // 8)
