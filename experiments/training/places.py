"""Where a team plays: in the environment of its run, and in another one if that suits it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from envs.importing import check_is_here
from envs.options import make_with_source, options_taken, parse_options
from experiments.training.errors import UsageError
from experiments.training.program import check_episodes
from experiments.training.settings.experiment import Experiment
from oatrpo_jax.env_spec import EnvSpec
from oatrpo_jax.train import Trainer


@dataclass(frozen=True)
class Place:
    """An environment to play in."""

    name: str
    env_options: Mapping[str, Any]
    trainer: Trainer


def find_places(
    experiment: Experiment, name: str | None, assignments: Sequence[str], num_episodes: int
) -> list[Place]:
    """Returns the run's own environment, and the other one if there is to be one.

    Args:
        name: family:scenario of the other environment, or None.
        assignments: its options as ``NAME=VALUE``; it also gets those of the run that it knows.
        num_episodes: to be played there by each seed.

    Raises:
        UsageError: if there is none of that name, or the team cannot play in it.
    """
    home = Place(experiment.options.run.env, experiment.env_options, experiment.trainer)
    if name is None:
        return [home]
    side_by_side = {"episodes": min(num_episodes, experiment.config.num_envs)}
    try:
        inherited = options_taken(name, home.env_options)
        env_options = {**inherited, **parse_options(assignments)}
        env, source = make_with_source(name, env_options)
        if source is not None:
            check_is_here(name, source)
        check_episodes(env, side_by_side)
        check_sizes(home, name, EnvSpec.from_env(env))
        return [home, Place(name, env_options, Trainer(env, home.trainer.learner))]
    except ValueError as error:
        text = str(error)
        raise UsageError(text if text.startswith("env") else f"env: {text}") from error


def check_sizes(home: Place, name: str, theirs: EnvSpec) -> None:
    """Raises a UsageError unless policies trained in one environment can play in another."""
    ours = home.trainer.learner.spec
    kinds = {False: "discrete actions", True: "continuous actions"}
    sizes = {"num_agents": "agents", "view_size": "features of a view"}
    differ = []
    if ours.is_continuous != theirs.is_continuous:
        differ = [f"{kinds[theirs.is_continuous]}, not {kinds[ours.is_continuous]}"]
    else:
        sizes["num_actions"] = "dimensions of an action" if ours.is_continuous else "actions"
    differ += [
        f"{getattr(theirs, size)} {what}, not {getattr(ours, size)}"
        for size, what in sizes.items()
        if getattr(ours, size) != getattr(theirs, size)
    ]
    if differ:
        raise UsageError(
            f"env: a team trained in {home.name} cannot play in {name}, which has "
            f"{' and '.join(differ)}; choose another, or other options with --env-option"
        )
