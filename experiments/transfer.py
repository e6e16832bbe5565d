"""Plays a trained team elsewhere: ``python experiments/transfer.py runs/a --env grf:SCENARIO``."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro
from tyro.conf import FlagCreatePairsOff, arg

if __name__ == "__main__":  # Python puts this script's folder on the path, not the repository.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from experiments.training.errors import UsageError, check_once, exit_code_of
from experiments.training.settings.arguments import Checkpoint, EpisodeSeed, Point, RunDirectory

if TYPE_CHECKING:
    from experiments.training.team import Trained
    from oatrpo_jax.train import Trainer
    from oatrpo_jax.types import MultiAgentEnv

PROGRAM = "experiments/transfer.py"

DESCRIPTION = """Play the team that a run has trained in its own environment and in another one.

The other one must have as many agents, actions and features of a view: football:SCENARIO and
grf:SCENARIO, say. It gets the run's environment options that it knows, and those given here. Prints
a table and leaves transfer.json in the run's directory."""


@dataclass(frozen=True)
class Options:
    """Whom to play, where and how."""

    run: RunDirectory
    env: Annotated[str, arg(help="family:scenario to play in besides the run's own")]
    env_option: Annotated[
        tuple[str, ...],
        arg(
            metavar="NAME=VALUE [NAME=VALUE ...]",
            help_behavior_hint="(default: those of the run)",
            help="options of that environment",
        ),
    ] = ()
    episodes: Annotated[int, arg(help="episodes of each seed in each environment")] = 100
    sample: Annotated[
        bool, FlagCreatePairsOff, arg(help="draw the actions, instead of taking the likeliest")
    ] = False
    point: Point = None
    checkpoint: Checkpoint = "latest"
    seed: EpisodeSeed = 0


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command line and returns the exit code; a usage error exits with 2."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    check_once(arguments, PROGRAM)
    options = tyro.cli(Options, prog=PROGRAM, description=DESCRIPTION, args=arguments)
    return exit_code_of(lambda: transfer(options), PROGRAM)


def transfer(options: Options) -> None:
    """Plays in both, prints the table and writes the file."""
    # Slow to import; help and mistakes that tyro finds do not wait for them.
    from experiments import evaluate
    from experiments.training import console as progress
    from experiments.training import program as runner
    from experiments.training.folder.files import write_json
    from experiments.training.team import choose_point, load_trained
    from oatrpo_jax.train import Trainer

    played = evaluate.Options(options.run, episodes=options.episodes, seed=options.seed)
    evaluate.check(played)
    runner.use_compilation_cache()
    console = progress.make_console()
    trained = load_trained(options.run, options.checkpoint)
    experiment, home = trained.experiment, trained.experiment.trainer
    point = choose_point(experiment, options.run, options.point)
    env, env_options = other_env(options, experiment.env_options)
    check_sizes(home.env, env, experiment.options.run.env, options.env)
    with progress.status(console, "playing ..."):
        here = play(trained, home, point, options)
        there = play(trained, Trainer(env, home.learner), point, options)
    result = describe_transfer(trained, point, options, env_options, here, there)
    console.print(make_table(result))
    try:
        write_json(options.run / "transfer.json", result)
    except OSError as error:
        raise UsageError(f"cannot write {error.filename}: {error.strerror}") from error


def other_env(
    options: Options, run_options: Mapping[str, Any]
) -> tuple[MultiAgentEnv, dict[str, Any]]:
    """Returns the environment to play in besides the run's, and its options.

    Raises:
        UsageError: if there is none of that name, or it cannot be made.
    """
    import envs
    from experiments.training.settings.experiment import make_env, parse_env_options

    given = parse_env_options(options.env_option)
    try:
        known = envs.option_names(options.env) if run_options else ()
        inherited = {name: value for name, value in run_options.items() if name in known}
        env_options = {**inherited, **given}
        return make_env(options.env, env_options), env_options
    except ImportError as error:
        raise UsageError(f"env: {options.env} needs a package that is missing: {error}") from error
    except ValueError as error:
        raise UsageError(f"env: {error}") from error


