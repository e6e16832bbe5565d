"""Whole numbers as people type them: 100000, 100_000 and 1e5 alike."""

from __future__ import annotations

from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo


def registry() -> ConstructorRegistry:
    """Returns how tyro reads every option that is an int."""
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
