"""Options that make no sense, or that nothing reads: a UsageError says what to change."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping
from typing import Any

import jax

from experiments.training.errors import UsageError, check_counts
from experiments.training.settings.options import COEFFICIENTS, SETTINGS, Options
from oatrpo_jax.config import Config
from oatrpo_jax.types import MultiAgentEnv

MAX_SEED = 2**31 - 1
MAX_SEEDS = 100_000


def seed_numbers(first: int, count: int) -> tuple[int, ...]:
    """Returns the numbers of so many seeds."""
    if not 1 <= count <= MAX_SEEDS:
        raise UsageError(f"seeds: expected 1 to {MAX_SEEDS}, got {count}")
    if first < 0 or first + count - 1 > MAX_SEED:
        raise UsageError(f"seed: expected numbers in [0, {MAX_SEED}], got {first} and on")
    return tuple(range(first, first + count))


def check_run(options: Options, config: Config) -> None:
    """Raises a UsageError for an option of `Run` that makes no sense with this program."""
    run = options.run
    if run.matrix_every < 0:
        raise UsageError(
            f"matrix_every: expected at least 1 update, or 0 to let their size decide, got "
            f"{run.matrix_every}"
        )
    if run.checkpoint_every < 0:
        raise UsageError(
            f"checkpoint_every: expected at least 0 updates, got {run.checkpoint_every}"
        )
    if len(set(run.log)) < len(run.log):
        raise UsageError(f"log: expected each name once, got {' '.join(run.log)}")
    if run.submit_option and run.submit is None:
        raise UsageError("submit_option: expected only with --submit, got it without; give both")
    if not 0 <= run.eval_every <= config.num_updates:
        raise UsageError(
            f"eval_every: expected at most the {config.num_updates} updates of the run, or 0 for "
            f"never, got {run.eval_every}"
        )
    counts = ("keep_checkpoints", "eval_episodes", "eval_max_steps", "env_devices")
    check_counts(**{name: getattr(run, name) for name in counts})
    for name in ("eval_episodes", "eval_max_steps"):
        if name in options.given and not run.eval_every:
            raise UsageError(f"{name}: expected only with --eval-every, got it without")
    num_envs = config.num_envs // config.num_minibatches
    if num_envs % run.env_devices:
        raise UsageError(
            f"env_devices: expected a divisor of the {num_envs} environments of a minibatch, "
            f"num_envs / num_minibatches = {config.num_envs} / {config.num_minibatches}, got "
            f"{run.env_devices}; choose another number for one of the three"
        )


def check_ranking(sweep: Mapping[str, Any] | None, env: MultiAgentEnv) -> None:
    """Raises a UsageError if a sweep ranks by an episode metric that the environment has not."""
    if sweep is None:
        return
    _, timestep = jax.eval_shape(env.reset, jax.random.key(0))
    known = ("return", "length", *timestep.extras)
    if sweep["rank_by"] not in known:
        raise UsageError(f"rank_by: expected one of {', '.join(known)}, got {sweep['rank_by']}")


def without_unread_matrix(options: Options) -> Options:
    """Returns the options without a reuse matrix that is not read, if that is allowed."""
    run = options.run
    if not run.lenient or run.reuse_matrix is None or run.algorithm == "fixed":
        return options
    print(
        f"Warning: reuse_matrix is not read by {run.algorithm}, and changes nothing",
        file=sys.stderr,
    )
    return options.having({"reuse_matrix": None})


def without_unread(options: Options, name: str, reads: frozenset[str]) -> Options:
    """Returns the options without coefficients that the algorithm does not read.

    Args:
        reads: what it reads with these settings, in this environment.

    Raises:
        UsageError: if such an option was given, unless that is allowed; if one is searched, always.
    """
    searched = options.searched
    ignored = unread(reads, options.given | searched)
    if not ignored:
        return options
    verb, them = ("is", "it") if len(ignored) == 1 else ("are", "them")
    problem = (
        f"{', '.join(ignored)} {verb} not read by {name} with these settings in this environment"
    )
    if searched & set(ignored) or not options.run.lenient:
        listed = ", ".join(sorted(reads - {"num_updates"}))
        lenient = "" if searched else ", or let --lenient warn of that"
        raise UsageError(f"{problem}; it reads {listed}. Leave {them} out{lenient}.")
    print(f"Warning: {problem}, and changes nothing", file=sys.stderr)
    defaults = {each: COEFFICIENTS[each].default for each in ignored if each in COEFFICIENTS}
    return dataclasses.replace(options.having(defaults), given=options.given.difference(ignored))


def unread(reads: frozenset[str], given: frozenset[str]) -> list[str]:
    """Returns those of the options given that are settings or coefficients and not read."""
    return sorted(given & ({*SETTINGS, *COEFFICIENTS} - reads))
