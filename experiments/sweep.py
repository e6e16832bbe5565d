"""Searches for coefficients: ``python experiments/sweep.py --search actor_lr=log:1e-4:1e-2``.

All points times all seeds train in one program.  Leaves what a run leaves, a ranked table.md, and
preset.json with the best point: ``python experiments/run.py --preset preset.json``.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro

if __name__ == "__main__":  # Python puts this script's folder on the path, not the repository.
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    from oatrpo_jax.__main__ import start

    sys.exit(start("sweep"))

from experiments.training.errors import UsageError, check_once, exit_code_of
from experiments.training.naming import command
from experiments.training.processes import together
from experiments.training.settings.arguments import registry
from experiments.training.settings.command_line import changes_in_words, parse
from experiments.training.surroundings import prepare, start_jax

if TYPE_CHECKING:
    from experiments.training.settings.options import Options

FOOTER = """Every other option is one of {run}: --env, --algorithm, --seeds,
--total-steps, --out, the coefficients that are not searched, and so on. A sweep that was stopped
goes on by {run} --resume DIR.

Example:
  {sweep} --env maze --algorithm happo --seeds 3 --total-steps 60000
    --search actor_lr=log:1e-4:1e-2 ent_coef=uniform:0:0.02 --points 16
"""


@dataclass(frozen=True)
class Sweep:
    """Trains many settings side by side and ranks them; the best is saved as a preset.

    Attributes:
        search: what to vary: NAME=log:LOW:HIGH, NAME=uniform:LOW:HIGH or NAME=A,B,C.
        points: how many settings to draw; on a grid, how many values each range gets.
        method: draw settings at random, or take all combinations.
        search_seed: makes the drawing repeatable.
        rank_by: the episode metric that decides.
        rank_order: whether its highest or its lowest values are the best; if not given, the lowest
            of length, total_path_length, num_dirty_tiles, ratio_dirty_tiles, conceded, out and
            lost, the highest of all others.
        rank_over: the last tenth of the run, or all of it, which favours what learns quickly.
    """

    search: tuple[str, ...]
    points: int = 16
    method: Literal["random", "grid"] = "random"
    search_seed: int = 0
    rank_by: str = "return"
    rank_order: Literal["highest", "lowest"] | None = None
    rank_over: Literal["end", "run"] = "end"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command line and returns the exit code; a usage error exits with 2."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    advice = f"{command('run')} --resume goes on from there."

    def start() -> int:
        sweep, options = read(arguments)
        if options.run.submit is not None:
            return submit(arguments, options)
        return together(lambda own: search(sweep, own), options, arguments)

    return exit_code_of(start, command("sweep"), advice)


def read(arguments: Sequence[str]) -> tuple[Sweep, Options]:
    """Returns what a command line asks for; shows help or a usage error and exits if need be."""
    prepare()
    check_once(arguments, command("sweep"))
    try:
        sweep, others = tyro.cli(
            Sweep,
            prog=command("sweep"),
            args=arguments,
            return_unknown_args=True,
            registry=registry(),
        )
    except SystemExit as exit_:
        if not exit_.code:
            print(FOOTER.format(run=command("run"), sweep=command("sweep")))
        raise
    return sweep, parse(others, [each.name for each in dataclasses.fields(Sweep)])


def search(sweep: Sweep, options: Options) -> int:
    """Trains every point, ranks them and saves the best; returns the exit code."""
    start_jax(*options.run.devices_asked)
    # Slow to import; help and mistakes that tyro finds do not wait for them.
    from experiments.analysis.finish import finish
    from experiments.training import process

    return process.run(with_points(sweep, options), finish)


def submit(arguments: Sequence[str], options: Options) -> int:
    """Submits a job for each slice of a sweep; returns the exit code."""
    from experiments.training import submission
    from experiments.training.console import make_console
    from experiments.training.settings.experiment import Experiment, build

    def check(line: Sequence[str]) -> Experiment:
        start_jax()
        return build(with_points(*read(line)))

    return submission.submit("sweep", arguments, options.run, check, make_console())


def with_points(sweep: Sweep, options: Options) -> Options:
    """Returns the options with the points of the sweep in place of a grid.

    Those of a sweep that goes on are what it has stored.

    Raises:
        UsageError: if a range, a name or a number makes no sense, or if the sweep that goes on is
            another one.
    """
    from experiments.training.settings.experiment import build
    from experiments.training.settings.search import natural_order, search_points

    if "resume" in options.given:
        raise UsageError(f"resume: a sweep goes on by {command('run')} --resume DIR")
    if options.run.dry_run:
        raise UsageError(
            f"dry_run: a sweep has none; {command('run')} has, with the values as a grid"
        )
    sweep = dataclasses.replace(sweep, rank_order=sweep.rank_order or natural_order(sweep.rank_by))
    if options.run.resume is not None:
        check_same(sweep, options)
        return options
    points = search_points(sweep.search, sweep.points, sweep.method, sweep.search_seed)
    options = dataclasses.replace(options, sweep=dataclasses.asdict(sweep), points=points)
    known = episode_metrics(build(options).trainer.env)
    if sweep.rank_by not in known:
        raise UsageError(f"rank_by: expected one of {', '.join(known)}, got {sweep.rank_by}")
    return options


def check_same(sweep: Sweep, options: Options) -> None:
    """Raises a UsageError unless a sweep that goes on is the one that is typed, its points too."""
    directory, before = options.run.resume, options.sweep
    if before is None:
        raise UsageError(f"out: expected a sweep in {directory}, got another run; choose another")
    after = {k: [*v] if isinstance(v, tuple) else v for k, v in dataclasses.asdict(sweep).items()}
    if differ := [name for name, value in after.items() if value != before.get(name)]:
        raise UsageError(
            f"resume_or_start: the sweep in {directory} cannot go on as another one: "
            f"{changes_in_words(differ, before, after)}. Type it as it was, or choose another --out"
        )


def episode_metrics(env) -> tuple[str, ...]:
    """Returns the names of an environment's episode metrics."""
    import jax

    _, timestep = jax.eval_shape(env.reset, jax.random.key(0))
    return ("return", "length", *timestep.extras)
