"""The other processes of a run: each is watched, so that none waits for one that is gone."""

from __future__ import annotations

import os
import secrets
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from multiprocessing.connection import Client, Connection, Listener, wait
from pathlib import Path
from typing import Any, NoReturn

from experiments.training.naming import command

BEAT_SECONDS = 2.0
"""How often a process is heard of."""

SILENT_SECONDS = 20.0
"""How long it may be silent until it is given up: its machine or the network is gone."""

EARLY = b"early"
"""What a process says that ends by an error; one that was killed says nothing."""

WAIT_SECONDS = 300
"""How long one waits for another at the start, and while a run is copied."""


class Peers:
    """The other processes, as this one sees them: the first sees all, each other sees the first."""

    def __init__(self, number: int, connections: Mapping[Connection, int], folder: Path) -> None:
        """Begins to watch.

        Args:
            number: of this process.
            connections: to the others, with their numbers.
            folder: of this process alone, removed if it ends because of another.
        """
        self._number, self._connections, self._folder = number, connections, folder
        self._first_code, self._is_ending = 0, False
        self._stderr, self._lock = sys.stderr, threading.Lock()
        self._watch = threading.Thread(target=self._wait_for_all, name="peers", daemon=True)
        self._watch.start()

    def end(self, code: int) -> int:
        """Waits until all others have come to their end as well; returns the first one's code."""
        self._send(str(code).encode())
        self._watch.join()
        return self._first_code if self._number else code

    def end_early(self) -> None:
        """Ends the others after an error of this process.

        If one of them had ended before, the error followed from that, and this process ends here.
        """
        time.sleep(1.0)
        self._is_ending = True
        self._send(EARLY)

    def _wait_for_all(self) -> None:
        """Goes on until each other process has told how it ends; sends beats meanwhile."""
        heard, sent = dict.fromkeys(self._connections, time.monotonic()), 0.0
        while heard:
            for connection in wait([*heard], BEAT_SECONDS):
                assert isinstance(connection, Connection)
                heard[connection] = time.monotonic()
                if text := self._receive(connection):
                    del heard[connection]
                    self._first_code = int(text)
            now = time.monotonic()
            if now - sent >= BEAT_SECONDS:
                self._send(b"")
                sent = now
            for connection, at in heard.items():
                if now - at > SILENT_SECONDS:
                    self._end_after(connection, f"has been silent for {SILENT_SECONDS:.0f} s")

    def _receive(self, connection: Connection) -> bytes:
        """Returns a beat, which is empty, or an exit code."""
        try:
            text = connection.recv_bytes()
        except (EOFError, OSError):
            text = EARLY
        if text == EARLY:
            self._end_after(connection, "has ended early")
        return text

    def _send(self, text: bytes) -> None:
        for connection in self._connections:
            with self._lock, suppress(OSError):  # It is noticed where one listens.
                connection.send_bytes(text)

    def _end_after(self, connection: Connection, what: str) -> NoReturn:
        if self._is_ending:
            sys.exit()  # The thread alone: the process has more to say.
        # In haste, as JAX notices as well, and aborts with no word that users understand.
        sys.setswitchinterval(1e-6)
        print(
            f"Process {self._connections[connection]} {what}, so process {self._number} ends as "
            f"well. {command('run')} --resume goes on from the newest checkpoint.",
            file=self._stderr,
            flush=True,
        )
        os.posix_spawnp("rm", ["rm", "-rf", str(self._folder)], os.environ)
        exit_at_once(1)


def exit_at_once(code: int) -> NoReturn:
    """Ends this process without waiting for anything."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def connect(joined: Any, said: str, folder: Path) -> tuple[Peers, str]:
    """Connects each process with the first: the system tells at once if one of them dies.

    Args:
        joined: JAX's state of the processes, which have joined.
        said: a text of this process.
        folder: see `Peers`.

    Returns:
        the others, and the text of the first process.
    """
    number, store, key = joined.process_id, joined.client, "oatrpo_jax/first"
    if number == 0:
        bound = os.environ.get("JAX_COORDINATOR_BIND_ADDRESS", ":").rpartition(":")[0]
        address, secret = (bound.strip("[]"), 0), secrets.token_hex()
        with Listener(address, backlog=joined.num_processes, authkey=secret.encode()) as listener:
            store.key_value_set(key, f"{secret} {listener.address[1]} {said}")
            accepted = [listener.accept() for _ in range(1, joined.num_processes)]
        return Peers(0, {each: int(each.recv_bytes()) for each in accepted}, folder), said
    text = store.blocking_key_value_get(key, 1000 * WAIT_SECONDS)
    secret, port, said_by_first = text.split(" ", 2)
    host = joined.coordinator_address.rpartition(":")[0].strip("[]")
    first = Client((host, int(port)), authkey=secret.encode())
    first.send_bytes(str(number).encode())
    return Peers(number, {first: 0}, folder), said_by_first
