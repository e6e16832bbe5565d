"""A command line as a job that submitit hands to SLURM, or to this machine.

A job that has to make room is stopped, which saves where it stands, and goes on when it is started
again: to the bit, as its line says ``--resume-or-start``.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.training.errors import UsageError

MAX_TIMEOUTS = 1000
"""How often a job may run out of its time: each time it comes further, and three is its default."""

PATIENCE = 20.0
"""Seconds for a run to save and end: fewer than there are between the first signal and SIGKILL."""

GRACE = 3600.0
"""Seconds for SLURM to end a job that it has told to make room: more than it takes."""

SUBMITIT_LOG = "SUBMITIT_LOG_LEVEL"
"""Environment variable that says what submitit does to `logging`."""

RUN_HEARING_SIGINT_ALONE = """import os, sys
from signal import *
for each in (SIGTERM, SIGUSR1, SIGUSR2):
    signal(each, SIG_IGN)
signal(SIGINT, SIG_DFL)
os.execvp(sys.argv[1], sys.argv[1:])"""
"""Becomes a program.  A scheduler may signal all processes of a job; its first alone answers."""


class Training:
    """A command line as what submitit runs.  It is pickled by value: a job imports nothing of ours.

    Attributes:
        process: that runs it.
        is_stopping: whether that has been told to stop; told again, it would end without saving.
    """

    process: subprocess.Popen[bytes] | None = None
    is_stopping = False

    def __call__(self, line: Sequence[str]) -> None:
        """Waits for the end of the program; raises unless it succeeds."""
        if "SLURM_JOB_ID" in os.environ:
            signal.signal(signal.SIGTERM, self.make_room)
        self.process = subprocess.Popen([sys.executable, "-ISc", RUN_HEARING_SIGINT_ALONE, *line])
        try:
            while (code := self.process.poll()) is None:
                time.sleep(0.2)
        except BaseException:
            self.process.kill()
            raise
        if code:
            raise subprocess.CalledProcessError(code, line)

    def checkpoint(self, line: Sequence[str]) -> Any:
        """Stops the program and returns what starts it again; submitit calls it at its signal."""
        from submitit.helpers import DelayedSubmission

        self._stop()
        return DelayedSubmission(type(self)(), line)

    def make_room(self, *_: object) -> None:
        """Stops the program, and stays until SLURM ends the job: such a job it queues again.

        That is what SIGTERM announces, and submitit ignores.  It hears another signal, which most
        clusters send before a job's time is over, but not before a preemption.
        """
        if not self.is_stopping:
            self._stop()
            time.sleep(GRACE)

    def _stop(self) -> None:
        """Lets the program save where it stands and end."""
        if self.process is None:
            return
        if not self.is_stopping:
            self.is_stopping = True
            self.process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(PATIENCE)
        self.process.kill()


def make_executor(folder: Path, parameters: Mapping[str, Any]) -> Any:
    """Returns what submits; a UsageError says which parameter it does not take."""
    with _quiet_import():
        import submitit

    executor = submitit.AutoExecutor(
        folder, slurm_max_num_timeout=MAX_TIMEOUTS, local_max_num_timeout=MAX_TIMEOUTS
    )
    gpus = ("gpus_per_node", "local_gpus_per_node")
    if executor.cluster == "local" and any(map(parameters.get, gpus)):
        raise UsageError(
            "submit_option: expected gpus_per_node for SLURM alone, which is not here: all jobs of "
            "this machine would get the same GPUs; here use --devices in one run"
        )
    try:
        executor.update_parameters(**parameters)
    except (NameError, TypeError, ValueError, AssertionError) as error:
        raise UsageError(f"submit_option: {error}") from error
    return executor


@contextlib.contextmanager
def _quiet_import() -> Iterator[None]:
    """Keeps submitit from closing all handlers of `logging` when it is imported; jobs still log."""
    before = os.environ.get(SUBMITIT_LOG)
    os.environ[SUBMITIT_LOG] = "NOCONFIG"
    try:
        yield
    finally:
        if before is None:
            del os.environ[SUBMITIT_LOG]
        else:
            os.environ[SUBMITIT_LOG] = before


def hand_over(executor: Any, lines: Sequence[Sequence[str]]) -> list[str]:
    """Returns the ids of the jobs of an array; a UsageError says why they are not taken."""
    import cloudpickle
    from submitit.core.utils import FailedJobError

    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    try:
        return [job.job_id for job in executor.map_array(Training(), lines)]
    except FailedJobError as error:
        raise UsageError(f"submit: the jobs were not taken: {error}") from error
