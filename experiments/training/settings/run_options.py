"""What a run is and where it lies, as options; shapes and coefficients have theirs elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from experiments.training.settings.defaults import AlgorithmName

OF_THE_PROCESS = frozenset({"out", "resume", "dry_run", "compilation_cache"})
"""Options that are no part of a run: another process may go on with it under others."""


@dataclass(frozen=True)
class Run:
    """What to run, and where to leave it."""

    env: Annotated[
        str,
        arg(
            help="family or family:scenario, such as maze, maze:black-blue-red or smax:3m; a wrong"
            " name lists all"
        ),
    ] = "maze"
    env_option: Annotated[
        tuple[str, ...],
        arg(
            metavar="NAME=VALUE [NAME=VALUE ...]",
            help_behavior_hint="(default: none)",
            help="options of the environment, such as num_per_colour=4; a wrong name lists all",
        ),
    ] = ()
    algorithm: Annotated[AlgorithmName, arg(help="who learns from whom, and how")] = "oappo"
    reuse_matrix: Annotated[
        str | None,
        arg(
            metavar="nr|ur|rr|ar|MATRIX",
            help_behavior_hint="",
            help="with --algorithm fixed: no reuse, unreasonable,"
            " reasonable, all reuse; or rows of weights such as '0.7,0.3;0.3,0.7'",
        ),
    ] = None
    seeds: Annotated[int, arg(help="number of seeds, trained side by side")] = 5
    seed: Annotated[int, arg(help="the first seed; the others follow it")] = 0
    total_steps: Annotated[
        int,
        arg(
            help="environment steps per seed, over all its parallel environments; rounded"
            " down to whole updates"
        ),
    ] = 0
    out: Annotated[
        Path | None,
        arg(
            metavar="DIR",
            help_behavior_hint="(default: runs/ENV-ALGORITHM-TIME)",
            help="new or empty directory for the results",
        ),
    ] = None
    checkpoint_every: Annotated[
        int,
        arg(
            metavar="UPDATES",
            help_behavior_hint="(default: once a minute)",
            help="updates between two checkpoints; one is saved at the end in any case",
        ),
    ] = 0
    keep_checkpoints: Annotated[int, arg(help="how many of the newest checkpoints to keep")] = 2
    eval_every: Annotated[
        int,
        arg(
            metavar="UPDATES",
            help_behavior_hint="(default: never)",
            help="updates between two evaluations of the likeliest actions, to evaluation.csv;"
            " training is the same without",
        ),
    ] = 0
    eval_episodes: Annotated[
        int,
        arg(
            help="episodes per seed of an evaluation; at the end the best policies play ten times"
            " as many"
        ),
    ] = 32
    preset: Annotated[
        Path | None,
        arg(
            metavar="FILE",
            help_behavior_hint="",
            help="settings that experiments/sweep.py found; what stands beside it counts more",
        ),
    ] = None
    resume: Annotated[
        Path | None,
        arg(
            metavar="DIR",
            help_behavior_hint="",
            help="go on with the run in DIR as if it had never stopped; everything is as it was"
            " there, but --total-steps may be raised",
        ),
    ] = None
    dry_run: Annotated[
        bool,
        arg(
            help="say how large the run is, and what memory its program needs; train nothing",
        ),
    ] = False
    compilation_cache: Annotated[
        bool,
        arg(
            help="keep compiled programs, 1 GB at most, in the user's cache folder (oatrpo_jax), so"
            " that the next start is quick"
        ),
    ] = True
