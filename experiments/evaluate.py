"""Plays whole episodes with a trained team: ``python experiments/evaluate.py runs/a``."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro
from tyro.conf import FlagCreatePairsOff, arg, create_mutex_group

if __name__ == "__main__":  # Python puts this script's folder on the path, not the repository.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from experiments.training.errors import UsageError, exit_code_of
from experiments.training.settings.arguments import Checkpoint, EpisodeSeed, Point, RunDirectory

if TYPE_CHECKING:
    from experiments.training.team import Trained

PROGRAM = "experiments/evaluate.py"

DESCRIPTION = """Play whole episodes with the team that a run has trained.

Every seed plays exactly as many episodes as asked for, chosen before they begin, so that short ones
are not favoured. Prints a table over seeds and leaves evaluation.json in the run's directory."""

HOW = create_mutex_group(required=False)


@dataclass(frozen=True)
class Options:
    """What to evaluate, and how."""

    run: RunDirectory
    episodes: Annotated[int, arg(help="episodes of each seed")] = 320
    greedy: Annotated[
        bool, HOW, FlagCreatePairsOff, arg(help="take the likeliest actions; this is the default")
    ] = False
    sample: Annotated[
        bool, HOW, FlagCreatePairsOff, arg(help="draw the actions, as in training")
    ] = False
    point: Point = None
    checkpoint: Checkpoint = "latest"
    seed: EpisodeSeed = 0
    replay: Annotated[
        Path | None,
        arg(
            metavar="GIF",
            help_behavior_hint="(default: none)",
            help="also draw one episode of the first seed here",
        ),
    ] = None


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command line and returns the exit code; a usage error exits with 2."""
    options = tyro.cli(Options, prog=PROGRAM, description=DESCRIPTION, args=argv)
    return exit_code_of(lambda: evaluate(options), PROGRAM)


def check(options: Options) -> None:
    """Raises a UsageError for what is wrong whatever the run."""
    if options.episodes < 1:
        raise UsageError(f"episodes: expected at least 1, got {options.episodes}")
    if not 0 <= options.seed < 2**32:
        raise UsageError(f"seed: expected a number in [0, {2**32 - 1}], got {options.seed}")
    if options.replay and options.replay.suffix != ".gif":
        raise UsageError(f"replay: expected a file that ends in .gif, got {options.replay}")


def evaluate(options: Options) -> None:
    """Plays, prints the table and writes the files."""
    check(options)
    # Slow to import; help and mistakes that tyro finds do not wait for them.
    from experiments.training import console as progress
    from experiments.training import program as runner
    from experiments.training.folder.files import write_json
    from experiments.training.replay import save_replay
    from experiments.training.team import choose_point, load_trained

    runner.use_compilation_cache()
    console = progress.make_console()
    trained = load_trained(options.run, options.checkpoint)
    experiment = trained.experiment
    if options.replay and not hasattr(experiment.trainer.env, "animate"):
        name = experiment.options.run.env
        raise UsageError(f"replay: expected an environment that can be drawn, got {name}")
    point = choose_point(experiment, options.run, options.point)
    with progress.status(console, "playing ..."):
        result = play(trained, point, options)
    console.print(make_table(result, experiment.label(point)))
    try:
        write_json(options.run / "evaluation.json", result)
        if options.replay:
            greedy, number = not options.sample, options.seed
            save_replay(
                experiment, trained.state, point, options.replay, greedy=greedy, number=number
            )
    except OSError as error:
        raise UsageError(f"cannot write {error.filename}: {error.strerror}") from error


def play(trained: Trained, point: int, options: Options) -> dict[str, Any]:
    """Returns what evaluation.json says."""
    import numpy as np

    from experiments.analysis.summary import describe, finite_json
    from experiments.training.evaluation import (
        Purpose,
        episode_keys,
        make_evaluate,
        select,
        short_names,
    )

    experiment, updates = trained.experiment, trained.updates[point].tolist()
    run = make_evaluate(experiment.trainer, options.episodes, greedy=not options.sample)
    keys = episode_keys(experiment.seeds, Purpose.AFTERWARDS, options.seed)
    metrics = short_names(run(select(trained.state.learner, point), keys))
    return finite_json(
        {
            "environment": experiment.options.run.env,
            "algorithm": experiment.algorithm.name,
            "point": point,
            "hyperparameters": experiment.points[point],
            "seeds": experiment.seeds,
            "checkpoint": options.checkpoint,
            "updates": updates,
            "env_steps": [count * experiment.config.steps_per_update for count in updates],
            "episodes": options.episodes,
            "policy": "sample" if options.sample else "greedy",
            "seed": options.seed,
            "metrics": {
                name: describe(np.asarray(value, np.float64)[0]) for name, value in metrics.items()
            },
        }
    )


def make_table(result: Mapping[str, Any], label: str) -> Any:
    """Returns the metrics over seeds as a table."""
    from rich.table import Table

    title = (
        f"{result['environment']}, {label}: {result['episodes']} {result['policy']} episodes of "
        f"each of {len(result['seeds'])} seeds, {result['checkpoint']} policies"
    )
    table = Table("metric", title=title, box=None)
    for column in ("mean", "95% interval", "lowest seed", "highest seed"):
        table.add_column(column, justify="right", no_wrap=True)
    first = [name for name in ("success", "return", "length") if name in result["metrics"]]
    for name in (*first, *sorted(result["metrics"].keys() - set(first))):
        over_seeds = result["metrics"][name]
        mean, *ends = (
            f"{x:.3f}"
            for x in (over_seeds["mean"], min(over_seeds["per_seed"]), max(over_seeds["per_seed"]))
        )
        interval = ", ".join(f"{x:.3f}" for x in over_seeds["ci95"] or ())
        table.add_row(name, mean, interval and f"[{interval}]", *ends)
    return table


if __name__ == "__main__":
    sys.exit(main())
