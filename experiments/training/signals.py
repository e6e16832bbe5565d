"""Signals: the first one asks a run to stop, a second one ends the process, whatever it does."""

from __future__ import annotations

import math
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Ctrl-C, a scheduler, a terminal that is closed."""

STOPPING_SOON = "Stopping soon, with everything saved; once more stops at once."

ECHO_SECONDS = 1.0
"""What follows a signal within this time is the same one: `timeout` sends its own twice, and a
scheduler may reach a process by itself and through the one that started it."""


class StopRequest:
    """Whether, and by which signal, the run has been asked to stop, here or in another process."""

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None

    def __bool__(self) -> bool:
        return self.signal is not None

    @property
    def exit_code(self) -> int:
        """What a shell says of a process that the signal ended: 128 + its number; 0 if none."""
        return 0 if self.signal is None else 128 + self.signal


@contextmanager
def stop_on_signals() -> Iterator[StopRequest]:
    """Turns a first SIGINT, SIGTERM or SIGHUP into a request to stop; a second one ends it all.

    Those that are ignored stay ignored: by nohup, or by a shell in the background.
    """
    request = StopRequest()
    numbers: list[int] = []

    def hear(number: int) -> None:
        numbers.append(number)
        if len(numbers) > 1:
            _end(number)
        request.signal = signal.Signals(number)
        aside(lambda: print(STOPPING_SOON, file=sys.stderr))

    with _heard_by(hear, STOPPING, handler=lambda *_: None):
        yield request


@contextmanager
def interrupted_at_once() -> Iterator[None]:
    """Lets a first Ctrl-C be a KeyboardInterrupt, as always, and a second one end the process."""
    numbers: list[int] = []

    def hear(number: int) -> None:
        numbers.append(number)
        if len(numbers) > 1:
            _end(number)

    with _heard_by(hear, [signal.SIGINT]):
        yield


def _end(number: int) -> None:
    """Ends the process; no file is left half written, as all are put in place when whole."""
    aside(_show_cursor)
    os._exit(128 + number)


def _show_cursor() -> None:
    if sys.stdout.isatty():
        os.write(sys.stdout.fileno(), b"\x1b[?25h\n")  # What moves there has hidden it.


def aside(action: Callable[[], None]) -> None:
    """Does something that may block, such as writing where nobody reads; waits a moment for it."""
    thread = threading.Thread(target=action, daemon=True)
    thread.start()
    thread.join(0.2)


@contextmanager
def _heard_by(
    hear: Callable[[int], None], numbers: Sequence[signal.Signals], handler: Any = None
) -> Iterator[None]:
    """Calls ``hear`` in a thread for each of these signals that is not ignored.

    Python's handlers wait for the main thread to come back from XLA, which may compile or compute
    for minutes.  The interpreter writes the signal's number into a socket at once.

    Args:
        handler: what Python does with them in its main thread; None leaves that as it is.
    """
    heard = [each for each in numbers if signal.getsignal(each) not in (signal.SIG_IGN, None)]
    if threading.current_thread() is not threading.main_thread() or not heard:
        yield  # Python takes signals in its main thread alone.
        return
    receiver, sender = socket.socketpair()
    sender.setblocking(False)

    def listen() -> None:
        last = -math.inf
        while number := receiver.recv(1):
            if number[0] in heard and time.monotonic() - last > ECHO_SECONDS:
                hear(number[0])
                last = time.monotonic()

    thread = threading.Thread(target=listen, name="signals", daemon=True)
    with ExitStack() as stack:
        # Undone in the opposite order: the thread ends as the socket that feeds it is closed.
        stack.callback(receiver.close)
        stack.callback(thread.join)
        stack.callback(sender.close)
        # Not only closed: a forked process may hold it open as well.
        stack.callback(sender.shutdown, socket.SHUT_WR)
        stack.callback(signal.set_wakeup_fd, signal.set_wakeup_fd(sender.fileno()))
        for each in heard:
            if handler is not None:
                stack.callback(signal.signal, each, signal.signal(each, handler))
        thread.start()
        yield
