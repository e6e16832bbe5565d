"""The other processes of a run: each is watched, so that none waits for one that is gone."""

from __future__ import annotations

import hmac
import os
import secrets
import socket
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, NoReturn

from experiments.training.errors import UsageError
from experiments.training.naming import command
from experiments.training.signals import aside

BEAT_SECONDS = 2.0
"""How often a process is heard of."""

SILENT_SECONDS = 20.0
"""How long it may be silent until it is given up: its machine or the network is gone."""

GREETING_SECONDS = 10.0
"""How long one that connects may take to say who it is."""

WAIT_SECONDS = 300
"""How long one waits for another at the start, and while a run is copied."""

BEAT, DONE, FAILED, GONE = b"beat", b"done", b"failed", b"gone"
"""What processes tell each other: that they are there; an exit code; that of an error, and whose;
which other one is gone."""


class Peers:
    """The other processes, as this one sees them: the first sees all, each other sees the first."""

    def __init__(self, number: int, connections: Mapping[Connection, int], folder: Path) -> None:
        """Begins to watch.

        Args:
            folder: of this process alone, removed if it ends because of another.
        """
        self._number, self._connections, self._folder = number, connections, folder
        self._first_code, self._is_failing = 0, False
        self._stderr, self._lock, self._has_told = sys.stderr, threading.Lock(), threading.Event()
        self._watch = threading.Thread(target=self._listen, name="peers", daemon=True)
        self._watch.start()
        threading.Thread(target=self._beat, name="beats", daemon=True).start()

    def end(self, code: int) -> int:
        """Waits until all others have come to their end as well; returns the first one's code."""
        self._tell(DONE, code)
        self._has_told.set()
        self._watch.join()
        return self._first_code if self._number else code

    def fail(self, code: int, may_follow: bool) -> None:
        """Ends the others after an error of this process.

        Args:
            code: with which it exits.
            may_follow: whether the error may follow from the end of another, which then is what is
                said, and ends this process here.
        """
        if may_follow:
            time.sleep(1.0)
        self._is_failing = True
        self._tell(FAILED, code, self._number)

    def _beat(self) -> None:
        while not self._has_told.wait(BEAT_SECONDS):
            self._tell(BEAT)

    def _listen(self) -> None:
        """Goes on until each other process has told that it is done."""
        heard = dict.fromkeys(self._connections, time.monotonic())
        while heard:
            for connection in wait([*heard], BEAT_SECONDS):
                assert isinstance(connection, Connection)
                heard[connection] = time.monotonic()
                if self._hear(connection):
                    del heard[connection]
            for connection, at in heard.items():
                if time.monotonic() - at > SILENT_SECONDS:
                    self._end_without(self._connections[connection], "has fallen silent")

    def _hear(self, connection: Connection) -> bool:
        """Returns whether a process is done, given what it tells."""
        sender = self._connections[connection]
        try:
            kind, *numbers = connection.recv_bytes().split()
        except (EOFError, OSError):
            self._end_without(sender)
        if kind == FAILED:
            code, who = map(int, numbers)
            self._end(
                f"Process {who} has ended by an error, which it tells", code, FAILED, code, who
            )
        if kind == GONE:
            self._end_without(int(*numbers))
        if kind == DONE and sender == 0:
            self._first_code = int(*numbers)
        return kind == DONE

    def _tell(self, kind: bytes, *numbers: int) -> None:
        text = b" ".join([kind, *(b"%d" % number for number in numbers)])
        for connection in self._connections:
            with self._lock, suppress(OSError):  # Whoever listens there notices.
                connection.send_bytes(text)

    def _end_without(self, number: int, what: str = "has ended early") -> NoReturn:
        """Ends all after a process that cannot say why it is gone."""
        advice = f"{command('run')} --resume goes on from the newest checkpoint"
        self._end(f"Process {number} {what}; {advice}", 1, GONE, number)

    def _end(self, reason: str, code: int, kind: bytes, *numbers: int) -> NoReturn:
        """Says why, to the others as well, and ends this process.

        In haste, as JAX notices soon, too, and aborts.
        """
        if self._is_failing:
            sys.exit()  # The thread alone: the process has an error of its own to show.
        sys.setswitchinterval(1e-6)
        try:
            self._tell(kind, *numbers)
            text = f"{reason}. Process {self._number} ends as well."
            aside(lambda: print(text, file=self._stderr, flush=True))
            os.posix_spawnp("rm", ["rm", "-rf", str(self._folder)], os.environ)
        finally:
            exit_at_once(code)


def exit_at_once(code: int) -> NoReturn:
    """Ends this process without waiting for anything."""
    with suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def connect(joined: Any, line: str, folder: Path) -> tuple[Peers, str]:
    """Connects each process with the first: the system tells at once if one of them dies.

    Args:
        joined: JAX's state of the processes, which have joined.
        line: a text of this process.
        folder: see `Peers`.

    Returns:
        the others, and the text of the first process.

    Raises:
        UsageError: if the first one cannot be reached.
    """
    number, store, key = joined.process_id, joined.client, "oatrpo_jax/first"
    if number == 0:
        secret, bound = secrets.token_bytes(16), os.environ.get("JAX_COORDINATOR_BIND_ADDRESS", ":")
        with _listen_at(_host(bound)) as server:
            store.key_value_set(key, f"{secret.hex()} {server.getsockname()[1]} {line}")
            connections: dict[int, Connection] = {}
            while len(connections) < joined.num_processes - 1:
                connections |= _accept(server, secret)
        for connection in connections.values():
            connection.send_bytes(BEAT)  # All are here.
        return Peers(0, {each: place for place, each in connections.items()}, folder), line
    secret, port, first_line = store.blocking_key_value_get(key, 1000 * WAIT_SECONDS).split(" ", 2)
    address = _host(joined.coordinator_address), int(port)
    try:
        link = socket.create_connection(address, WAIT_SECONDS)
        link.sendall(bytes.fromhex(secret) + number.to_bytes(4))
        link.settimeout(None)
        first = Connection(link.detach())
        first.recv_bytes()
    except (OSError, EOFError) as error:
        raise UsageError(
            f"distributed: expected to reach the first process at {address[0]}, port {port}, got "
            f"{error or 'no answer'}; let the machines of a run reach each other on every port"
        ) from error
    return Peers(number, {first: 0}, folder), first_line


def _host(address: str) -> str:
    """Returns the host of an address.

    >>> _host("[::1]:1234"), _host("node-1:1234"), _host(":1234")
    ('::1', 'node-1', '')
    """
    return address.rpartition(":")[0].strip("[]")


def _listen_at(host: str) -> socket.socket:
    """Returns a socket that listens at a free port; an empty host, or ``::``, means all."""
    if host in ("", "::") and socket.has_dualstack_ipv6():
        return socket.create_server(("", 0), family=socket.AF_INET6, dualstack_ipv6=True)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, 0), family=family)


def _accept(server: socket.socket, secret: bytes) -> dict[int, Connection]:
    """Returns the connection to the next process that knows the secret; none to a stranger."""
    link, _ = server.accept()
    link.settimeout(GREETING_SECONDS)
    with suppress(OSError):
        greeting = link.recv(len(secret) + 4, socket.MSG_WAITALL)
        if hmac.compare_digest(greeting[:-4], secret):
            link.settimeout(None)
            return {int.from_bytes(greeting[-4:]): Connection(link.detach())}
    link.close()
    return {}
