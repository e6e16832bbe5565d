"""Arguments that several command lines over a finished run share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from experiments.training.surroundings import Devices

RunDirectory = Annotated[
    Positional[Path], arg(metavar="DIR", help="a directory that a run has left")
]

Point = Annotated[
    int | None,
    arg(
        metavar="NUMBER",
        help_behavior_hint="(default: the best of summary.json)",
        help="grid point, numbered from 0 as in config.json",
    ),
]

Checkpoint = Annotated[
    Literal["latest", "best"],
    arg(help="the last policies, or each seed's as they played best while training"),
]

MaxSteps = Annotated[
    int | None,
    arg(
        metavar="STEPS",
        help_behavior_hint="(default: the run's --eval-max-steps)",
        help="steps after which an episode that has not ended is cut off",
    ),
]

SpreadSeeds = Annotated[
    Devices,
    arg(
        metavar="all|N",
        help="devices to spread seeds over, or all that JAX finds; of a CPU, which is one, a "
        "number makes as many, up to one for each core",
    ),
]

EpisodeSeed = Annotated[int, arg(help="another number plays other episodes")]
