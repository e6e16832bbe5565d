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


def test_all_wait_for_each_other_and_return_the_code_of_the_first(ended, monkeypatch, tmp_path):
    monkeypatch.setattr(peers, "SILENT_SECONDS", 1.0)
    pairs = [Pipe() for _ in range(2)]
    first = Peers(0, {pair[0]: number for number, pair in enumerate(pairs, 1)}, tmp_path)
    others = [Peers(number, {pair[1]: 0}, tmp_path) for number, pair in enumerate(pairs, 1)]
    codes: list[int] = []
    threads = [
        threading.Thread(target=lambda other=other: codes.append(other.end(0))) for other in others
    ]
    for thread in threads:
        thread.start()
    time.sleep(3 * peers.SILENT_SECONDS)
    assert codes == []  # The first one has more to do, and is heard of.
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
        f"Process {number} has ended early; python experiments/run.py --resume goes on"
    )
    assert errors.getvalue().endswith(f"newest checkpoint. Process {me} ends as well.\n")


def test_a_process_that_is_silent_is_given_up(ended, monkeypatch, tmp_path):
    monkeypatch.setattr(peers, "SILENT_SECONDS", 1.0)
    monkeypatch.setattr(sys, "stderr", errors := io.StringIO())
    here, there = Pipe()
    Peers(0, {here: 1}, tmp_path)
    until(lambda: ended)
    assert errors.getvalue().startswith("Process 1 has fallen silent; ")
    assert there.recv_bytes() == b"beat"  # It was heard of meanwhile.


@pytest.mark.parametrize("ends", ["early", "by an error"])
def test_what_ends_one_is_told_to_all(ended, monkeypatch, tmp_path, ends):
    """Process 2 of three; process 1 sees process 0 alone, which tells what it has seen."""
    monkeypatch.setattr(sys, "stderr", errors := io.StringIO())
    pairs = [Pipe() for _ in range(2)]
    Peers(0, {pair[0]: number for number, pair in enumerate(pairs, 1)}, tmp_path)
    Peers(1, {pairs[0][1]: 0}, tmp_path)
    if ends == "early":
        pairs[1][1].close()
    else:
        Peers(2, {pairs[1][1]: 0}, tmp_path).fail(2, may_follow=False)
    until(lambda: len(ended) == 2)
    assert ended == [1, 1] if ends == "early" else [2, 2]
    told = "by an error, which it tells" if ends != "early" else "early; "
    assert errors.getvalue().count(f"Process 2 has ended {told}") == 2
    assert [f"Process {number} ends as well" in errors.getvalue() for number in (0, 1, 2)] == [
        True,
        True,
        False,
    ]
