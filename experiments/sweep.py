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

from experiments.training.errors import UsageError, check_once, exit_code_of
from experiments.training.settings.options import Options, check_reads, parse

if TYPE_CHECKING:
    from experiments.training.settings.experiment import Experiment

PROGRAM = "experiments/sweep.py"

FOOTER = """Every other option is one of experiments/run.py: --env, --algorithm, --seeds,
--total-steps, --out, the coefficients that are not searched, and so on.

Example:
  python experiments/sweep.py --env maze --algorithm happo --seeds 3 --total-steps 60000
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
        rank_by: the episode metric that decides, the higher the better.
        rank_over: the last tenth of the run, or all of it, which favours what learns quickly.
    """

    search: tuple[str, ...]
    points: int = 16
    method: Literal["random", "grid"] = "random"
    search_seed: int = 0
    rank_by: str = "return"
    rank_over: Literal["end", "run"] = "end"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command line and returns the exit code; a usage error exits with 2."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    check_once(arguments, PROGRAM)
    try:
        sweep, others = tyro.cli(Sweep, prog=PROGRAM, args=arguments, return_unknown_args=True)
    except SystemExit as exit_:
        if not exit_.code:
            print(FOOTER)
        raise
    options = parse(others)
    return exit_code_of(lambda: search(sweep, options), PROGRAM)


def search(sweep: Sweep, options: Options) -> int:
    """Trains every point, ranks them and saves the best; returns the exit code."""
    from experiments import run
    from experiments.analysis.ranking import save_ranking
    from experiments.training import console as progress
    from experiments.training.folder.files import read_json, write_json
    from experiments.training.folder.lock import locked
    from experiments.training.loop import Start, execute
    from experiments.training.settings.config_file import describe_experiment

    directory = options.run.out or run.default_directory(options)
    run.check_directory(directory)
    experiment = build_sweep(sweep, options)
    console = progress.make_console()
    traced = run.trace(experiment, console)
    run.make_directory(directory)
    with locked(directory):
        described = describe_experiment(experiment) | {"sweep": dataclasses.asdict(sweep)}
        # Its points are no product of lists, from which --resume could make them again.
        write_json(directory / "config.json", {**described, "run": None})
        code = execute(experiment, traced, directory, console, Start())
        if code == 0 and read_json(directory / "summary.json")["completed"]:
            code = save_ranking(experiment, directory, sweep.rank_by, sweep.rank_over, console)
    return code


def build_sweep(sweep: Sweep, options: Options) -> Experiment:
    """Returns the experiment with the points of the sweep in place of a grid.

    Raises:
        UsageError: if a range, a name or a number makes no sense.
    """
    from experiments.training.settings.experiment import build
    from experiments.training.settings.search import search_points

    if options.run.resume is not None:
        raise UsageError("resume: a sweep cannot be resumed; start it anew with --out")
    if options.run.dry_run:
        raise UsageError("dry_run: a sweep has none; run.py has, with the values as a grid")
    if many := [name for name, values in options.grid.items() if len(values) > 1]:
        raise UsageError(f"{many[0]}: expected one value in a sweep; several belong in --search")
    points = search_points(sweep.search, sweep.points, sweep.method, sweep.search_seed)
    names = frozenset(points[0])
    if twice := sorted(names & options.given):
        raise UsageError(f"{twice[0]}: it is searched, so it cannot be given as well")
    experiment = build(options)
    check_reads(experiment.algorithm, experiment.config, names)
    base = experiment.points[0]
    swept = dataclasses.replace(
        experiment,
        points=tuple({**base, **point} for point in points),
        swept=tuple(points[0]),
        is_sweep=True,
    )
    try:
        _ = swept.hparams  # Checks the ranges.
    except ValueError as error:
        raise UsageError(f"search: {error}") from error
    if sweep.rank_by not in (known := episode_metrics(swept)):
        raise UsageError(f"rank_by: expected one of {', '.join(known)}, got {sweep.rank_by}")
    return swept


def episode_metrics(experiment: Experiment) -> tuple[str, ...]:
    """Returns the episode metrics of which more is better."""
    import jax

    _, timestep = jax.eval_shape(experiment.trainer.env.reset, jax.random.key(0))
    return ("return", *timestep.extras)


if __name__ == "__main__":
    sys.exit(main())
