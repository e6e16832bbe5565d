"""The slices of a run as an array of jobs: submitit hands them to SLURM, or to this machine.

A job that has to make room is stopped, which saves where it stands, and goes on when it is started
again: to the bit, as its line says ``--resume-or-start``.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from envs.options import parse_options
from experiments.training.errors import UsageError, check_counts, shown, typed_names
from experiments.training.folder.directory import check_is_empty, make_directory
from experiments.training.naming import command
from experiments.training.settings.options import Run
from oatrpo_jax.installation import ROOT, check_packages

PARAMETERS = {"timeout_min": 24 * 60, "name": "oatrpo"}
"""What submitit is told unless ``--submit-option`` says otherwise; its own limit is minutes."""

MAX_TIMEOUTS = 1000
"""How often a job may run out of its time: each time it comes further, and three is its default."""

PATIENCE = 20.0
"""Seconds for a run to save and end: fewer than there are between the first signal and SIGKILL."""

SUBMITIT_LOG = "SUBMITIT_LOG_LEVEL"
"""Environment variable that says what submitit does to `logging`."""

HEAR_INTERRUPTS_ALONE = """import os, sys
from signal import *
for each in (SIGTERM, SIGUSR1, SIGUSR2):
    signal(each, SIG_IGN)
signal(SIGINT, SIG_DFL)
os.execvp(sys.argv[1], sys.argv[1:])"""
"""Starts a program.  A scheduler may signal all processes of a job; submitit alone answers it."""

OF_THE_ARRAY = frozenset({"submit", "submit_option", "out"})
"""Options that stand on no job's line, or otherwise."""


class Training:
    """A command line as what submitit runs.  It is pickled by value: a job imports nothing of ours.

    Attributes:
        process: that runs it.
    """

    process: subprocess.Popen[bytes] | None = None

    def __call__(self, line: Sequence[str]) -> None:
        """Waits for the end of the program; raises unless it succeeds."""
        self.process = subprocess.Popen([sys.executable, "-ISc", HEAR_INTERRUPTS_ALONE, *line])
        try:
            code = self.process.wait()
        except BaseException:
            self.process.kill()
            raise
        if code:
            raise subprocess.CalledProcessError(code, line)

    def checkpoint(self, line: Sequence[str]) -> Any:
        """Stops the program, which saves where it stands, and returns what starts it again.

        submitit calls it from a signal's handler, in the midst of `Popen.wait`, which has a lock.
        """
        from submitit.helpers import DelayedSubmission

        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            if self.process is not None and self.process.returncode is None:
                pid, end = self.process.pid, time.monotonic() + PATIENCE
                os.kill(pid, signal.SIGINT)
                look = os.WEXITED | os.WNOWAIT | os.WNOHANG
                while os.waitid(os.P_PID, pid, look) is None and time.monotonic() < end:
                    time.sleep(0.1)
                os.kill(pid, signal.SIGKILL)
        return DelayedSubmission(type(self)(), line)


def submit(
    program: str,
    arguments: Sequence[str],
    run: Run,
    check: Callable[[Sequence[str]], object],
    console: Console,
) -> int:
    """Submits a job for each slice, and says how they are joined; returns the exit code.

    The same line submitted again goes on with what is not finished.

    Args:
        program: run or sweep.
        arguments: its command line, with ``--submit``.
        run: what that says.
        check: raises a UsageError unless a slice's command line makes sense.
        console: where to say it.

    Raises:
        UsageError: if anything makes no sense; nothing is submitted then.
    """
    check_packages(("submitit",), "submit", "submit")
    out, count = _check(run)
    parameters = PARAMETERS | _parse(run.submit_option)
    with tempfile.TemporaryDirectory() as folder:
        _make_executor(Path(folder), parameters)
    check(slice_line(arguments, 0, count, out))
    for number in range(count):
        if (out / str(number) / "config.json").exists():
            check(slice_line(arguments, number, count, out))
        else:
            check_is_empty(out / str(number))
    logs = make_directory(out, "slices").absolute() / "logs"
    executor = _make_executor(logs, parameters)
    start = [sys.executable, "-u", str(ROOT / "experiments" / f"{program}.py")]
    lines = [[*start, *slice_line(arguments, number, count, out)] for number in range(count)]
    jobs = _hand_over(executor, lines)
    where = "SLURM" if executor.cluster == "slurm" else f"this machine ({executor.cluster})"
    console.print(f"{count} jobs for {where}: {' '.join(jobs)}", soft_wrap=True)
    console.print(f"logs: {logs}", soft_wrap=True)
    joining = f"{command('join')} {shown(out)}/[0-9]* --out {shown(out / 'joined')}"
    console.print(f"once they are done: {joining}", soft_wrap=True)
    return 0


def slice_line(arguments: Sequence[str], number: int, count: int, out: Path) -> list[str]:
    """Returns the options with which a slice is started, and started again.

    >>> slice_line(["--env", "maze", "--submit", "2", "--out=runs/a"], 0, 2, Path("runs/a"))[:4]
    ['--env', 'maze', '--slice', '0/2']
    """
    own = ["--slice", f"{number}/{count}", "--out", str((out / str(number)).absolute())]
    return [*_without(arguments, OF_THE_ARRAY), *own, "--resume-or-start"]


def _without(arguments: Sequence[str], names: frozenset[str]) -> Iterator[str]:
    """Yields a command line without some options and their values."""
    is_left_out = False
    for token in arguments:
        if token.startswith("--"):
            is_left_out = typed_names([token])[0] in names
        if not is_left_out:
            yield token


def _check(run: Run) -> tuple[Path, int]:
    """Returns where slices go and how many; a UsageError says what does not go together."""
    count = run.submit or 0
    check_counts(submit=count)
    beside = {"slice": run.slice, "resume": run.resume, "dry_run": run.dry_run}
    beside |= {"resume_or_start": run.resume_or_start, "distributed": run.distributed}
    if wrong := [name for name, value in beside.items() if value]:
        raise UsageError(f"{wrong[0]}: expected without --submit, got it beside; leave one out")
    if run.out is None:
        raise UsageError("out: expected a directory beside --submit, got none; name one")
    if (run.out / "config.json").exists():
        raise UsageError(
            f"out: expected a directory for slices, got {run.out}, which holds a run; choose "
            "another"
        )
    return run.out, count


def _parse(assignments: Sequence[str]) -> dict[str, Any]:
    try:
        return parse_options(assignments, "submit_option")
    except ValueError as error:
        raise UsageError(str(error)) from error


def _make_executor(folder: Path, parameters: Mapping[str, Any]) -> Any:
    """Returns what submits; a UsageError says which parameter it does not take."""
    with _quiet_import():
        import submitit

    executor = submitit.AutoExecutor(
        folder, slurm_max_num_timeout=MAX_TIMEOUTS, local_max_num_timeout=MAX_TIMEOUTS
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


def _hand_over(executor: Any, lines: Sequence[Sequence[str]]) -> list[str]:
    """Returns the ids of the jobs of an array; a UsageError says why they are not taken."""
    import cloudpickle
    from submitit.core.utils import FailedJobError

    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    try:
        return [job.job_id for job in executor.map_array(Training(), lines)]
    except FailedJobError as error:
        raise UsageError(f"submit: the jobs were not taken: {error}") from error
