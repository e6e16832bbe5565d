"""What devices send each other, as the text of a compiled program tells it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import NamedTuple

KINDS = ("all-gather", "all-reduce", "all-to-all", "collective-permute", "reduce-scatter")
_SHAPE = re.compile(r"(\w+)\[([\d,]*)\]")
_COMPUTATION = re.compile(r"^(ENTRY )?%?([\w.\-]+) .*\{$")
_INSTRUCTION = re.compile(r" = (\(.*?\)|\S+) ([\w\-]+)\(")
"""The shapes of a result, which may be a tuple, and what makes it."""
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
        if not (match := _INSTRUCTION.search(line)):
            continue
        shapes, kind = match[1], match[2].removesuffix("-start")
        if kind in KINDS:
            yield Collective(kind, _num_bytes(shapes), turns, depth)
            continue
        called = _CALLED.findall(line)
        for branches in _BRANCHES.findall(line):
            called += [each.strip(" %") for each in branches.split(",")]
        is_loop = kind == "while"
        known = _TURNS.search(line) if is_loop else None
        inside = turns * int(known[1] if known else 1), depth + is_loop
        for each in called:
            yield from _visit(each, computations, *inside)


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
