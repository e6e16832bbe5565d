"""Several processes that train one run: how they meet, decide as one, and end together.

All do the same, each with its own devices.  The first alone is seen: it has the run's directory and
the console.
"""

from __future__ import annotations

import atexit
import dataclasses
import os
import shlex
import shutil
import sys
import tempfile
import threading
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from signal import Signals
from typing import Any, TypeVar

import numpy as np

from experiments.training.errors import UsageError, exit_code_for
from experiments.training.folder.files import json_bytes
from experiments.training.peers import WAIT_SECONDS, connect, exit_at_once
from experiments.training.settings.options import Options
from experiments.training.signals import StopRequest

HEARTBEAT_SECONDS = 60
"""Time until JAX itself gives a silent process up, later than `peers`: it says why to no user."""

SOON_SECONDS = 10
"""After how long it is said that others are waited for."""

Value = TypeVar("Value")

GIVEN = ("JAX_NUM_PROCESSES", "JAX_PROCESS_ID")
"""What JAX does not read by itself, other than JAX_COORDINATOR_ADDRESS."""


def together(
    action: Callable[[Options], int], options: Options, arguments: Sequence[str] = ()
) -> int:
    """Returns the exit code of what all processes do; the first one's counts for all.

    Where one ends early, whatever the reason, the others end within seconds: with the code of its
    error, or with 1 if it could tell none.

    Args:
        action: what each of them does, given its own options: the first has the run's directory,
            each other a temporary one.  So all read and write alike, and what the others write is
            thrown away.
        options: of the run, by which it is distributed or not.
        arguments: the command line, which has to be the same everywhere.

    Raises:
        UsageError: if there is nobody to join, or the first process was asked for something else.
    """
    if not options.run.distributed:
        return action(options)
    with _patience():
        joined = _join()
    peers = None
    try:
        with tempfile.TemporaryDirectory(prefix="oatrpo_jax-", ignore_cleanup_errors=True) as name:
            beginning = "from the beginning" if options.run.resume is None else "going on"
            line = f"{shlex.join(arguments)} ({beginning})"
            with _patience():
                peers, first_line = connect(joined, line, Path(name))
            if line != first_line:
                raise UsageError(
                    f"distributed: expected the same in all processes, got {line} in process "
                    f"{joined.process_id} and {first_line} in the first; start all alike, and "
                    "where a run goes on let all of them see its directory"
                )
            with _patience():
                own = _own(options, joined, Path(name) / "run")
            with _heard(joined.process_id == 0):
                code = action(own)
    except BaseException as error:
        code = exit_code_for(error)
        if peers is not None:
            # What JAX raises may follow from the end of another process.
            peers.fail(code, may_follow=isinstance(error, RuntimeError | ValueError))
        # Before what JAX has left to do at exit, which would wait for the others for minutes.
        atexit.register(exit_at_once, code)
        raise
    return peers.end(code)


@contextmanager
def _patience() -> Iterator[None]:
    """Says that the others are waited for; ends this process if they never come."""

    def say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    def give_up() -> None:
        say(
            f"Usage error: distributed: expected all processes within {WAIT_SECONDS} s, got too "
            "few; start all of them, and see that they reach the first one's address"
        )
        exit_at_once(2)

    waiting = f"waiting for the other processes, {WAIT_SECONDS} s at most ..."
    timers = [threading.Timer(SOON_SECONDS, say, [waiting]), threading.Timer(WAIT_SECONDS, give_up)]
    for timer in timers:
        timer.daemon = True
        timer.start()
    try:
        yield
    finally:
        for timer in timers:
            timer.cancel()


def _join() -> Any:
    """Joins the processes that a launcher has started; returns JAX's state of them."""
    import jax

    # It would take SIGTERM for itself.
    jax.config.update("jax_enable_preemption_service", False)
    try:
        count, number = (int(os.environ[name]) if name in os.environ else None for name in GIVEN)
        jax.distributed.initialize(
            num_processes=count,
            process_id=number,
            initialization_timeout=2 * WAIT_SECONDS,
            heartbeat_timeout_seconds=HEARTBEAT_SECONDS,
        )
    except (ValueError, RuntimeError) as error:
        raise UsageError(
            "distributed: expected one of several processes that SLURM, Open MPI, Kubernetes or a "
            "Cloud TPU has started, or JAX_COORDINATOR_ADDRESS=HOST:PORT, "
            f"{'=N and '.join(GIVEN)}=0..N-1, got none that can be joined "
            f"({str(error).splitlines()[0]}); start them so, or leave out --distributed"
        ) from error
    # JAX offers no other way to its store of names, nor to the first one's address.
    from jax._src.distributed import global_state

    return global_state


@contextmanager
def _heard(is_heard: bool) -> Iterator[None]:
    """Leaves stdout and stderr as they are, or lets nobody hear; errors that are raised pass."""
    with ExitStack() as stack:
        if not is_heard:
            nowhere = stack.enter_context(open(os.devnull, "w"))
            stack.enter_context(redirect_stdout(nowhere))
            stack.enter_context(redirect_stderr(nowhere))
        yield


def _own(options: Options, joined: Any, copy: Path) -> Options:
    """Returns the options of this process, for which a run is copied unless it is the first."""
    run, own = options.run, {}
    if joined.process_id:
        own = {"log": ("csv",), "out": copy}
        if run.resume is not None:
            ignored = shutil.ignore_patterns(".*", "*.gif", "*.png", "tensorboard", "wandb")
            own = {"log": ("csv",), "resume": shutil.copytree(run.resume, copy, ignore=ignored)}
    # The first one changes nothing before the others have copied.
    joined.client.wait_at_barrier("oatrpo_jax/own", 2000 * WAIT_SECONDS)
    return dataclasses.replace(options, run=dataclasses.replace(run, **own))


def of_the_first(number: int) -> int:
    """Returns the first process's number in all of them, where clocks would say several."""
    from jax.experimental.multihost_utils import broadcast_one_to_all

    return int(broadcast_one_to_all(number))


def agree_to_stop(stop: StopRequest) -> bool:
    """Returns, in all processes, whether any of them has been asked to stop."""
    if number := max(_of_all(stop.signal or 0)):
        stop.signal = Signals(number)
    return bool(stop)


def alike(what: str, value: Value) -> Value:
    """Returns a value that all processes have to have alike.

    Args:
        value: as JSON may hold it.

    Raises:
        UsageError: if another process has another one.
    """
    found = _of_all(zlib.crc32(json_bytes({what: value})) >> 1)
    if differ := [place for place, each in enumerate(found) if each != found[0]]:
        raise UsageError(
            f"distributed: expected the same {what} in all processes, got another one in process "
            f"{differ[0]} than in the first; give all the same versions, settings and files, and "
            "wait until all see the same in the run's directory"
        )
    return value


def _of_all(number: int) -> list[int]:
    """Returns a number of each process, in all of them."""
    from jax.experimental.multihost_utils import process_allgather

    return process_allgather(np.array([number], np.int32)).ravel().tolist()
