"""Everything to compare, and what each of it is called: by what differs."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Collection, Container, Mapping, Sequence
from typing import Any, NamedTuple

from experiments.analysis.results import Point, Result
from experiments.training.settings.defaults import get_preset
from experiments.training.settings.points import value_texts
from oatrpo_jax.algorithms import ALGORITHMS
from oatrpo_jax.config import Config
from oatrpo_jax.hyperparams import ENDS, Hyperparams
from oatrpo_jax.reuse.rules import DIVERGENCE

MAX_NAMES = 3
"""Settings in a label at most, beside those that are swept within the run."""

MAX_TEXT = 20
"""Characters of a value in a label at most."""

NO_DIFFERENCE = {"num_updates", "log_affinity"}
"""Settings that are read but change nothing of what is learnt by a given step.

With memory, ``log_affinity`` makes policies act in another batch: what is learnt is then the same
to rounding alone.
"""


BEFORE = {"memory_size": 0, "normalise_inputs": False}
"""Settings that older runs were not asked for, and what they did."""


class Entry(NamedTuple):
    """A grid point of a run, and what to call it beside others."""

    label: str
    point: Point


def label_points(results: Sequence[Result]) -> list[Entry]:
    """Returns everything to compare.

    A label is the algorithm and what tells it from others: settings that differ between points and
    runs of that algorithm, and those that differ from another algorithm's without being its
    default.  What an algorithm does not read is not looked at.  Where that is more than `MAX_NAMES`
    settings, or is the same for two runs, the run's directory tells them apart, by its name or, if
    that is not enough, its path.
    """
    points = [point for result in results for point in result.points]
    settings = {point: _settings(point) for point in points}
    texts = {name: _texts(name, values) for name, values in _differing(settings.values()).items()}
    within = {
        algorithm: _differing(
            [settings[point] for point in points if _algorithm(point) == algorithm]
        )
        for algorithm in {*map(_algorithm, points)}
    }
    labels = [_label(point, settings[point], within[_algorithm(point)], texts) for point in points]
    directories = [point.result.directory for point in points]
    for places in ([directory.resolve().name for directory in directories], directories):
        times = Counter(labels)
        labels = [
            f"{label} ({place})" if times[label] > 1 else label
            for label, place in zip(labels, places, strict=True)
        ]
    entries = []
    for label, point in zip(labels, points, strict=True):
        state = ", diverged" * point.is_diverged + ", unfinished" * (not point.result.is_complete)
        entries.append(Entry(label + state, point))
    return entries


def _algorithm(point: Point) -> str:
    return point.result.config["algorithm"]


def _settings(point: Point) -> dict[str, Any]:
    """Returns what a point's algorithm reads to learn, and what is swept, coefficients first.

    What is read, if at all, for what ``log_affinity`` logs is not among them.
    """
    config = point.result.config
    row = ALGORITHMS.get(config["algorithm"])  # The one without a row has a matrix set by hand.
    to_log = DIVERGENCE - (row.reuse.reads if row else set()) - set(config["swept"])
    ends = {end: "none" for name, end in ENDS.items() if name in config["reads"]}
    settings = BEFORE | ends | point.coefficients | config["config"]
    if any(settings[end] != "none" for end in ends):
        settings["schedule_steps"] = config["run"]["schedule_steps"]
    reads = {*config["reads"], *BEFORE, *ends, "schedule_steps"} - NO_DIFFERENCE - to_log
    by_hand = {} if config["reuse_matrix"] is None else {"reuse_matrix": config["reuse_matrix"]}
    return {k: _plain(v) for k, v in settings.items() if k in reads} | by_hand


def _plain(value: Any) -> Any:
    """Returns a setting as it compares: what JSON has as a list is a tuple."""
    if value is None:
        return "none"
    return tuple(value) if isinstance(value, list) else value


def _differing(settings: Collection[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Returns the settings of which some of these points have different values, and the values."""
    names = dict.fromkeys(name for each in settings for name in each)
    values = {name: [*dict.fromkeys(e[name] for e in settings if name in e)] for name in names}
    return {name: found for name, found in values.items() if len(found) > 1}


def _defaults(config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the settings that an algorithm has in an environment if nothing else is said."""
    fields = (*dataclasses.fields(Config), *dataclasses.fields(Hyperparams))
    is_continuous = config["env_spec"].get("is_continuous", False)  # Runs of before were not.
    preset = get_preset(config["environment"], config["algorithm"], is_continuous)
    ours = {field.name: field.default for field in fields}
    layers = {**ours, **preset.values}
    return {name: _plain(value) for name, value in layers.items()}


def _texts(name: str, values: Sequence[Any]) -> dict[Any, str]:
    if all(isinstance(value, float) for value in values):
        texts = value_texts(values)
    else:
        texts = [",".join(map(str, v)) if isinstance(v, tuple) else str(v) for v in values]
    return {
        value: f"{name}={text if len(text) <= MAX_TEXT else f'{text[:MAX_TEXT]}...'}"
        for value, text in zip(values, texts, strict=True)
    }


def _label(
    point: Point,
    own: Mapping[str, Any],
    within: Container[str],
    texts: Mapping[str, Mapping[Any, str]],
) -> str:
    """Returns the algorithm with what tells a point apart; its directory where that is too much.

    Its ``own`` settings are told by their texts where they differ ``within`` its algorithm, or from
    another's without being the default.
    """
    result = point.result
    defaults, swept = _defaults(result.config), result.config["swept"]
    names = [
        name
        for name in texts
        if name in own and (name in within or own[name] != defaults.get(name))
    ]
    is_short = sum(name not in swept for name in names) <= MAX_NAMES
    shown = [name for name in names if is_short or name in swept]
    label = ", ".join([_algorithm(point), *(texts[name][own[name]] for name in shown)])
    return label if is_short else f"{label} ({result.directory.resolve().name})"
