"""Command lines of ``oatrpo`` as somebody types them, kept small."""

from collections.abc import Mapping, Sequence

TINY = {
    "--num-envs": "4",
    "--rollout-length": "8",
    "--hidden-sizes": "8",
    "--total-steps": "64",
    "--checkpoint-every": "1",
}
SIZES: Mapping[str, Mapping[str, str]] = {
    "run": TINY,
    # Enough that episodes end: otherwise nothing could be ranked.
    "sweep": {**TINY, "--points": "2", "--seeds": "2", "--total-steps": "3200"},
    "evaluate": {"--episodes": "4", "--max-steps": "20"},
    # The least with which an episode of Black and Red can end.
    "reproduce": {"--seeds": "1", "--budget": "0.028"},
}
"""By program, options in place of what a line says of them."""


def as_small(argv: Sequence[str]) -> list[str]:
    """Returns the arguments of ``oatrpo`` with tiny sizes in place of theirs."""
    sizes = SIZES.get(argv[0], {})
    if "--resume" in argv or "--preset" in argv:
        sizes = {"--total-steps": "128"}
    kept, is_replaced = [], False
    for each in argv:
        if each.startswith("--"):
            is_replaced = each in sizes
        if not is_replaced:
            kept.append(each)
    return [*kept, *(word for option in sizes.items() for word in option)]
