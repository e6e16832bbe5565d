"""Exports a trained team: ``python experiments/export.py runs/a --out policy.zip``."""

from __future__ import annotations

import io
import sys
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro
from tyro.conf import arg

if __name__ == "__main__":  # Python puts this script's folder on the path, not the repository.
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    from oatrpo_jax.__main__ import start

    sys.exit(start("export"))

from experiments.training.errors import UsageError, exit_code_of
from experiments.training.naming import command
from experiments.training.settings.arguments import Checkpoint, Point, RunDirectory
from experiments.training.signature import describe_call, format_of
from experiments.training.surroundings import check_file, prepare, start_jax

if TYPE_CHECKING:
    from experiments.training.team import Team
    from oatrpo_jax.learner import Learner, LearnerState

DESCRIPTION = """Export a trained team as one file that runs without this library.

The zip holds policy.jax (the policies' function, serialised by jax.export for CPU, CUDA and TPU and
any batch size), params.safetensors and specs.json. The function of a team with memory takes and
gives it. docs/evaluation.md shows how to use each."""

_EPOCH = (1980, 1, 1, 0, 0, 0)
"""A zip's earliest date: the same team makes the same file, whenever it is exported."""


@dataclass(frozen=True)
class Options:
    """What to export, and where to."""

    run: RunDirectory
    out: Annotated[
        Path | None,
        arg(
            metavar="ZIP",
            help_behavior_hint="(default: DIR/policy.zip)",
            help="the file to write; replaced if it exists",
        ),
    ] = None
    point: Point = None
    seed: Annotated[
        int | None,
        arg(
            metavar="NUMBER",
            help_behavior_hint="(default: the point's best in summary.json)",
            help="seed, as in metrics.csv",
        ),
    ] = None
    checkpoint: Checkpoint = "latest"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command line and returns the exit code; a usage error exits with 2."""
    return exit_code_of(lambda: export(read(argv)), command("export"))


def read(argv: Sequence[str] | None) -> Options:
    """Returns what a command line asks for; shows help or a usage error and exits if need be."""
    prepare()
    return tyro.cli(Options, prog=command("export"), description=DESCRIPTION, args=argv)


def export(options: Options) -> None:
    """Writes the file and says what is in it."""
    # Slow to import; help and mistakes that tyro finds do not wait for them.
    import jax

    from experiments.training.console import make_console
    from experiments.training.folder.files import replace_bytes
    from experiments.training.team import load_team

    path = options.out or options.run / "policy.zip"
    if path.suffix != ".zip":
        raise UsageError(f"out: expected a file that ends in .zip, got {path}")
    check_file("out", path)
    start_jax()
    # The file goes to others: leave out where on this machine the source lies.
    jax.config.update("jax_traceback_in_locations_limit", 0)
    team = load_team(options.run, options.checkpoint)
    point = team.choose_point(options.point)
    seed = team.choose_seed(point, options.seed)
    learner = jax.tree.map(lambda x: x[point, seed], team.learner)
    specs = describe_export(team, point, seed, read_evaluation(options.run))
    content = pack(team.experiment.trainer.learner, learner, specs)
    replace_bytes(path, content)
    make_console().print(
        f"{path}: {specs['environment']}, {team.experiment.labels[point]}, seed {specs['seed']}, "
        f"update {specs['update']}; {len(content):,} bytes",
        soft_wrap=True,
    )


def pack(learner: Learner, state: LearnerState, specs: Mapping[str, Any]) -> bytes:
    """Returns the zip of one team, the same bytes for the same team.

    Args:
        learner: whose policies.
        state: their parameters, with no axes of points and seeds.
        specs: what to say about them; inputs, outputs and parameters are added.
    """
    import numpy as np
    from safetensors.numpy import save

    from experiments.training.folder.files import json_bytes
    from oatrpo_jax.export import PLATFORMS, actor_parameters, export_actors

    params = {name: np.asarray(value) for name, value in actor_parameters(state).items()}
    about = {
        "format": format_of(learner),
        **specs,
        **describe_call(learner),
        "parameters": {
            name: {"shape": list(value.shape), "dtype": str(value.dtype)}
            for name, value in params.items()
        },
        "platforms": list(PLATFORMS),
    }
    members = {
        "specs.json": json_bytes(about),
        "policy.jax": bytes(export_actors(learner, state).serialize()),
        "params.safetensors": save(params),
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            member = zipfile.ZipInfo(name, _EPOCH)
            member.external_attr = 0o644 << 16
            archive.writestr(member, content)
    return buffer.getvalue()


def describe_export(
    team: Team, point: int, seed: int, evaluation: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Returns where a team comes from, and how well it plays if that has been measured.

    Args:
        team: what the run has learnt.
        point: the grid point's number.
        seed: the seed's place.
        evaluation: what evaluation.json says.
    """
    from envs.importing import without_folder
    from experiments.training.settings.provenance import git_commit, versions

    experiment = team.experiment
    update = int(team.updates[point, seed])
    labels = team.learner.labels[point, seed]
    return {
        "environment": without_folder(experiment.options.run.env),
        "env_options": experiment.env_options,
        "agents": [
            {"type": kind, "policy": int(policy)}
            for kind, policy in zip(experiment.trainer.env.agent_types, labels, strict=True)
        ],
        "algorithm": experiment.algorithm.name,
        "point": point,
        "hyperparameters": experiment.points[point],
        "seed": experiment.seeds[seed],
        "update": update,
        "env_steps": update * experiment.config.steps_per_update,
        "evaluation": scores_of(evaluation, point, seed, update)
        if evaluation is not None
        else None,
        "versions": versions(),
        "git_commit": git_commit(),
    }


def scores_of(
    evaluation: Mapping[str, Any], point: int, seed: int, update: int
) -> dict[str, Any] | None:
    """Returns how well a team did in evaluation.json; None if that is about another team.

    Raises:
        UsageError: if the file does not hold what experiments/evaluate.py writes.
    """
    try:
        if (evaluation["point"], evaluation["updates"][seed]) != (point, update):
            return None
        scores = {name: each["per_seed"][seed] for name, each in evaluation["metrics"].items()}
        return {"episodes": evaluation["episodes"], "policy": evaluation["policy"], **scores}
    except (LookupError, TypeError, AttributeError) as error:
        raise UsageError(f"evaluation.json is damaged ({error!r}); evaluate again") from error


def read_evaluation(directory: Path) -> dict[str, Any] | None:
    """Returns what experiments/evaluate.py has left, if it has."""
    from experiments.training.folder.files import read_json

    path = directory / "evaluation.json"
    try:
        return read_json(path) if path.exists() else None
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: cannot be read ({error}); evaluate again") from error