def check_sizes(home: MultiAgentEnv, other: MultiAgentEnv, home_name: str, name: str) -> None:
    """Raises a UsageError unless policies trained in one environment can play in the other."""
    from oatrpo_jax.config import EnvSpec

    ours, theirs = EnvSpec.from_env(home), EnvSpec.from_env(other)
    sizes = {"agents": "num_agents", "actions": "num_actions", "features of a view": "view_size"}
    differ = [
        f"{getattr(theirs, size)} {what}, not {getattr(ours, size)}"
        for what, size in sizes.items()
        if getattr(ours, size) != getattr(theirs, size)
    ]
    if differ:
        raise UsageError(
            f"env: a team trained in {home_name} cannot play in {name}, which has "
            f"{' and '.join(differ)}; choose another, or other options with --env-option"
        )


def play(trained: Trained, trainer: Trainer, point: int, options: Options) -> dict[str, Any]:
    """Returns each metric over seeds: `describe` of the seeds' means over episodes.

    Seeds play one after another: an environment outside of JAX then holds the episodes of one.
    """
    import jax
    import numpy as np

    from experiments.analysis.summary import describe
    from experiments.training.evaluation import Purpose, episode_keys, make_evaluate, short_names

    seeds = trained.experiment.seeds
    run = make_evaluate(trainer, options.episodes, greedy=not options.sample)
    keys = episode_keys(seeds, Purpose.AFTERWARDS, options.seed)
    rounds = []
    for seed in range(len(seeds)):
        one = slice(seed, seed + 1)
        learner = jax.tree.map(lambda x, one=one: x[point : point + 1, one], trained.state.learner)
        rounds.append(jax.device_get(short_names(run(learner, keys[one]))))
    metrics = {
        name: describe(np.array([each[name][0, 0] for each in rounds], np.float64))
        for name in rounds[0]
    }
    if len(seeds) == 1 and "success" in metrics:
        metrics["success"]["ci95"] = share_interval(metrics["success"]["mean"], options.episodes)
    return metrics


def share_interval(share: float, count: int) -> list[float]:
    """Returns Wilson's 95% interval of a probability from the share of `count` trials.

    >>> [round(end, 3) for end in share_interval(0.5, 100)]
    [0.404, 0.596]
    """
    from scipy.stats import binomtest

    interval = binomtest(round(share * count), count).proportion_ci(method="wilson")
    return [float(interval.low), float(interval.high)]


def describe_transfer(
    trained: Trained,
    point: int,
    options: Options,
    env_options: Mapping[str, Any],
    here: Mapping[str, Any],
    there: Mapping[str, Any],
) -> dict[str, Any]:
    """Returns what transfer.json says."""
    from experiments.analysis.summary import finite_json

    experiment, updates = trained.experiment, trained.updates[point].tolist()
    return finite_json(
        {
            "algorithm": experiment.algorithm.name,
            "point": point,
            "hyperparameters": experiment.points[point],
            "seeds": experiment.seeds,
            "checkpoint": options.checkpoint,
            "env_steps": [count * experiment.config.steps_per_update for count in updates],
            "episodes": options.episodes,
            "policy": "sample" if options.sample else "greedy",
            "seed": options.seed,
            "intervals": "over seeds" if len(experiment.seeds) > 1 else "over episodes",
            "home": _side(experiment.options.run.env, experiment.env_options, here),
            "other": _side(options.env, env_options, there),
        }
    )


def _side(name: str, options: Mapping[str, Any], metrics: Mapping[str, Any]) -> dict[str, Any]:
    return {"environment": name, "env_options": options, "metrics": metrics}


def make_table(result: Mapping[str, Any]) -> Any:
    """Returns the metrics that both environments tell of, side by side."""
    from rich.table import Table

    title = (
        f"{result['algorithm']}: {result['episodes']} {result['policy']} episodes of each of "
        f"{len(result['seeds'])} seeds, 95% intervals {result['intervals']}"
    )
    table = Table("metric", title=title, box=None)
    sides = [result["home"], result["other"]]
    for side, what in zip(sides, ("trained in", "transferred to"), strict=True):
        table.add_column(f"{what}\n{side['environment']}", justify="right")
        table.add_column("\n95% interval", justify="right", no_wrap=True)
    both = [name for name in sides[0]["metrics"] if name in sides[1]["metrics"]]
    first = [name for name in ("success", "return", "length") if name in both]
    for name in (*first, *sorted(set(both) - set(first))):
        cells = []
        for side in sides:
            metric = side["metrics"][name]
            interval = ", ".join(f"{end:.3f}" for end in metric["ci95"] or ())
            cells += [f"{metric['mean']:.3f}", interval and f"[{interval}]"]
        table.add_row(name, *cells)
    return table


if __name__ == "__main__":
    sys.exit(main())
