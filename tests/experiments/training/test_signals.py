"""Signals are heard while the main thread is busy elsewhere; a second one ends the process."""

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from experiments.training.signals import StopRequest, interrupted_at_once, stop_on_signals

ROOT = Path(__file__).parents[3]

BUSY = """
import hashlib, signal, sys
from experiments.training import signals
signals.ECHO_SECONDS = 0.5
ignored = [getattr(signal, name) for name in sys.argv[2:]]
for number in ignored:
    signal.signal(number, signal.SIG_IGN)
with getattr(signals, sys.argv[1])():
    assert all(signal.getsignal(number) == signal.SIG_IGN for number in ignored)
    print("in", flush=True)
    # As XLA does: Python comes back to its own handlers in minutes, and lets other threads go on.
    hashlib.pbkdf2_hmac("sha256", b"", b"", 10**9)
"""


def busy(context: str, *ignored: str) -> subprocess.Popen:
    """Starts a process that is busy in C within a context; returns once it is."""
    command = [sys.executable, "-c", BUSY, context, *ignored]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, cwd=ROOT, stdout=pipe, stderr=pipe, text=True)
    assert process.stdout is not None and process.stdout.readline() == "in\n"
    return process


def send(process: subprocess.Popen, number: signal.Signals) -> None:
    """Sends a signal, and what belongs to the same one."""
    for _ in range(3):
        process.send_signal(number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_second_signal_ends_the_process_whatever_it_does(number: signal.Signals):
    with busy("stop_on_signals") as process:
        assert process.stderr is not None
        send(process, number)
        assert process.stderr.readline().startswith("Stopping soon")
        with pytest.raises(subprocess.TimeoutExpired):  # Longer than what is taken for an echo.
            process.wait(0.8)
        send(process, number)
        assert process.wait(10) == 128 + number


def test_a_second_interruption_ends_any_program():
    with busy("interrupted_at_once") as process:
        send(process, signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.8)
        send(process, signal.SIGINT)
        assert process.wait(10) == 130


def test_what_is_ignored_stays_ignored():
    with busy("stop_on_signals", "SIGINT", "SIGHUP") as process:
        assert process.stderr is not None
        send(process, signal.SIGINT)
        send(process, signal.SIGHUP)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.8)
        process.send_signal(signal.SIGTERM)
        assert process.stderr.readline().startswith("Stopping soon")  # Nothing else was said.
        process.kill()


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
