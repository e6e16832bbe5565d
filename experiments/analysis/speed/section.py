"""What every measurement takes and gives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from rich.table import Table

from oatrpo_jax import Config


@dataclass(frozen=True)
class Effort:
    """How large the programs are and how often they are timed.

    Attributes:
        repeats: timings of every side, taken in turns after one to warm up.
        num_envs: parallel environments.
        rollout_length: steps between updates.
        num_epochs: passes of policies and critic.
        largest: the largest entry of a growing series, as a share of the whole one.
    """

    repeats: int = 5
    num_envs: int = 64
    rollout_length: int = 128
    num_epochs: int = 5
    largest: float = 1.0

    def config(self, **changes: Any) -> Config:
        """Returns settings of this size: two hidden layers of 64, fresh starts every 8 steps."""
        size = {
            "num_envs": self.num_envs,
            "rollout_length": self.rollout_length,
            "num_epochs": self.num_epochs,
            "critic_epochs": self.num_epochs,
            "reset_interval": 8,
        }
        return Config(**{**size, **changes})

    def series(self, *sizes: int) -> Sequence[int]:
        """Returns the sizes of a growing series that are not too large; two if all are."""
        return [size for size in sizes if size <= self.largest * sizes[-1]] or sizes[:2]


WHOLE = Effort()
QUICK = Effort(repeats=2, num_envs=8, rollout_length=8, num_epochs=1, largest=0.13)


@dataclass(frozen=True)
class Section:
    """A finished measurement.

    Attributes:
        name: as on the command line.
        title: what was measured, and how.
        rows: one per thing measured, by column; all have the same columns.
        label: the column that tells rows apart.
        drawn: the columns to draw.
        scale: bars by label, or lines over a number on logarithmic axes.
        line: the column that tells lines apart.
    """

    name: str
    title: str
    rows: tuple[dict[str, Any], ...]
    label: str
    drawn: tuple[str, ...]
    scale: Literal["bars", "lines"] = "bars"
    line: str = ""

    def table(self) -> Table:
        """Returns the rows as they are printed."""
        table = Table(*self.rows[0], title=self.title, title_justify="left")
        for row in self.rows:
            table.add_row(*(_text(value) for value in row.values()))
        return table

    def data(self) -> dict[str, Any]:
        """Returns what bench.json holds."""
        return asdict(self)


Measure = Callable[[Effort], Section]


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)
