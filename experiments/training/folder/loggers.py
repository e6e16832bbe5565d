"""Where metrics go while a run trains, besides the logs that everything after it reads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np

from experiments.training.errors import UsageError
from experiments.training.folder.tensorboard import Boards
from experiments.training.folder.wandb_runs import WandbRuns
from experiments.training.settings.experiment import Experiment
from oatrpo_jax.installation import NotInstalled, check_packages

OnChunk = Callable[[Mapping[str, np.ndarray], Sequence[int]], None]
"""(metrics ``[U, P, K, ...]`` by name, the numbers of those updates) -> None.

It is called after each chunk of updates, and after each evaluation with its metrics.
"""


def check_logs(names: Sequence[str]) -> None:
    """Raises a UsageError that says what to install unless there is what a ``--log`` needs."""
    try:
        if "wandb" in names:
            check_packages(("wandb",), "wandb", "log")
    except NotInstalled as error:
        raise UsageError(f"{error}, or choose others with --log") from error


@contextmanager
def open_loggers(
    experiment: Experiment, directory: Path, first_update: int, on_chunk: OnChunk | None
) -> Iterator[tuple[OnChunk, ...]]:
    """Yields what is to be called with metrics; what that opens is closed at the end.

    Args:
        experiment: what is run, and with which ``--log``.
        first_update: number of the first update to come.
        on_chunk: one more, of the caller's.
    """
    wanted, steps = experiment.options.run.log, experiment.config.steps_per_update
    with ExitStack() as stack:
        loggers: list[OnChunk] = []
        if "tensorboard" in wanted:
            boards = Boards(directory, experiment.labels, steps, first_update)
            loggers.append(stack.enter_context(boards).write)
        if "wandb" in wanted:
            loggers.append(stack.enter_context(WandbRuns(directory, experiment)).write)
        if on_chunk is not None:
            loggers.append(on_chunk)
        yield tuple(loggers)
