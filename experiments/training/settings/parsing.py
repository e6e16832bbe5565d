"""How tyro reads the options of a run, which of them help shows, and which one was meant."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import Field, fields, make_dataclass
from typing import Annotated, Any, get_type_hints

from tyro.conf import Suppress, arg

from experiments.training.errors import UsageError
from experiments.training.settings.defaults import CONTINUOUS
from experiments.training.settings.options import COEFFICIENTS, SETTINGS, Options, Run
from oatrpo_jax.algorithms import fixed_algorithm, get_algorithm
from oatrpo_jax.config import Config
from oatrpo_jax.hints import did_you_mean
from oatrpo_jax.reuse.rules import allowed_reuse

MAX_HINTS = 4


def as_declared(options: Options, argv: Sequence[str]) -> Any:
    """Returns a value of a dataclass that declares all options, for tyro to read over it.

    Help lists the settings and coefficients that the algorithm reads under some configuration in
    some environment.  Parsing takes all, as tyro would call the others unknown, where
    `checks.without_unread` has something better to say.
    """
    algorithm = options.run.algorithm
    shown = {*SETTINGS, *COEFFICIENTS}
    if {"-h", "--help"} & set(argv):
        is_fixed = algorithm == "fixed"
        row = fixed_algorithm(allowed_reuse([[True]])) if is_fixed else get_algorithm(algorithm)
        widest = Config(divergence="quantile", value_loss="clipped", log_affinity=True)
        shown = row.reads(widest, is_continuous=True)

    hints = get_type_hints(Config)
    settings = {
        name: Annotated[hints[name], arg(help=each.metadata["doc"] + _continuous_default(name))]
        for name, each in SETTINGS.items()
    }
    coefficients = {name: _coefficient_type(each) for name, each in COEFFICIENTS.items()}

    def group(doc: str, types: Mapping[str, Any], values: Mapping[str, Any]) -> Any:
        offered = ((k, t if k in shown else Annotated[t, Suppress]) for k, t in types.items())
        return make_dataclass("Group", offered, namespace={"__doc__": doc})(**values)

    groups = {
        "run": options.run,
        "program": group("Shapes and structure: one value each.", settings, options.config),
        "coefficients": group(
            "Several values each make a grid: product x seeds.", coefficients, options.coefficients
        ),
    }
    return make_dataclass("Declared", ((k, type(each)) for k, each in groups.items()))(**groups)


def _coefficient_type(coefficient: Field[Any]) -> Any:
    """Returns how a coefficient is read; help says what it is for, its range and its defaults."""
    doc, interval = coefficient.metadata["doc"], coefficient.metadata["range"].interval
    return Annotated[
        tuple[float, ...],
        arg(
            help=f"{doc}, in {interval}{_continuous_default(coefficient.name)}",
            metavar="FLOAT [FLOAT ...]",
            help_behavior_hint=lambda default: f"(default: {default or 'none'})",
        ),
    ]


def _continuous_default(name: str) -> str:
    """Returns what help adds where continuous actions have a default of their own."""
    defaults = CONTINUOUS.values
    return f"; by default {defaults[name]} where actions are continuous" if name in defaults else ""


def check_known(typed: Sequence[str], others: Sequence[str]) -> None:
    """Raises a UsageError that names the first option there is not, and those nearest to it.

    Args:
        others: names of a program's own options.
    """
    known = {each.name: each.metadata.get("doc", "") for each in fields(Run)}
    known |= {name: each.metadata["doc"] for name, each in (SETTINGS | COEFFICIENTS).items()}
    known |= dict.fromkeys(others, "")
    for name in typed:
        if name in known or name == "help":
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
