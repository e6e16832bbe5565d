"""What may be set, by name: of a run, of its program, and its coefficients."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from tyro.conf import arg

from experiments.training.settings.defaults import AlgorithmName
from experiments.training.surroundings import Devices
from oatrpo_jax.config import Config
from oatrpo_jax.hyperparams import Hyperparams
from oatrpo_jax.rollout import MAX_EPISODE_STEPS

OF_THE_PROCESS = frozenset(
    {"out", "resume", "resume_or_start", "preset", "dry_run", "compilation_cache", "lenient"}
    | {"devices", "distributed", "submit", "submit_option"}
)
"""Options that are no part of a run: another process may go on with it under others."""

LogName = Literal["csv", "tensorboard", "wandb"]
"""Where metrics go while a run trains."""


def _shown_as(metavar: str, default: str = "") -> Any:
    """Returns how help shows an option: what stands for its value, and what its default is."""
    return arg(metavar=metavar, help_behavior_hint=f"(default: {default})" if default else "")


@dataclass(frozen=True)
class Run:
    """What to run, and where to leave it.

    Attributes:
        env: family or family:scenario, such as maze, maze:black-blue-red or smax:3m; of your own
            path/to/file.py:NAME or module:NAME, a class or a function that returns one
        env_option: options of the environment, such as num_per_colour=4; a wrong name lists all
        algorithm: who learns from whom, and how
        reuse_matrix: with --algorithm fixed: no reuse, unreasonable, reasonable, all reuse; or rows
            of weights such as '0.7,0.3;0.3,0.7'
        seeds: number of seeds, trained side by side
        seed: the first seed; the others follow it
        total_steps: environment steps per seed, over all its parallel environments; rounded down to
            whole updates
        schedule_steps: environment steps per seed in which coefficients with an end, such as
            --actor-lr-end, reach it; a run that is made longer keeps them
        out: new or empty directory for the results
        checkpoint_every: updates between two checkpoints; one is saved at the end in any case
        keep_checkpoints: how many of the newest checkpoints to keep
        matrix_every: updates between two rows of matrices.csv, which says who reused whose
            experience
        eval_every: updates between two evaluations of the likeliest actions, to evaluation.csv;
            the last update is evaluated in any case; training is the same without
        eval_episodes: episodes per seed of an evaluation; at the end the best policies play ten
            times as many
        eval_max_steps: steps after which an evaluation cuts off an episode that has not ended
        log: where metrics go besides metrics.csv, which is always written: tensorboard files in the
            run's directory, wandb (project, mode and the like by its own environment variables);
            csv alone means nowhere else
        devices: devices to spread seeds and grid points over, or all that JAX finds; of a CPU,
            which is one, a number makes as many, up to one for each core. No result depends on it
            on a CPU, and on accelerators rounding does
        env_devices: devices to spread the environments of each seed and grid point over, so that
            even one seed uses several; rounding depends on it
        distributed: this is one of several processes that train together, each with its own
            devices, as SLURM, Open MPI, Kubernetes or a Cloud TPU starts them; or give each
            JAX_COORDINATOR_ADDRESS=HOST:PORT, JAX_NUM_PROCESSES and JAX_PROCESS_ID. Uses all their
            devices unless --devices says otherwise. See docs/scaling.md
        slice: train part i of n of the grid, numbered from 0, or of its seeds if it has one point;
            each job of an array trains one, and join puts them together
        preset: settings that a sweep found; what stands beside it counts more
        resume: go on with the run in DIR as if it had never stopped; everything is as it was there,
            but --total-steps may be raised
        resume_or_start: go on with the run in --out DIR if there is one, and else start it there,
            so that a job that is started again needs no other line
        submit: train so many slices, each as a job that submitit hands to SLURM, or to this machine
            where there is none; a job that is out of time, or that SLURM preempts and requeues,
            goes on; slices that are finished, or being trained, get none
        submit_option: parameters of submitit, such as timeout_min=60 slurm_partition=gpu
            gpus_per_node=1; a wrong name lists those of every cluster
        lenient: warn of options that the algorithm does not read, in place of refusing them
        dry_run: say how large the run is, and what memory its program needs; train nothing
        compilation_cache: keep compiled programs, 1 GB at most, in the user's cache folder
            (oatrpo_jax), so that the next start is quick
    """

    env: str = "maze"
    env_option: Annotated[tuple[str, ...], _shown_as("NAME=VALUE [NAME=VALUE ...]", "none")] = ()
    algorithm: AlgorithmName = "oappo"
    reuse_matrix: Annotated[str | None, _shown_as("nr|ur|rr|ar|MATRIX")] = None
    seeds: int = 5
    seed: int = 0
    total_steps: int = 0
    schedule_steps: Annotated[int, _shown_as("STEPS", "all")] = 0
    out: Annotated[Path | None, _shown_as("DIR", "runs/ENV-ALGORITHM-TIME")] = None
    checkpoint_every: Annotated[int, _shown_as("UPDATES", "once a minute")] = 0
    keep_checkpoints: int = 2
    matrix_every: Annotated[int, _shown_as("UPDATES", "1, more with many agents")] = 0
    eval_every: Annotated[int, _shown_as("UPDATES", "never")] = 0
    eval_episodes: int = 32
    eval_max_steps: int = MAX_EPISODE_STEPS
    log: tuple[LogName, ...] = ("csv", "tensorboard")
    devices: Annotated[
        Devices | None, _shown_as("all|N", "as many as --env-devices; all if distributed")
    ] = None
    env_devices: int = 1
    distributed: bool = False
    slice: Annotated[str | None, _shown_as("I/N", "all of it")] = None
    preset: Annotated[Path | None, _shown_as("FILE")] = None
    resume: Annotated[Path | None, _shown_as("DIR")] = None
    resume_or_start: bool = False
    submit: Annotated[int | None, _shown_as("N", "train here")] = None
    submit_option: Annotated[tuple[str, ...], _shown_as("NAME=VALUE [NAME=VALUE ...]", "none")] = ()
    lenient: bool = False
    dry_run: bool = False
    compilation_cache: bool = True

    @property
    def devices_asked(self) -> tuple[Devices, str]:
        """How many devices there have to be, and the option that says so."""
        if self.devices is None and self.distributed:
            return "all", "devices"
        if self.devices is None:
            return self.env_devices, "env_devices"
        return self.devices, "devices"


SETTINGS = {each.name: each for each in dataclasses.fields(Config) if each.name != "num_updates"}
"""The fields of `Config`, but for the number of updates, which follows."""

COEFFICIENTS = {
    each.name: each for each in dataclasses.fields(Hyperparams) if each.name != "schedule_updates"
}
"""The fields of `Hyperparams`, but for the updates of schedules, which follow."""


def _several(value: Any) -> tuple[float, ...]:
    """Returns a coefficient's values: one, several, or none where a constant has no end."""
    if value is None:
        return ()
    return value if isinstance(value, tuple) else (float(value),)


