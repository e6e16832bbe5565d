"""Signals are heard while the main thread is busy elsewhere; a second one ends the process."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from experiments.training.signals import StopRequest, interrupted_at_once, stop_on_signals

ROOT = Path(__file__).parents[3]

BUSY = """
import contextlib, hashlib, os, signal, sys
from experiments.training import signals
signals.ECHO_SECONDS = 0.5
context, is_full, *ignored = sys.argv[1:]
numbers = [getattr(signal, name) for name in ignored]
for number in numbers:
    signal.signal(number, signal.SIG_IGN)
if context == "interrupted_at_once":
    signal.signal(signal.SIGINT, lambda *_: None)  # A KeyboardInterrupt might come too early.
with getattr(signals, context)():
    assert all(signal.getsignal(number) == signal.SIG_IGN for number in numbers)
    if is_full == "True":
        os.set_blocking(2, False)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(2, bytes(4096))
        os.set_blocking(2, True)
    print("in", flush=True)
    # As XLA does: Python comes back to its handlers in minutes, and other threads go on.
    hashlib.pbkdf2_hmac("sha256", b"", b"", 10**9)
"""


@contextmanager
def busy(context: str, *ignored: str, is_full: bool = False) -> Iterator[subprocess.Popen]:
    """Starts a process that is busy in C within a context; goes on once it is.

    Args:
        context: a function of the module.
        ignored: names of signals that the process ignores.
        is_full: nobody reads its stderr, and no more fits in.
    """
    command = [sys.executable, "-c", BUSY, context, str(is_full), *ignored]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            assert process.stdout is not None and process.stdout.readline() == "in\n"
            yield process
        finally:
            process.kill()


def send(process: subprocess.Popen, number: signal.Signals) -> None:
    """Sends a signal, and what belongs to the same one; the process survives it."""
    for _ in range(3):
        process.send_signal(number)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.8)  # Longer than what is taken for an echo.


@pytest.mark.parametrize(
    ("number", "is_full"),
    [(signal.SIGINT, False), (signal.SIGTERM, True), (signal.SIGHUP, False)],
)
def test_a_second_signal_ends_the_process_whatever_it_does(number: signal.Signals, is_full: bool):
    with busy("stop_on_signals", is_full=is_full) as process:
        send(process, number)
        process.send_signal(number)
        assert process.wait(10) == 128 + number
        assert process.stderr is not None
        assert is_full or process.stderr.read().startswith("Stopping soon")


def test_a_second_interruption_ends_any_program():
    with busy("interrupted_at_once") as process:
        send(process, signal.SIGINT)
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130


def test_what_is_ignored_stays_ignored():
    with busy("stop_on_signals", "SIGINT", "SIGHUP") as process:
        assert process.stderr is not None
        send(process, signal.SIGINT)
        send(process, signal.SIGHUP)
        send(process, signal.SIGTERM)
        assert process.stderr.readline().startswith("Stopping soon")
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 128 + signal.SIGTERM
        assert process.stderr.read() == ""  # It was said once.


FORKING = """
import os, time
from experiments.training.signals import stop_on_signals
with stop_on_signals():
    if (child := os.fork()) == 0:
        time.sleep(60)
        os._exit(0)
print(child, flush=True)
os._exit(0)
"""


def test_a_process_that_was_forked_holds_nothing_up():
    command = [sys.executable, "-c", FORKING]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        os.kill(int(process.stdout.readline()), signal.SIGKILL)
        assert process.wait(10) == 0


def test_the_first_signal_is_a_request_and_everything_is_as_before_afterwards(capfd):
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    num_threads = threading.active_count()
    with stop_on_signals() as stop:
        assert not stop and stop.exit_code == 0
        signal.raise_signal(signal.SIGTERM)
    # At the end the thread has heard all.
    assert stop.signal == signal.SIGTERM and stop.exit_code == 143
    assert "once more stops at once" in capfd.readouterr().err
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
    assert threading.active_count() == num_threads


def test_a_first_interruption_is_an_exception_as_always():
    with pytest.raises(KeyboardInterrupt), interrupted_at_once():
        signal.raise_signal(signal.SIGINT)


def test_a_thread_that_gets_no_signals_trains_as_well():
    requests: list[StopRequest] = []

    def work() -> None:
        with stop_on_signals() as stop:
            requests.append(stop)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert not requests[0]
