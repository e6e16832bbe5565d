"""From options to what can be run: environment, algorithm, trainer and grid, all checked."""

from __future__ import annotations

import dataclasses
import functools
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from envs.options import make_with_source, parse_options
from experiments.training.errors import MAX_COUNT, UsageError
from experiments.training.settings.checks import (
    check_run,
    seed_numbers,
    without_unread,
    without_unread_matrix,
)
from experiments.training.settings.options import Options
from experiments.training.settings.points import Point, cut, make_points, name_points
from experiments.training.settings.reuse_matrix import parse_reuse
from oatrpo_jax.algorithms import Algorithm, fixed_algorithm, get_algorithm
from oatrpo_jax.config import Config
from oatrpo_jax.hyperparams import ENDS, Hyperparams
from oatrpo_jax.train import Trainer, make_trainer
from oatrpo_jax.types import acts_continuously

MATRIX_CELLS = 64
"""Cells of a matrix that an update costs on average, unless it is said how often to log them."""


@dataclass(frozen=True)
class Experiment:
    """What to run, ready to compile.

    Attributes:
        options: where it comes from.
        env_options: keyword arguments of the environment.
        env_source: the file of somebody's that has made it, and its digest; None for the library's.
        trainer: environment, algorithm and config joined.
        points: the grid or its slice, P of them.
        swept: names of the coefficients that differ between points of the grid.
        seeds: the number of each seed, K of them.
    """

    options: Options
    env_options: dict[str, Any]
    env_source: dict[str, str] | None
    trainer: Trainer
    points: tuple[Point, ...]
    swept: tuple[str, ...]
    seeds: tuple[int, ...]

    @property
    def config(self) -> Config:
        """The static settings."""
        return self.trainer.config

    @property
    def algorithm(self) -> Algorithm:
        """The row of the table."""
        return self.trainer.learner.algorithm

    @property
    def reads(self) -> frozenset[str]:
        """The settings and coefficients that change what it does."""
        return self.algorithm.reads(self.config, self.trainer.learner.spec.is_continuous)

    @property
    def total_steps(self) -> int:
        """Environment steps per seed of the whole run, in whole updates."""
        return self.config.num_updates * self.config.steps_per_update

    @property
    def lanes(self) -> tuple[int, int]:
        """(P, K): how many points and seeds train side by side."""
        return len(self.points), len(self.seeds)

    @property
    def matrix_every(self) -> int:
        """Updates between two rows of matrices.csv; a matrix has a cell per policy and agent."""
        learner = self.trainer.learner
        num_cells = int(learner.num_policies) * learner.spec.num_agents
        return self.options.run.matrix_every or max(1, num_cells // MATRIX_CELLS)

    @property
    def hparams(self) -> Hyperparams:
        """The coefficients with leading axis ``[P]``."""
        columns = {name: [point[name] for point in self.points] for name in self.points[0]}
        return Hyperparams.create(**columns, schedule_updates=self.schedule_updates)

    @property
    def schedule_updates(self) -> int | None:
        """Updates in which coefficients with an end reach it; None if there are none."""
        steps = self.options.run.schedule_steps
        return steps // self.config.steps_per_update if steps else None

    @functools.cached_property
    def labels(self) -> list[str]:
        """The name of each grid point: what is swept there, else the algorithm."""
        return name_points(self.points, self.swept, self.algorithm.name)


def build(options: Options) -> Experiment:
    """Returns the experiment that the options describe.

    Raises:
        UsageError: if there is none, saying what to change.
    """
    try:
        return _build(options)
    except ValueError as error:
        raise UsageError(str(error)) from error


def _build(options: Options) -> Experiment:
    options = without_unread_matrix(options)
    run = options.run
    seeds = seed_numbers(run.seed, run.seeds)
    config = make_config(options.config, run.total_steps)
    check_run(options, config)
    env_options = parse_options(run.env_option)
    env, env_source = make_with_source(run.env, env_options)
    algorithm = make_algorithm(run.algorithm, run.reuse_matrix, run.env, env.agent_types)
    is_continuous = acts_continuously(env)
    if is_continuous:
        options = options.having(options.where_continuous)
        config = make_config(options.config, run.total_steps)
    reads = algorithm.reads(config, is_continuous)
    options = without_unread(options, algorithm.name, reads)
    points, swept = make_points(options)
    options = _with_schedule_steps(options, config, reads)
    experiment = Experiment(
        options=options,
        env_options=env_options,
        env_source=env_source,
        trainer=make_trainer(env, algorithm, config),
        points=points,
        swept=swept,
        seeds=seeds,
    )
    _ = experiment.hparams  # Checks the ranges.
    points, seeds = cut(run.slice, points, seeds)
    return dataclasses.replace(experiment, points=points, seeds=seeds)


def make_config(settings: Mapping[str, Any], total_steps: int) -> Config:
    """Returns the config with as many whole updates as fit in ``total_steps`` per seed."""
    config = Config(**settings, num_updates=1)
    if total_steps < config.steps_per_update:
        raise UsageError(
            f"total_steps: expected at least one update, num_envs x rollout_length = "
            f"{config.num_envs} x {config.rollout_length} = {config.steps_per_update} steps per "
            f"seed, got {total_steps}; raise it, or lower one of the two"
        )
    num_updates = total_steps // config.steps_per_update
    if num_updates > MAX_COUNT:
        raise UsageError(
            f"total_steps: expected at most {MAX_COUNT} updates of {config.steps_per_update} "
            f"steps, got {total_steps}; lower it"
        )
    return dataclasses.replace(config, num_updates=num_updates)


def make_algorithm(
    name: str, reuse_matrix: str | None, env: str, agent_types: Sequence[str]
) -> Algorithm:
    """Returns the row of that name; ``fixed`` takes the reuse matrix, the others none."""
    if (name == "fixed") != (reuse_matrix is not None):
        raise UsageError(
            "reuse_matrix: expected nr, ur, rr, ar or a matrix of weights with --algorithm fixed"
            if name == "fixed"
            else f"reuse_matrix: expected only with --algorithm fixed, got it with {name}"
        )
    if reuse_matrix is None:
        return get_algorithm(name)
    return fixed_algorithm(parse_reuse(reuse_matrix, env, agent_types))


def _with_schedule_steps(options: Options, config: Config, reads: Collection[str]) -> Options:
    """Returns the options with the steps in which ends are reached; 0 if nothing has an end."""
    run, is_given = options.run, "schedule_steps" in options.given
    ends = [end for end in ENDS.values() if end in reads]
    has_end = any(options.coefficients[end] for end in ends) or set(ends) & set(options.searched)
    if is_given and not has_end:
        problem = "schedule_steps: no coefficient has an end"
        if not run.lenient:
            listed = ", ".join(f"--{end.replace('_', '-')}" for end in ends)
            advice = "a run has them from its beginning" if run.resume else f"give one of {listed}"
            raise UsageError(f"{problem}; {advice}, or leave it out")
        print(f"Warning: {problem}, so that it changes nothing", file=sys.stderr)
    steps = run.schedule_steps if is_given else run.schedule_steps or run.total_steps
    if has_end and not config.steps_per_update <= steps <= MAX_COUNT * config.steps_per_update:
        raise UsageError(
            f"schedule_steps: expected from one update of {config.steps_per_update} steps to "
            f"{MAX_COUNT} of them, got {steps} steps"
        )
    return options.having({"schedule_steps": steps if has_end else 0})
