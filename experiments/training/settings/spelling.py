"""Options that there are not, and which ones may have been meant."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence

from experiments.training.errors import UsageError
from oatrpo_jax.hints import did_you_mean

MAX_HINTS = 4


def check_known(typed: Sequence[str], known: Mapping[str, str]) -> None:
    """Raises a UsageError that names the first option there is not, and those nearest to it.

    Args:
        typed: names of options.
        known: what each option that there is does, by name.
    """
    for name in typed:
        if name in known:
            continue
        hints = [f"--{each.replace('_', '-')}" for each in nearest(name, known)]
        hint = did_you_mean(hints) or " Look at those that there are."
        raise UsageError(f"{name}: there is no option --{name.replace('_', '-')}.{hint}")


def nearest(name: str, known: Mapping[str, str]) -> list[str]:
    """Returns the names that hold a name, or nearly are it, or else speak of it.

    >>> known = {"actor_lr": "learning rate of the actors", "gamma": "discount per step"}
    >>> nearest("learning_rate", known), nearest("lr", known), nearest("gama", known)
    (['actor_lr'], ['actor_lr'], ['gamma'])
    """
    parts = [each for each in known if f"_{name}_" in f"_{each}_" or f"_{each}_" in f"_{name}_"]
    # Of a coefficient and its end the former alone.
    parts = [each for each in parts if each.removesuffix("_end") not in {*parts} - {each}]
    close = difflib.get_close_matches(name, known, n=MAX_HINTS, cutoff=0.75)
    found = list(dict.fromkeys([*close, *parts]))
    if not found:
        words = re.compile(rf"\b{re.escape(name.replace('_', ' '))}\b", re.IGNORECASE)
        found = [each for each, text in known.items() if words.search(text)]
    return found[:MAX_HINTS]
