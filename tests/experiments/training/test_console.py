"""The live line: what it says of the episodes that have ended."""

import io
from types import SimpleNamespace
from typing import Any

import numpy as np
from rich.console import Console

from experiments.training.console import ProgressLine

NAN = np.nan
SILENT = {
    "episode/count": np.zeros((1, 1, 2)),
    "episode/return": np.full((1, 1, 2), NAN),
    "episode/success": np.full((1, 1, 2), NAN),
}
SPOKEN = {
    "episode/count": np.array([[[1.0, 3.0]]]),
    "episode/return": np.array([[[2.0, 4.0]]]),
    "episode/success": np.array([[[0.0, 1.0]]]),
}


def lines_of(*updates: dict[str, np.ndarray]) -> list[str]:
    """Returns what a run of so many updates prints where there is no terminal."""
    config = SimpleNamespace(num_updates=len(updates), steps_per_update=10)
    experiment: Any = SimpleNamespace(config=config, lanes=(1, 2))
    output = io.StringIO()
    with ProgressLine(experiment, Console(file=output, width=120)) as line:
        for number, metrics in enumerate(updates, 1):
            line.show(metrics, [number])
    return output.getvalue().splitlines()


def test_means_are_over_episodes_and_say_over_how_many():
    # (1 x 2 + 3 x 4) / 4 and 3 / 4.
    (line,) = lines_of(SPOKEN)
    assert line.endswith("return 3.500  success 0.750  (mean of 4 episodes)")


def test_the_last_means_stay_while_no_episode_ends():
    first, second, third = lines_of(SILENT, SPOKEN, SILENT)
    assert first.endswith("no episode has ended yet")
    assert second.partition("return")[2] == third.partition("return")[2] != ""


def test_an_environment_need_not_tell_of_success():
    metrics = {name: value for name, value in SPOKEN.items() if name != "episode/success"}
    (line,) = lines_of(metrics)
    assert line.endswith("return 3.500  (mean of 4 episodes)")
