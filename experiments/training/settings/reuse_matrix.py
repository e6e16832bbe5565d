"""Reuse matrices set by hand: the paper's NR, UR, RR and AR by name, or numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from experiments.training.errors import UsageError
from oatrpo_jax.reuse.rules import ReuseRule, allowed_reuse, fixed_reuse

TypePairs = frozenset[frozenset[str]]


def _pairs(*pairs: tuple[str, str]) -> TypePairs:
    return frozenset(map(frozenset, pairs))


REUSE_PAIRS: dict[str, dict[str, TypePairs]] = {
    "maze:black-blue-red": {
        "rr": _pairs(("black", "blue"), ("red", "red"), ("black", "black"), ("blue", "blue")),
        "ur": _pairs(("red", "black")),
    },
}
"""By environment and name of a reuse matrix: the agent types that reuse each other's experience.

Elsewhere ``rr`` pairs agents of the same type and ``ur`` agents of different types.
"""

NAMES = ("nr", "ur", "rr", "ar")
"""No reuse, unreasonable, reasonable, all reuse (the paper's section 6.1)."""


def parse_reuse(text: str, env: str, agent_types: Sequence[str]) -> ReuseRule:
    """Returns the rule that ``--reuse-matrix`` asks for.

    Args:
        text: one of `NAMES`, whose own weight is then ``reuse_lambda`` (Eq. 9), or the weights.
        env: the environment's name, which says what is reasonable there.
    """
    rows = reuse_rows(text, env, agent_types)
    return allowed_reuse(rows) if isinstance(rows[0][0], bool) else fixed_reuse(rows)


def reuse_rows(text: str, env: str, agent_types: Sequence[str]) -> list[list[Any]]:
    """Returns the same as ``[N, N]`` truths, who may use whose experience, or as the weights."""
    if text.lower() in NAMES:
        return named_matrix(text.lower(), env, agent_types).tolist()
    return parse_matrix(text, len(agent_types))


def named_matrix(name: str, env: str, agent_types: Sequence[str]) -> np.ndarray:
    """Returns ``[N, N]`` bool: who may use whose experience, themselves included.

    >>> named_matrix("rr", "maze", ("red", "black", "red")).astype(int).tolist()
    [[1, 0, 1], [0, 1, 0], [1, 0, 1]]
    """
    types = np.asarray(agent_types)
    same_type = types[:, None] == types
    pairs = REUSE_PAIRS.get(env, {}).get(name)
    if pairs is not None:
        allowed = np.array([[frozenset((i, j)) in pairs for j in types] for i in types])
    elif name in ("rr", "ur"):
        allowed = same_type if name == "rr" else ~same_type
    else:
        allowed = np.full(same_type.shape, name == "ar")
    return allowed | np.eye(len(types), dtype=bool)


def parse_matrix(text: str, num_agents: int) -> list[list[float]]:
    """Returns the weights in ``"0.7,0.3;0.3,0.7"``: rows apart by ``;``, entries by ``,``.

    >>> parse_matrix("0.7,0.3;0.3,0.7", 2)
    [[0.7, 0.3], [0.3, 0.7]]
    """
    try:
        rows = [[float(entry) for entry in row.split(",")] for row in text.split(";")]
    except ValueError:
        raise UsageError(
            f"reuse_matrix: expected one of {', '.join(NAMES)}, or weights such as "
            f"'0.7,0.3;0.3,0.7', got {text!r}"
        ) from None
    if len(rows) != num_agents or any(len(row) != num_agents for row in rows):
        raise UsageError(
            f"reuse_matrix: expected {num_agents} rows of {num_agents} weights, one per agent, "
            f"got rows of {', '.join(str(len(row)) for row in rows)}"
        )
    return rows
