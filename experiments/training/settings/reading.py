"""Options that an experiment does not read: refused, or left out where that is allowed."""

from __future__ import annotations

import dataclasses
import sys

from experiments.training.errors import UsageError
from experiments.training.settings.options import Coefficients, Options, Program, Settings


def without_unread_matrix(options: Options) -> Options:
    """Returns the options without a reuse matrix that is not read, if that is allowed."""
    run = options.run
    if not run.lenient or run.reuse_matrix is None or run.algorithm == "fixed":
        return options
    print(
        f"Warning: reuse_matrix is not read by {run.algorithm}, and changes nothing",
        file=sys.stderr,
    )
    return dataclasses.replace(options, run=dataclasses.replace(run, reuse_matrix=None))


def without_unread(options: Options, name: str, reads: frozenset[str]) -> Options:
    """Returns the options without coefficients that the algorithm does not read.

    Args:
        options: what is asked for.
        name: the algorithm's.
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
    defaults = Settings().coefficients
    left_out = {each: defaults[each] for each in ignored if each in defaults}
    coefficients = Coefficients({**options.coefficients, **left_out})
    given = options.given.difference(ignored)
    return dataclasses.replace(options, coefficients=coefficients, given=given)


def unread(reads: frozenset[str], given: frozenset[str]) -> list[str]:
    """Returns those of the options given that are settings or coefficients and not read."""
    known = {each.name for kind in (Program, Coefficients) for each in kind.declared()}
    return sorted(given & (known - reads))
