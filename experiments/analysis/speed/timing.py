"""Timing side by side, in turns: the effort, a side, and the section that comes out."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax
from rich.table import Table

from experiments.training.settings.provenance import versions
from oatrpo_jax import Config

Row = dict[str, Any]
Init = Callable[[jax.Array], Any]
"""key -> carry."""
Advance = Callable[[Any], tuple[Any, Any]]
"""carry -> (carry, anything)."""


@dataclass(frozen=True)
class Effort:
    """How large programs are, and how often they are timed.

    Attributes:
        repeats: timings of every side, in turns, after one to warm up.
        config: settings that a measurement begins with.
        largest: the largest entry of a growing series, as a share of the whole one.
    """

    repeats: int
    config: Config
    largest: float = 1.0

    def series(self, *sizes: int) -> Sequence[int]:
        """Returns the sizes of a growing series that are not too large; two if all are."""
        return [size for size in sizes if size <= self.largest * sizes[-1]] or sizes[:2]


WHOLE = Effort(5, Config(reset_interval=8))
_TINY = replace(WHOLE.config, num_envs=8, rollout_length=8, num_epochs=1, critic_epochs=1)
QUICK = Effort(2, _TINY, largest=0.13)


class Section(NamedTuple):
    """A finished measurement: what was measured and how, and rows that have the same columns."""

    title: str
    rows: Sequence[Row]

    def table(self) -> Table:
        """Returns the rows as they are printed."""
        table = Table(*self.rows[0], title=self.title, title_justify="left")
        for row in self.rows:
            table.add_row(*(_text(value) for value in row.values()))
        return table


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


class Side:
    """A program that is run again and again, and how long its runs took.

    Attributes:
        seconds: of each run but the first, which warms up.
        env_steps: steps of environments in one run.
        compile_seconds: what tracing and compiling took.
        temporaries: megabytes that the program needs beside its arguments and results.
    """

    def __init__(self, init: Init, advance: Advance, env_steps: int = 0) -> None:
        """Compiles ``advance`` and runs it once; each run goes on from the carry of the last."""
        self._carry = jax.jit(init)(jax.random.key(0))
        start = time.perf_counter()
        # Donated, lest what a carry keeps is copied: a rollout that all updates learn from.
        self._advance = jax.jit(advance, donate_argnums=0).lower(self._carry).compile()
        self.compile_seconds = time.perf_counter() - start
        memory = self._advance.memory_analysis()
        self.temporaries = memory.temp_size_in_bytes / 1e6 if memory else 0.0
        self.env_steps = env_steps
        self.seconds: list[float] = []
        self.run()
        self.seconds.clear()

    def run(self) -> None:
        """Runs once more."""
        start = time.perf_counter()
        self._carry, _ = jax.block_until_ready(self._advance(self._carry))
        self.seconds.append(time.perf_counter() - start)

    @property
    def median(self) -> float:
        """Median seconds of a run."""
        return statistics.median(self.seconds)

    def over(self, other: Side) -> float:
        """Returns the median of its seconds over another's, run by run."""
        return statistics.median(a / b for a, b in zip(self.seconds, other.seconds, strict=True))

    def rate(self) -> Row:
        """Returns environment steps per second: the median, and the extremes of all runs."""
        rates = [self.env_steps / seconds for seconds in self.seconds]
        return {"steps/s": statistics.median(rates), "least": min(rates), "most": max(rates)}


def time_in_turns(sides: Iterable[Side], repeats: int) -> None:
    """Runs each side so many times; all take their turn in every round."""
    for _ in range(repeats):
        for side in sides:
            side.run()


def compare_rates(environment: str, sides: Mapping[str, Side], repeats: int) -> list[Row]:
    """Returns each side's environment steps per second, and how many times the first side's."""
    time_in_turns(sides.values(), repeats)
    name, first = next(iter(sides.items()))
    return [
        {"environment": environment, "what": what}
        | side.rate()
        | {f"over {name}": first.over(side) * side.env_steps / first.env_steps}
        for what, side in sides.items()
    ]


def machine() -> str:
    """Returns what the figures were measured on: device, cores, how busy, versions."""
    device = jax.devices()[0]
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    packages = ", ".join(f"{name} {version}" for name, version in versions().items())
    processor = f"{platform.machine()}, {os.cpu_count()} cores{load}"
    return f"{device.device_kind} ({device.platform}), {processor}; {packages}"
