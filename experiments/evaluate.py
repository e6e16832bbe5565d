"""Plays whole episodes with a trained team: ``python experiments/evaluate.py runs/a``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import FlagCreatePairsOff, arg, create_mutex_group

if __name__ == "__main__":  # Python puts this script's folder on the path, not the repository.
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    from oatrpo_jax.__main__ import start

    sys.exit(start("evaluate"))

from experiments.training.errors import UsageError, check_counts
from experiments.training.settings.arguments import (
    Checkpoint,
    EpisodeSeed,
    MaxSteps,
    Point,
    RunDirectory,
    SpreadSeeds,
    read_options,
    run_script,
)
from experiments.training.surroundings import check_file, start_jax

DESCRIPTION = """Play whole episodes with the team that a run has trained, there or elsewhere.

Every seed plays exactly as many episodes as asked for, chosen before they begin, so that short ones
are not favoured. Prints a table over seeds and leaves evaluation.json in the run's directory.
With --env the team also plays in that environment, which must have as many agents, actions (of the
same kind) and features of a view, as football:SCENARIO and grf:SCENARIO do; that leaves
transfer.json instead."""

HOW = create_mutex_group(required=False)


@dataclass(frozen=True)
class Options:
    """What to evaluate, where and how."""

    run: RunDirectory
    env: Annotated[
        str | None,
        arg(
            metavar="NAME",
            help_behavior_hint="(default: the run's own alone)",
            help="another environment to play in besides the run's own",
        ),
    ] = None
    env_option: Annotated[
        tuple[str, ...],
        arg(
            metavar="NAME=VALUE [NAME=VALUE ...]",
            help_behavior_hint="(default: those of the run)",
            help="with --env: options of that environment",
        ),
    ] = ()
    episodes: Annotated[int, arg(help="episodes of each seed, in each environment")] = 320
    max_steps: MaxSteps = None
    greedy: Annotated[
        bool, HOW, FlagCreatePairsOff, arg(help="take the likeliest actions; the default")
    ] = False
    sample: Annotated[
        bool, HOW, FlagCreatePairsOff, arg(help="draw the actions, as in training")
    ] = False
    devices: SpreadSeeds = 1
    point: Point = None
    checkpoint: Checkpoint = "latest"
    seed: EpisodeSeed = 0
    out: Annotated[
        Path | None,
        arg(
            metavar="JSON",
            help_behavior_hint="(default: DIR/evaluation.json, with --env DIR/transfer.json)",
            help="the file to write; replaced if it exists",
        ),
    ] = None
    replay: Annotated[
        Path | None,
        arg(
            metavar="GIF",
            help_behavior_hint="(default: none)",
            help="also draw one episode here, with --env in that environment: of the best seed in "
            "summary.json, else of the first",
        ),
    ] = None


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command line and returns the exit code; a usage error exits with 2."""
    return run_script("evaluate", argv, read, evaluate)


def read(arguments: Sequence[str]) -> Options:
    """Returns what a command line asks for; shows help or a usage error and exits if need be."""
    return read_options("evaluate", Options, arguments, description=DESCRIPTION)


def file_of(options: Options) -> Path:
    """Returns the file to write."""
    name = "evaluation.json" if options.env is None else "transfer.json"
    return options.out or options.run / name


def check(options: Options) -> None:
    """Raises a UsageError for what is wrong whatever the run."""
    check_counts(episodes=options.episodes)
    if options.max_steps is not None:
        check_counts(max_steps=options.max_steps)
    if not 0 <= options.seed < 2**32:
        raise UsageError(f"seed: expected a number in [0, {2**32 - 1}], got {options.seed}")
    if options.replay and options.replay.suffix != ".gif":
        raise UsageError(f"replay: expected a file that ends in .gif, got {options.replay}")
    if options.env_option and options.env is None:
        raise UsageError("env_option: expected only with --env, got it without")
    if options.out and options.out.suffix != ".json":
        raise UsageError(f"out: expected a file that ends in .json, got {options.out}")
    if options.replay:
        check_file("replay", options.replay)
    if options.run.is_dir():  # Else it is no run, which is said when it is read.
        check_file("out", file_of(options))


def evaluate(options: Options) -> None:
    """Plays, prints the table and writes the files."""
    check(options)
    start_jax(options.devices)
    # Slow to import; help and mistakes that tyro finds do not wait for them.
    from experiments.analysis.evaluations import describe_evaluation, evaluation_table
    from experiments.analysis.tables import print_table
    from experiments.training.console import make_console, status
    from experiments.training.folder.files import write_json
    from experiments.training.placement import place
    from experiments.training.places import find_places
    from experiments.training.playing import Playing
    from experiments.training.program import use_compilation_cache
    from experiments.training.team import load_team, play, save_replay

    use_compilation_cache()
    console, team = make_console(), load_team(options.run, options.checkpoint)
    experiment, point = team.experiment, team.choose_point(options.point)
    max_steps = options.max_steps or experiment.options.run.eval_max_steps
    how = Playing(options.episodes, max_steps, not options.sample, options.seed)
    places = find_places(experiment, options.env, options.env_option, how.num_episodes)
    for each in places:  # Before anything is played.
        place(each.trainer.env, len(experiment.seeds), options.devices)
    last = places[-1]
    if options.replay and not hasattr(last.trainer.env, "animate"):
        raise UsageError(f"replay: expected an environment that can be drawn, got {last.name}")
    with status(console, "playing ..."):
        played = [(each, play(team, each.trainer, point, how, options.devices)) for each in places]
    title = (
        f"{experiment.labels[point]}: {how.num_episodes} {how.policy} episodes of each of "
        f"{len(experiment.seeds)} seeds, {options.checkpoint} policies"
    )
    print_table(console, evaluation_table(played, how), title)
    description = describe_evaluation(team, point, options.checkpoint, how, played)
    write_json(file_of(options), description)
    if options.replay:
        lane = point, team.best_seed(point)
        save_replay(team, last.trainer, lane, options.replay, how)
        console.print(f"{options.replay}: seed {experiment.seeds[lane[1]]}", soft_wrap=True)
