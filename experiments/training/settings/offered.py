"""How tyro reads the settings and coefficients, and which of them help shows."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Annotated, Any, get_type_hints

from tyro.conf import Suppress, arg
from tyro.constructors import (
    ConstructorRegistry,
    StructConstructorSpec,
    StructFieldSpec,
    StructTypeInfo,
)

from experiments.training.settings.defaults import CONTINUOUS
from experiments.training.settings.options import Coefficients, Program
from experiments.training.settings.whole_numbers import registry as whole_numbers
from oatrpo_jax.algorithms import fixed_algorithm, get_algorithm
from oatrpo_jax.config import Config
from oatrpo_jax.reuse.rules import allowed_reuse


def make_registry(shown: frozenset[str]) -> ConstructorRegistry:
    """Returns how tyro reads `Program` and `Coefficients`; help lists what is shown alone."""
    registry = whole_numbers()

    @registry.struct_rule
    def group(info: StructTypeInfo) -> StructConstructorSpec | None:
        kind = info.type
        if kind not in (Program, Coefficients):
            return None
        types = _program_types() if kind is Program else _coefficient_types()
        hidden: dict[str, Any] = {name: Annotated[each, Suppress] for name, each in types.items()}
        fields = (
            StructFieldSpec(name, types[name] if name in shown else hidden[name], default)
            for name, default in info.default.items()
        )
        return StructConstructorSpec(lambda **values: kind(values), tuple(fields))

    return registry


def _program_types() -> dict[str, Any]:
    hints = get_type_hints(Config)
    return {
        each.name: Annotated[
            hints[each.name], arg(help=each.metadata["doc"] + _continuous_default(each.name))
        ]
        for each in Program.declared()
    }


def _coefficient_types() -> dict[str, Any]:
    return {
        each.name: Annotated[
            tuple[float, ...],
            arg(
                help=_coefficient_help(each),
                metavar="FLOAT [FLOAT ...]",
                help_behavior_hint=lambda default: f"(default: {default or 'none'})",
            ),
        ]
        for each in Coefficients.declared()
    }


def _coefficient_help(coefficient: dataclasses.Field[Any]) -> str:
    """Returns what a coefficient is for, its range, and its default for continuous actions."""
    metadata = coefficient.metadata
    interval, default = metadata["range"].interval, _continuous_default(coefficient.name)
    return f"{metadata['doc']}, in {interval}{default}"


def _continuous_default(name: str) -> str:
    """Returns what help adds where continuous actions have a default of their own."""
    defaults = {**CONTINUOUS.config, **CONTINUOUS.hyperparams}
    return f"; by default {defaults[name]} where actions are continuous" if name in defaults else ""


def shown_names(name: str, argv: Sequence[str]) -> frozenset[str]:
    """Returns the settings and coefficients to offer.

    Help lists those that the algorithm reads under some configuration in some environment.
    Parsing takes all, as tyro would call the others unknown, where `reading.without_unread` has
    something better to say.
    """
    if not {"-h", "--help"} & set(argv):
        return frozenset(each.name for kind in (Program, Coefficients) for each in kind.declared())
    algorithm = fixed_algorithm(allowed_reuse([[True]])) if name == "fixed" else get_algorithm(name)
    widest = Config(divergence="quantile", value_loss="clipped", log_affinity=True)
    return algorithm.reads(widest, is_continuous=True)
