"""Measures speed: ``python experiments/bench.py`` leaves bench.json and bench.png.

Every figure is a ratio within one process, sides taken in turns: absolute times on a shared machine
are noise.  Runs unchanged on whatever device JAX finds.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Annotated, Literal, get_args

import tyro
from rich.console import Console

if __name__ == "__main__":  # Python puts this script's folder on the path, not the repository.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from experiments.training.errors import UsageError, exit_code_of

PROGRAM = "experiments/bench.py"

Name = Literal["share", "reuse-cost", "seeds", "start", "growth", "limit"]


@dataclass(frozen=True)
class Bench:
    """Measures training's speed, each figure as a ratio within one process.

    Attributes:
        names: what to measure. share: training over random actions. reuse-cost: OAPPO's update over
            HAPPO's by number of agents. seeds: many seeds and grid points over one. start: seconds
            to the first update. growth: time and memory over agents, environments, rollout length.
            limit: operations per second beside a matrix product's. All if none is named.
        out: folder for bench.json and bench.png.
        quick: tiny programs timed twice, to see what comes out; the figures mean nothing.
    """

    names: Annotated[tuple[Name, ...], tyro.conf.Positional] = ()
    out: Path = Path("bench")
    quick: bool = False


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command line and returns the exit code; a usage error exits with 2."""
    options = tyro.cli(Bench, prog=PROGRAM, args=argv)
    return exit_code_of(lambda: run(options), PROGRAM)


def run(options: Bench) -> int:
    """Measures, prints and saves; bench.json is written anew after each measurement."""
    # Slow to import; help does not wait for them.
    import jax

    from experiments.analysis.speed.drawing import save_figure
    from experiments.analysis.speed.section import QUICK, WHOLE
    from experiments.analysis.speed.timing import machine
    from experiments.training.console import make_console, status
    from experiments.training.folder.files import write_json

    try:
        options.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"out: cannot create {options.out}: {error.strerror}; choose another folder"
        ) from error
    jax.config.update("jax_enable_compilation_cache", False)  # Compilation is measured too.
    console: Console = make_console()
    effort = QUICK if options.quick else WHOLE
    names = options.names or get_args(Name)
    sections = []
    for number, name in enumerate(names, 1):
        module = import_module(f"experiments.analysis.speed.{name.replace('-', '_')}")
        with status(console, f"{number} of {len(names)}: measuring {name} ..."):
            sections.append(module.measure(effort))
        console.print(sections[-1].table())
        caption = ("QUICK: these figures mean nothing. " if options.quick else "") + machine()
        content = {
            "machine": machine(),
            "quick": options.quick,
            "effort": asdict(effort),
            "sections": [section.data() for section in sections],
        }
        write_json(options.out / "bench.json", content)
        save_figure(sections, caption, options.out / "bench.png")
    console.print(caption)
    console.print(f"{options.out}: bench.json, bench.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
