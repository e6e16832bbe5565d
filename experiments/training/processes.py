"""Several processes that train one run: how they meet, decide as one, and end together.

All do the same, each with its own devices.  The first alone is seen: it has the run's directory and
the console.
"""

from __future__ import annotations

import atexit
import dataclasses
import os
import secrets
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from multiprocessing.connection import Client, Connection, Listener, wait
from pathlib import Path
from signal import Signals
from typing import Any, NoReturn

from experiments.training.errors import UsageError, exit_code_for
from experiments.training.naming import command
from experiments.training.settings.options import Options
from experiments.training.signals import StopRequest

HEARTBEAT_SECONDS = 20
"""How long a process may be silent, because its machine is gone, until JAX ends all others."""

WAIT_SECONDS = 300
"""How long they wait for each other at the start, and while a run is copied."""

GIVEN = ("JAX_NUM_PROCESSES", "JAX_PROCESS_ID")
"""What JAX does not read by itself, other than JAX_COORDINATOR_ADDRESS."""


def together(
    action: Callable[[Options], int], options: Options, arguments: Sequence[str] = ()
) -> int:
    """Returns the exit code of what all processes do; the first one's counts for all.

    Where one ends early, whatever the reason, the others end within a second, with code 1.

    Args:
        action: what each of them does, given its own options: the first has the run's directory,
            each other a temporary one.  So all read and write alike, and what the others write is
            thrown away.
        options: of the run, by which it is distributed or not.
        arguments: the command line, which has to be the same everywhere.

    Raises:
        UsageError: if there is nobody to join, or another process was asked for something else.
    """
    import jax

    if not options.run.distributed:
        return action(options)
    peers = None
    try:
        peers = _meet(arguments)
        with peers.only_the_first_is_heard():
            code = action(peers.own(options))
    except BaseException as error:
        if peers is not None:
            peers.end_early()
        if jax.distributed.is_initialized():
            # Before what JAX has left to do at exit, which would wait for the others for minutes.
            atexit.register(_exit, exit_code_for(error))
        raise
    return peers.end(code)


class Peers:
    """The other processes, as this one sees them: the first sees all, each other sees the first."""

    def __init__(self, joined: Any, connections: Mapping[Connection, int]) -> None:
        """Begins to watch.

        Args:
            joined: what JAX knows of the processes.
            connections: to the others, with their numbers.
        """
        self._joined, self._connections = joined, connections
        self._number, self._first_code = joined.process_id, 0
        self._folder: Path | None = None
        self._stderr = sys.stderr
        self._watch = threading.Thread(target=self._wait_for_all, name="peers", daemon=True)
        self._watch.start()

    @contextmanager
    def only_the_first_is_heard(self) -> Iterator[None]:
        """Keeps stdout and stderr to the first process; errors that are raised pass."""
        with ExitStack() as stack:
            if self._number:
                nowhere = stack.enter_context(open(os.devnull, "w"))
                stack.enter_context(redirect_stdout(nowhere))
                stack.enter_context(redirect_stderr(nowhere))
            yield

    def own(self, options: Options) -> Options:
        """Returns the options of this process."""
        run, own = options.run, {}
        if self._number:
            self._folder = Path(tempfile.mkdtemp(prefix="oatrpo_jax-"))
            own = {"log": ("csv",), "out": self._folder / "run"}
            if run.resume is not None:
                ignored = shutil.ignore_patterns(".*", "tensorboard", "wandb")
                own["resume"] = shutil.copytree(run.resume, own.pop("out"), ignore=ignored)
        # The first one changes nothing before the others have copied.
        self._joined.client.wait_at_barrier("oatrpo_jax/own", 1000 * WAIT_SECONDS)
        return dataclasses.replace(options, run=dataclasses.replace(run, **own))

    def end(self, code: int) -> int:
        """Waits until all others have come to their end as well; returns the first one's code."""
        self._clear()
        for connection in self._connections:
            connection.send_bytes(str(code).encode())
        self._watch.join()
        return self._first_code if self._number else code

    def end_early(self) -> None:
        """Ends the others after an error of this process.

        If one of them had ended before, the error followed from that, and this process ends here.
        """
        time.sleep(1.0)
        self._clear()
        for connection in self._connections:
            connection.close()

    def _wait_for_all(self) -> None:
        others = dict(self._connections)
        while others:
            for connection in wait([*others]):
                number = others.pop(connection)  # type: ignore[arg-type]
                try:
                    code = int(connection.recv_bytes())  # type: ignore[union-attr]
                except (EOFError, OSError):
                    self._end_after(number)
                if number == 0:
                    self._first_code = code

    def _end_after(self, number: int) -> NoReturn:
        self._clear()
        print(
            f"Process {number} has ended early, so process {self._number} ends as well. "
            f"{command('run')} --resume goes on from the newest checkpoint.",
            file=self._stderr,
        )
        _exit(1)

    def _clear(self) -> None:
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)


def _exit(code: int) -> NoReturn:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _meet(arguments: Sequence[str]) -> Peers:
    """Joins the processes that a launcher has started, before JAX looks for devices."""
    import jax

    # It would take SIGTERM for itself.
    jax.config.update("jax_enable_preemption_service", False)
    try:
        count, number = (int(os.environ[name]) if name in os.environ else None for name in GIVEN)
        jax.distributed.initialize(
            num_processes=count, process_id=number, heartbeat_timeout_seconds=HEARTBEAT_SECONDS
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

    return _watch(global_state, list(arguments))


def _watch(joined: Any, arguments: Sequence[str]) -> Peers:
    """Connects each process with the first: the system says at once if one of them has died."""
    number, key = joined.process_id, "oatrpo_jax/first"
    if number == 0:
        bound = os.environ.get("JAX_COORDINATOR_BIND_ADDRESS", ":").rpartition(":")[0]
        address, secret = (bound.strip("[]"), 0), secrets.token_hex()
        with Listener(address, backlog=joined.num_processes, authkey=secret.encode()) as listener:
            port = str(listener.address[1])
            joined.client.key_value_set(key, "\n".join([secret, port, *arguments]))
            accepted = [listener.accept() for _ in range(1, joined.num_processes)]
        return Peers(joined, {each: int(each.recv_bytes()) for each in accepted})
    text = joined.client.blocking_key_value_get(key, 1000 * WAIT_SECONDS)
    secret, port, *of_first = text.split("\n")
    host = joined.coordinator_address.rpartition(":")[0].strip("[]")
    first = Client((host, int(port)), authkey=secret.encode())
    first.send_bytes(str(number).encode())
    if of_first != list(arguments):
        raise UsageError(
            f"distributed: expected the same options in all processes, got {' '.join(arguments)} "
            f"in process {number} and {' '.join(of_first)} in the first; start all alike"
        )
    return Peers(joined, {first: 0})


def of_the_first(number: int) -> int:
    """Returns the first process's number in all of them, where clocks would say several."""
    from jax.experimental.multihost_utils import broadcast_one_to_all

    return int(broadcast_one_to_all(number))


def largest(number: int) -> int:
    """Returns the largest of the numbers that the processes have."""
    from jax.experimental.multihost_utils import process_allgather

    return int(process_allgather(number).max())


def agree_to_stop(stop: StopRequest) -> bool:
    """Returns, in all processes, whether any of them has been asked to stop."""
    if number := largest(stop.signal or 0):
        stop.signal = Signals(number)
    return bool(stop)
