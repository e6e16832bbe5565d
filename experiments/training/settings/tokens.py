"""Settings that are stored as JSON, as words of a command line."""

from __future__ import annotations

import re
from typing import Any

_VALUE = re.compile(r"-?[0-9.]|-?inf$|[^-]")
"""How a value begins; anything else could be taken for an option."""


def option_tokens(name: str, value: Any) -> list[str]:
    """Returns a setting as an option and its values; nothing where it is left open.

    Raises:
        ValueError: if the value is nothing that a command line can say.

    >>> option_tokens("reuse_sigma", [0.1, 1]), option_tokens("layer_norm", False)
    (['--reuse-sigma', '0.1', '1'], ['--no-layer-norm'])
    """
    option = name.replace("_", "-")
    if value is None or value == []:
        return []
    if isinstance(value, bool):
        return [f"--{option}" if value else f"--no-{option}"]
    entries = value if isinstance(value, list) else [value]
    for entry in entries:
        is_plain = isinstance(entry, str | int | float) and not isinstance(entry, bool)
        if not is_plain or not _VALUE.match(str(entry)):
            raise ValueError(
                f"expected {name} to be a number, text, true or false, or a list of those, "
                f"got {value!r}"
            )
    return [f"--{option}", *map(str, entries)]
