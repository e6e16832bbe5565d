"""Everything to compare, and what each of it is called: by what differs."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from experiments.analysis.results import Result
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
    """A grid point of a run, and what to call it."""

    label: str
    result: Result
    point: int


class _Row(NamedTuple):
    """A grid point before it has a label; ``settings`` are those that its algorithm reads."""

    result: Result
    point: int
    settings: dict[str, Any]

    @property
    def algorithm(self) -> str:
        return self.result.config["algorithm"]


def label_points(results: Sequence[Result]) -> list[Entry]:
    """Returns everything to compare.

    A label is the algorithm and what tells it from others: settings that differ between points and
    runs of that algorithm, and those that differ from another algorithm's without being its
    default.  What an algorithm does not read is not looked at.  Where that is more than `MAX_NAMES`
    settings, or is the same for two runs, the run's directory tells them apart, by its name or, if
    that is not enough, its path.
    """
    rows = [
        _Row(result, point, _settings(result, point))
        for result in results
        for point in range(result.num_points)
    ]
    texts = {name: _texts(name, rows) for name in _differing(rows)}
    algorithms = {row.algorithm for row in rows}
    within = {one: _differing([row for row in rows if row.algorithm == one]) for one in algorithms}
    labels = [_label(row, within[row.algorithm], texts) for row in rows]
    places: tuple[Callable[[Result], Any], ...] = (
        lambda result: result.directory.resolve().name,
        lambda result: result.directory,
    )
    for place in places:
        times = Counter(labels)
        labels = [
            f"{label} ({place(row.result)})" if times[label] > 1 else label
            for label, row in zip(labels, rows, strict=True)
        ]
    return [
        Entry(label + _state(row), row.result, row.point)
        for label, row in zip(labels, rows, strict=True)
    ]


def _settings(result: Result, point: int) -> dict[str, Any]:
    """Returns what a point's algorithm reads to learn, and what is swept, coefficients first."""
    config = result.config
    to_log = _read_to_log(config["algorithm"]) - set(config["swept"])
    ends = {end: "none" for name, end in ENDS.items() if name in config["reads"]}
    told = BEFORE | ends | config["points"][point] | config["config"]
    if any(told[end] != "none" for end in ends):
        told["schedule_steps"] = config["run"]["schedule_steps"]
    reads = {*config["reads"], *BEFORE, *ends, "schedule_steps"} - NO_DIFFERENCE - to_log
    found = {k: _plain(v) for k, v in told.items()}
    by_hand = {} if config["reuse_matrix"] is None else {"reuse_matrix": config["reuse_matrix"]}
    return {k: v for k, v in found.items() if k in reads} | by_hand


def _read_to_log(algorithm: str) -> frozenset[str]:
    """Returns the settings that are read, if at all, for what ``log_affinity`` logs."""
    row = ALGORITHMS.get(algorithm)  # The one without a row has a matrix set by hand.
    return DIVERGENCE - (row.reuse.reads if row else frozenset())


def _plain(value: Any) -> Any:
    """Returns a setting as it compares: what JSON has as a list is a tuple."""
    if value is None:
        return "none"
    return tuple(value) if isinstance(value, list) else value


def _differing(rows: Sequence[_Row]) -> list[str]:
    """Returns the settings of which some of these points have different values."""
    names = dict.fromkeys(name for row in rows for name in row.settings)
    values = {name: {row.settings[name] for row in rows if name in row.settings} for name in names}
    return [name for name in names if len(values[name]) > 1]


def _defaults(config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the settings that an algorithm has in an environment if nothing else is said."""
    fields = (*dataclasses.fields(Config), *dataclasses.fields(Hyperparams))
    is_continuous = config["env_spec"].get("is_continuous", False)  # Runs of before were not.
    preset = get_preset(config["environment"], config["algorithm"], is_continuous)
    ours = {field.name: field.default for field in fields}
    layers = {**ours, **preset.config, **preset.hyperparams}
    return {name: _plain(value) for name, value in layers.items()}


def _texts(name: str, rows: Sequence[_Row]) -> dict[Any, str]:
    """Returns each value of a setting as text."""
    values = [*dict.fromkeys(row.settings[name] for row in rows if name in row.settings)]
    if all(isinstance(value, float) for value in values):
        texts = value_texts(values)
    else:
        texts = [",".join(map(str, v)) if isinstance(v, tuple) else str(v) for v in values]
    return {
        value: f"{name}={text if len(text) <= MAX_TEXT else f'{text[:MAX_TEXT]}...'}"
        for value, text in zip(values, texts, strict=True)
    }


def _label(row: _Row, within: Sequence[str], texts: Mapping[str, Mapping[Any, str]]) -> str:
    """Returns the algorithm with what tells a point apart; its directory where that is too much.

    Args:
        row: the point.
        within: settings that differ between points of its algorithm.
        texts: of the values of all settings that differ.
    """
    config, own = row.result.config, row.settings
    defaults, swept = _defaults(config), config["swept"]
    names = [
        name
        for name in texts
        if name in own and (name in within or own[name] != defaults.get(name))
    ]
    is_short = sum(name not in swept for name in names) <= MAX_NAMES
    shown = [name for name in names if is_short or name in swept]
    label = ", ".join([row.algorithm, *(texts[name][own[name]] for name in shown)])
    return label if is_short else f"{label} ({row.result.directory.resolve().name})"


def _state(row: _Row) -> str:
    """Returns what a label says of a run that is not what it was to be."""
    diverged = ", diverged" * (row.point in row.result.diverged)
    return diverged + ", unfinished" * (not row.result.is_complete)