@dataclass(frozen=True)
class Options:
    """What is asked for, nothing checked yet; the library's defaults unless said otherwise.

    Attributes:
        run: what to run, and where to leave it.
        config: by name, the fields of `Config` that shape the program.
        coefficients: by name, several values of each field of `Hyperparams` make a grid.
        given: names of the options that stood on the command line.
        argv: the command line.
        sweep: how the grid points were found, if they are no product of lists.
        points: those points then, each a value by the name of what is searched.
        where_continuous: by name, what holds if it turns out that the environment's actions are
            continuous; nothing of which the command line, a preset file or a stored run says more.
    """

    run: Run = field(default_factory=Run)
    config: Mapping[str, Any] = field(
        default_factory=lambda: {name: each.default for name, each in SETTINGS.items()}
    )
    coefficients: Mapping[str, tuple[float, ...]] = field(
        default_factory=lambda: {k: _several(each.default) for k, each in COEFFICIENTS.items()}
    )
    given: frozenset[str] = frozenset()
    argv: tuple[str, ...] = ()
    sweep: Mapping[str, Any] | None = None
    points: tuple[dict[str, float], ...] = ()
    where_continuous: Mapping[str, Any] = field(default_factory=dict)

    def having(self, values: Mapping[str, Any]) -> Self:
        """Returns the options with values, by name, in place of theirs."""
        if unknown := values.keys() - self.by_name().keys():
            raise TypeError(f"expected names of options, got {', '.join(sorted(unknown))}")
        run, config, coefficients = (
            {name: value for name, value in values.items() if name in known}
            for known in (self.run.__dict__, SETTINGS, COEFFICIENTS)
        )
        return dataclasses.replace(
            self,
            run=dataclasses.replace(self.run, **run),
            config={**self.config, **config},
            coefficients={**self.coefficients, **{k: _several(v) for k, v in coefficients.items()}},
        )

    def by_name(self) -> dict[str, Any]:
        """Returns every value by name."""
        return {**self.run.__dict__, **self.config, **self.coefficients}

    @property
    def searched(self) -> frozenset[str]:
        """The coefficients that a sweep searches."""
        return frozenset(self.points[0] if self.sweep is not None else ())
