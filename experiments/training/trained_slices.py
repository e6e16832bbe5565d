"""The slices of one run as they lie in their directories: read, compared and put in their order.

Nothing is changed there.  `experiments.training.joining` makes one run of them.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from experiments.training.errors import UsageError, shown
from experiments.training.folder.files import read_json
from experiments.training.naming import command
from experiments.training.settings.command_line import CHANGEABLE
from experiments.training.settings.config_file import OF_PROCESS
from experiments.training.settings.experiment import Experiment, build
from experiments.training.settings.points import Slice, parse_slice
from experiments.training.settings.stored import read_config, stored_options
from experiments.training.stopping import is_finished

OF_ONE_SLICE = frozenset(
    {*OF_PROCESS, "points", "seeds", "total_steps_asked", "resumed"}
    | {"run", "config", "hyperparameters"}
)
"""Keys of config.json that are of one slice alone, or are compared by what they hold."""

MAY_DIFFER = CHANGEABLE - {"schedule_steps", "env_devices"} | {"slice"}
"""Options of a run in which slices may differ: none changes what an update computes."""

MAX_SHOWN = 80
"""Characters of a value that are shown at most."""


class TrainedSlice(NamedTuple):
    """A slice that was trained.

    Attributes:
        directory: where it lies.
        config: config.json.
        training: training.json; empty where there is none, as the slice is not finished.
    """

    directory: Path
    config: Mapping[str, Any]
    training: Mapping[str, Any]

    def __str__(self) -> str:
        return f"slice {self.slice.number}/{self.slice.count} in {self.directory}"

    @property
    def slice(self) -> Slice:
        """Which one it is."""
        return parse_slice(self.config["run"]["slice"])

    @property
    def lanes(self) -> tuple[int, int]:
        """(P, K), how many points and seeds it has."""
        return len(self.config["points"]), len(self.config["seeds"])

    @property
    def is_lost(self) -> bool:
        """Whether it stopped early, as all of its points diverged."""
        return len(self.training.get("diverged", ())) == self.lanes[0]

    @property
    def settings(self) -> dict[str, Any]:
        """What has to be the same in config.json of all slices, by name."""
        config = self.config
        return {
            "oatrpo_jax": config["versions"].get("oatrpo_jax"),
            "the number of slices": self.slice.count,
            **{name: value for name, value in config["run"].items() if name not in MAY_DIFFER},
            **{name: value for name, value in config["config"].items() if name != "num_updates"},
            **config["hyperparameters"],
            **{name: value for name, value in config.items() if name not in OF_ONE_SLICE},
            "whole": config["whole"],  # Which all have to have.
            "what changed on the way": [
                (one["after_update"], one["changed"])
                for one in config.get("resumed", ())
                if one["changed"]
            ],
        }


@dataclass(frozen=True)
class Slices:
    """All slices of a run.

    Attributes:
        parts: in their order.
        whole: the experiment that they are parts of.
    """

    parts: tuple[TrainedSlice, ...]
    whole: Experiment

    @property
    def axis(self) -> int:
        """Along which the lanes ``[P, K]`` were cut: 0, between points, or 1, between seeds."""
        return int(len(self.whole.points) == 1)

    @property
    def sound_part(self) -> TrainedSlice:
        """A slice of which all updates were done."""
        return next(part for part in self.parts if not part.is_lost)

    @property
    def first_points(self) -> list[int]:
        """The number of each slice's first point in the whole."""
        if self.axis:
            return [0] * len(self.parts)
        return [0, *itertools.accumulate(part.lanes[0] for part in self.parts[:-1])]


def read_slices(directories: Sequence[Path]) -> Slices:
    """Returns the slices in these directories, which may be named in any order.

    Raises:
        UsageError: if they are not the finished slices of one run, each once, saying what to do.
    """
    if not directories:
        raise UsageError("slices: expected the directories of all slices of a run, got none")
    parts = [_read(directory) for directory in directories]
    for other in parts[1:]:
        compare(parts[0], other, parts[0].settings, other.settings)
    parts.sort(key=lambda part: part.slice)
    _check_all_are_there(parts)
    whole = build(stored_options(parts[0].directory).having({"slice": None}))
    _check_finished(parts, whole)
    slices = Slices(tuple(parts), whole)
    _check_ends(slices)
    return slices


def _read(directory: Path) -> TrainedSlice:
    """Returns what lies in a directory; a UsageError says that it is no slice."""
    config, path = read_config(directory), directory / "training.json"
    try:
        if config["run"].get("slice") is None:
            raise UsageError(
                f"slices: expected directories of runs with --slice, got {directory}, which holds "
                "a run of its own; leave it out"
            )
        part = TrainedSlice(directory, config, read_json(path) if path.exists() else {})
        _ = part.settings, part.is_lost
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise UsageError(
            f"slices: {directory} holds no run that can be read ({error!r}); train it again"
        ) from error
    return part


def compare(
    one: TrainedSlice, other: TrainedSlice, first: Mapping[str, Any], second: Mapping[str, Any]
) -> None:
    """Raises a UsageError that names what differs first of two slices' facts, and both values."""
    for name in [*first, *(second.keys() - first.keys())]:
        if (here := first.get(name)) != (there := second.get(name)):
            texts = map(str, (here, there))
            values = [x if len(x) <= MAX_SHOWN else f"{x[:MAX_SHOWN]}..." for x in texts]
            raise UsageError(
                f"slices: expected parts of one run, got {name} {values[0]} in {one.directory} "
                f"and {values[1]} in {other.directory}; join what was trained alike, or train "
                "one of the two again"
            )


def _check_all_are_there(parts: Sequence[TrainedSlice]) -> None:
    """Raises a UsageError that names the slices that are given twice, or missing."""
    for one, other in itertools.pairwise(parts):
        if one.slice == other.slice:
            raise UsageError(
                f"slices: {one} is given twice, also in {other.directory}; leave one out"
            )
    count, there = parts[0].slice.count, {part.slice.number for part in parts}
    if missing := [f"{number}/{count}" for number in range(count) if number not in there]:
        verb = "is" if len(missing) == 1 else "are"
        raise UsageError(
            f"slices: slice {', '.join(missing)} {verb} missing; name the directory as well, or "
            "train it with --slice"
        )


def _check_finished(parts: Sequence[TrainedSlice], whole: Experiment) -> None:
    """Raises a UsageError that says how those go on that are not finished."""
    late = [
        f"{part} goes on by {command('run')} --resume {shown(part.directory)}"
        for part in parts
        if not (is_finished(whole, part.directory) and part.training)
        and not (part.is_lost and (part.directory / "summary.json").exists())
    ]
    if late:
        raise UsageError(f"slices: expected finished ones, but {'; '.join(late)}")


def _check_ends(slices: Slices) -> None:
    """Raises a UsageError if no point is left, or if other updates were evaluated."""
    lost = [part for part in slices.parts if part.is_lost]
    sound = [part for part in slices.parts if not part.is_lost]
    if lost and (slices.axis or not sound):
        one = lost[0].training["diverged"][0]
        raise UsageError(
            f"slices: {lost[0]} has diverged ({one['metric']} in update {one['update']}, seed "
            f"{one['seed']}), so that no point of the run is left; train all anew with calmer "
            "coefficients"
        )
    for other in sound[1:]:
        of_both = (
            {"evaluated_ends": each.training["evaluated_ends"]} for each in (sound[0], other)
        )
        compare(sound[0], other, *of_both)
