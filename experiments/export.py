"""Exports a trained team: ``python experiments/export.py runs/a --out policy.zip``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import arg

if __name__ == "__main__":  # Python puts this script's folder on the path, not the repository.
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    from oatrpo_jax.__main__ import start

    sys.exit(start("export"))

from experiments.training.errors import UsageError
from experiments.training.settings.arguments import (
    Checkpoint,
    Point,
    RunDirectory,
    read_options,
    run_script,
)
from experiments.training.surroundings import check_file, start_jax

DESCRIPTION = """Export a trained team as one file that runs without this library.

The zip holds policy.jax (the policies' function, serialised by jax.export for CPU, CUDA and TPU and
any batch size), params.safetensors and specs.json. The function of a team with memory takes and
gives it. docs/evaluation.md shows how to use each."""


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
    return run_script("export", argv, read, export)


def read(arguments: Sequence[str]) -> Options:
    """Returns what a command line asks for; shows help or a usage error and exits if need be."""
    return read_options("export", Options, arguments, description=DESCRIPTION)


def export(options: Options) -> None:
    """Writes the file and says what is in it."""
    # Slow to import; help and mistakes that tyro finds do not wait for them.
    import jax

    from experiments.training.console import make_console
    from experiments.training.folder.files import replace_bytes
    from experiments.training.packing import pack
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
    content, specs = pack(team, point, team.choose_seed(point, options.seed))
    replace_bytes(path, content)
    make_console().print(
        f"{path}: {specs['environment']}, {team.experiment.labels[point]}, seed {specs['seed']}, "
        f"update {specs['update']}; {len(content):,} bytes",
        soft_wrap=True,
    )
