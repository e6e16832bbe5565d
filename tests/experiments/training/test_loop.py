"""The order of what the host does: the device waits only where its state is needed."""

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import jax.numpy as jnp
import pytest

from experiments.training import chunks
from experiments.training.chunks import Device
from experiments.training.loop import Training
from experiments.training.position import Position, RunState
from experiments.training.program import Compiled
from experiments.training.signals import StopRequest

NAN = float("nan")


class Recorder(Training):
    """A training of 4 updates of which nothing is written: it lists what is done instead."""

    def __init__(self, save_every: int = 0, eval_every: int = 0, lost_at: int = 0) -> None:
        self.events: list[str] = []
        settings = SimpleNamespace(num_updates=4)
        self.experiment: Any = SimpleNamespace(config=settings, seeds=(0,), points=("only",))
        self.position = Position(RunState(0, None), 0, 0.0, {})  # type: ignore[arg-type]
        self.logs: Any = ()
        self.stop = StopRequest()
        self.on_record: Callable[[int], None] = lambda update: None
        self.checkpoints: Any = SimpleNamespace(
            every=save_every,
            is_due=lambda update: save_every > 0 and update % save_every == 0,
            save=lambda state, update, *_, **__: self.note(f"save {update}", state, update),
        )
        self.evaluator: Any = SimpleNamespace(
            every=eval_every, is_due=lambda update: eval_every > 0 and update % eval_every == 0
        )
        self.lost_at = lost_at

    def note(self, text: str, state: Any, update: int) -> None:
        assert state.train == update  # The state is the one of that update, and not given away.
        self.events.append(text)

    def _evaluate(self, _: Any) -> None:
        update = self.position.num_updates
        self.note(f"evaluate {update}", self.position.state, update)

    def show(self, _: Any, updates: Sequence[int]) -> None:
        self.events.append(f"record {updates[-1]}")
        self.on_record(updates[-1])

    def advance(self, state: int, count: int) -> tuple[int, dict[str, Any]]:
        loss = [NAN if state + 1 + index == self.lost_at else 0.0 for index in range(count)]
        ones = jnp.ones((count, 1, 1))
        return state + count, {
            "episode/count": ones,
            "critic/loss": jnp.asarray(loss)[:, None, None],
        }


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[list[str], Position]]:
    """Trains 4 updates in chunks of one; returns what happened in which order."""

    def run(recorder: Recorder) -> tuple[list[str], Position]:
        start = Device.start

        def noted(device: Device, state: Any) -> None:
            if state < 4:
                recorder.events.append(f"start {state + 1}")
            start(device, state)

        monkeypatch.setattr(Device, "start", noted)
        monkeypatch.setattr(chunks, "next_length", lambda *_, **__: 1)
        program = Compiled(lambda: None, recorder.advance, 0.0)  # type: ignore[arg-type, return-value]
        line: Any = recorder
        recorder.train(program, recorder.stop, (), line)
        return recorder.events, recorder.position

    return run


def test_the_next_chunk_is_under_way_when_the_last_one_is_logged(run):
    events, position = run(Recorder())
    between = ["start 2", "record 1", "start 3", "record 2", "start 4", "record 3"]
    assert events == ["start 1", *between, "record 4", "save 4"]
    assert position.num_updates == position.state.train == 4


def test_the_device_waits_where_its_state_is_needed(run):
    events, _ = run(Recorder(save_every=2, eval_every=3))
    expected = ["start 1", "start 2", "record 1", "record 2", "save 2", "start 3", "record 3"]
    # The second save of update 4 is the one at the end; `Checkpoints` passes it over.
    assert events == [*expected, "evaluate 3", "start 4", "record 4", "save 4", "save 4"]


def test_a_chunk_under_way_when_the_run_is_stopped_is_logged_and_saved(run):
    recorder = Recorder()

    def stop(update: int) -> None:
        recorder.stop.signal = 15 if update == 1 else recorder.stop.signal  # type: ignore[assignment]

    recorder.on_record = stop
    events, position = run(recorder)
    assert events == ["start 1", "start 2", "record 1", "record 2", "save 2"]
    assert position.num_updates == 2


def test_nothing_is_started_once_no_sound_point_is_left(run):
    events, position = run(Recorder(lost_at=3))
    between = ["start 2", "record 1", "start 3", "record 2"]
    assert events == ["start 1", *between, "record 3"]
    assert position.diverged[0].update == 3
