"""Processes that watch each other, over pipes: threads stand for them."""

import io
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing import Pipe

import pytest

from experiments.training import peers
from experiments.training.peers import Peers

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The exit codes of processes that were ended, whose threads end instead."""
    codes: list[int] = []

    def note(code: int) -> None:
        codes.append(code)
        raise SystemExit(code)  # Ends a thread without a word.

    monkeypatch.setattr(peers, "exit_at_once", note)
    monkeypatch.setattr(peers, "BEAT_SECONDS", 0.05)
    return codes


def until(condition: Callable[[], object]) -> None:
    """Waits for what another thread does; fails if it does not."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_all_wait_for_each_other_and_return_the_code_of_the_first(ended, tmp_path):
    pairs = [Pipe() for _ in range(2)]
    first = Peers(0, {pair[0]: number for number, pair in enumerate(pairs, 1)}, tmp_path)
    others = [Peers(number, {pair[1]: 0}, tmp_path) for number, pair in enumerate(pairs, 1)]
    codes: list[int] = []
    threads = [
        threading.Thread(target=lambda other=other: codes.append(other.end(0))) for other in others
    ]
    for thread in threads:
        thread.start()
    time.sleep(0.2)
    assert codes == []  # They beat, and the first one goes on.
    assert first.end(3) == 3
    for thread in threads:
        thread.join(30)
    assert codes == [3, 3] and ended == []


@pytest.mark.parametrize("number", [0, 2])
def test_a_process_that_has_ended_ends_those_that_see_it(ended, monkeypatch, number, tmp_path):
    monkeypatch.setattr(sys, "stderr", errors := io.StringIO())
    here, there = Pipe()
    (folder := tmp_path / "own").mkdir()
    me = 1 if number == 0 else 0
    Peers(me, {here: number}, folder)
    there.close()
    until(lambda: ended)
    assert ended == [1]
    until(lambda: not folder.exists())
    assert errors.getvalue().startswith(
        f"Process {number} has ended early, so process {me} ends as well. python experiments/run.py"
    )


def test_a_process_that_is_silent_is_given_up(ended, monkeypatch, tmp_path):
    monkeypatch.setattr(peers, "SILENT_SECONDS", 1.0)
    monkeypatch.setattr(sys, "stderr", errors := io.StringIO())
    here, there = Pipe()
    Peers(0, {here: 1}, tmp_path)
    until(lambda: ended)
    assert errors.getvalue().startswith("Process 1 has been silent for 1 s, so process 0 ends")
    assert there.recv_bytes() == b""  # It was heard of meanwhile.


def test_an_error_here_ends_the_others(ended, monkeypatch, tmp_path):
    here, there = Pipe()
    first, other = Peers(0, {here: 1}, tmp_path), Peers(1, {there: 0}, tmp_path)
    assert other is not first
    first.end_early()
    until(lambda: len(ended) == 1)
