"""Measures speed: ``python experiments/bench.py`` prints tables and leaves bench.json.

Every figure is a ratio of sides that are taken in turns: absolute times on a shared machine are
noise.  Runs unchanged on whatever device JAX finds.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, get_args

import tyro
from rich.console import Console

if __name__ == "__main__":  # Python puts this script's folder on the path, not the repository.
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    from oatrpo_jax.__main__ import start

    sys.exit(start("bench"))

from envs.jaxmarl_import import require_jaxmarl
from experiments.training.errors import UsageError
from experiments.training.settings.arguments import read_options, run_script
from experiments.training.surroundings import check_file, start_jax

if TYPE_CHECKING:
    from experiments.analysis.speed.timing import Effort, Section

Name = Literal[
    "share",
    "reuse-cost",
    "recurrence",
    "seeds",
    "devices",
    "start",
    "stock",
    "mpe",
    "football",
]
NEED_JAXMARL = ("share", "recurrence", "start", "stock", "mpe")


@dataclass(frozen=True)
class Bench:
    """Measures speed, each figure as a ratio of sides that are taken in turns.

    Attributes:
        names: what to measure. share: training over random actions. reuse-cost: OAPPO's update with
            each estimator over HAPPO's, by number of agents. recurrence: training with a GRU over
            training without. seeds: many seeds and grid points over one. devices: training on 1, 2
            and 4 devices over training on one, each in a process of its own. start: seconds to the
            first update. stock: our SMAX beside jaxmarl's. mpe: training on MPE over random
            actions, and with --peer beside a stock script. football: the academy beside the
            original engine. All that can be measured here if none is named.
        peer: with mpe: a copy of JaxMARL's script baselines/IPPO/ippo_ff_mpe. It is run, nothing
            logged, in turns with ours of the same network, batch and passes: steps per second, and
            seconds to compile.
        out: folder for bench.json.
        quick: tiny programs timed twice, to see what comes out; the figures mean nothing.
    """

    names: Annotated[tuple[Name, ...], tyro.conf.Positional] = ()
    peer: Path | None = None
    out: Path = Path("bench")
    quick: bool = False


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command line and returns the exit code; a usage error exits with 2."""
    return run_script("bench", argv, read, run)


def read(arguments: Sequence[str]) -> Bench:
    """Returns what a command line asks for; shows help or a usage error and exits if need be."""
    return read_options("bench", Bench, arguments)


def run(options: Bench) -> int:
    """Measures, prints and saves; bench.json is written anew after each measurement."""
    start_jax()
    # Slow to import; help does not wait for them.
    import jax

    from experiments.analysis.speed.timing import QUICK, WHOLE, machine
    from experiments.training.console import make_console, status
    from experiments.training.folder.files import write_json

    console = make_console()
    measures = find_measures(find_measurable(options.names, console), options.peer)
    try:
        options.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"out: cannot create {options.out}: {error.strerror}; choose another folder"
        ) from error
    check_file("out", options.out / "bench.json")
    if not options.quick:
        jax.config.update("jax_enable_compilation_cache", False)  # Compilation is measured too.
    effort = QUICK if options.quick else WHOLE
    sections = []
    for number, (name, measure) in enumerate(measures.items(), 1):
        with status(console, f"{number} of {len(measures)}: measuring {name} ..."):
            section = measure(effort)
        console.print(section.table())
        sections.append({"name": name, **section._asdict()})
        content = {"machine": machine(), "quick": options.quick, "effort": asdict(effort)}
        write_json(options.out / "bench.json", {**content, "sections": sections})
    warning = "QUICK: these figures mean nothing. " if options.quick else ""
    console.print(f"{warning}{machine()}\n{options.out}: bench.json")
    return 0


def find_measures(
    names: Sequence[Name], peer: Path | None
) -> dict[str, Callable[[Effort], Section]]:
    """Returns what measures each name; with a peer there is one more, which is called mpe-peer.

    Raises:
        UsageError: if there is a peer, but nothing to put beside it, or if it cannot be used.
    """
    from experiments.analysis.speed import measurements, whole_runs  # Slow to import.

    functions = vars(measurements) | vars(whole_runs)
    measures = {name: functions[name.replace("-", "_")] for name in names}
    if peer is None:
        return measures
    if "mpe" not in names:
        raise UsageError(
            f"peer: expected mpe among what is measured, got {', '.join(names)}; name mpe, too, or "
            "leave --peer out"
        )
    from experiments.analysis.speed.peer import beside_peer, load_peer

    return measures | {"mpe-peer": partial(beside_peer, load_peer(peer))}


def find_measurable(names: Sequence[Name], console: Console) -> Sequence[Name]:
    """Returns the names, or all whose packages are here; a UsageError if one named lacks it."""
    wanted = names or get_args(Name)
    lacking = [name for name in wanted if name in NEED_JAXMARL]
    try:
        if lacking:
            require_jaxmarl(f"the measurements {', '.join(lacking)}")
    except ImportError as error:
        if names:
            raise UsageError(str(error)) from error
        console.print(f"Left out: {error}")
        return [name for name in wanted if name not in lacking]
    return wanted
