"""The paper's claims as checks on measurements; claims.md.jinja says what decides them.

A seed that never reached the threshold counts with the whole budget, which understates how slow it
is; a verdict that this alone could have brought about is undecided.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from experiments.analysis.estimates import (
    MEAN,
    MIN_SEEDS,
    ROUNDING,
    Estimate,
    estimate,
    log_mean_sum,
    mean_difference,
    mean_ratio,
    probability_of_improvement,
    show,
)

Verdict = Literal["holds", "fails", "undecided"]

THRESHOLD = 0.9
"""Share of the optimum that counts as having reached it."""


class Measured(NamedTuple):
    """What one curve came to.

    Attributes:
        end: ``[K]`` share of the optimum at the end; NaN where no episode ended.
        steps: ``[K]`` environment steps to the threshold; the budget where it was not reached.
        reached: ``[K]`` whether it was.
        budget: environment steps per seed, those before training included.
        seconds: ``[K]`` what the steps took the run's own clock, without compiling.
    """

    end: np.ndarray
    steps: np.ndarray
    reached: np.ndarray
    budget: int
    seconds: np.ndarray

    @property
    def num_censored(self) -> int:
        """How many seeds never reached the threshold."""
        return int(np.sum(~self.reached))


class Finding(NamedTuple):
    """A check with its outcome, in words and as a verdict."""

    statement: str
    measurement: str
    verdict: Verdict


@dataclass(frozen=True)
class Check:
    """One comparison: the curves that it needs, and how it judges them."""

    statement: str
    needs: tuple[str, ...]
    judge: Callable[..., tuple[str, Verdict]]

    def __call__(self, measured: Mapping[str, Measured]) -> Finding:
        """Returns the finding; undecided if a curve is missing."""
        if missing := [label for label in self.needs if label not in measured]:
            return Finding(self.statement, f"no finished run of {', '.join(missing)}", "undecided")
        return Finding(self.statement, *self.judge(*(measured[label] for label in self.needs)))


@dataclass(frozen=True)
class Claim:
    """What is claimed, in short, and the checks that it comes down to."""

    number: int
    sentence: str
    checks: tuple[Check, ...]

    def examine(self, measured: Mapping[str, Measured]) -> tuple[list[Finding], Verdict]:
        """Returns the findings and the verdict on the whole claim: the worst of theirs."""
        findings = [check(measured) for check in self.checks]
        verdicts = {finding.verdict for finding in findings}
        order: tuple[Verdict, ...] = ("fails", "undecided", "holds")
        return findings, next(verdict for verdict in order if verdict in verdicts)


def is_positive(quantity: Estimate) -> Verdict:
    """Returns the verdict on "this is above 0", from its interval alone."""
    if quantity.num_seeds < MIN_SEEDS:
        return "undecided"
    if quantity.low > 0:
        return "holds"
    return "fails" if quantity.high < 0 else "undecided"


def reaches(label: str) -> Check:
    """Returns the check that a curve ends at the optimum, `THRESHOLD` of it at least."""
    statement = f"{label} reaches {THRESHOLD:g} of the optimum"
    return Check(statement, (label,), functools.partial(_judge_end, 1))


def falls_short(label: str) -> Check:
    """Returns the check that a curve ends below `THRESHOLD` of the optimum."""
    statement = f"{label} ends below {THRESHOLD:g} of the optimum"
    return Check(statement, (label,), functools.partial(_judge_end, -1))


def _judge_end(side: int, measured: Measured) -> tuple[str, Verdict]:
    end = estimate(measured.end, MEAN)
    beyond = estimate(side * (measured.end - THRESHOLD), MEAN)
    return f"ends at {show(end)} of the optimum", is_positive(beyond)


def faster(fast: str, slow: str) -> Check:
    """Returns the check that one curve takes fewer steps to the threshold than another."""
    return Check(f"{fast} is faster than {slow}", (fast, slow), _judge_speed)


def _judge_speed(fast: Measured, slow: Measured) -> tuple[str, Verdict]:
    saved, verdict = _compare(slow.steps, fast.steps, "saves {} steps", ",.0f")
    return f"{_mean(fast, fast.steps)} against {_mean(slow, slow.steps)}; {saved}", verdict


def _compare(
    larger: np.ndarray, smaller: np.ndarray, sentence: str, style: str = ".3f"
) -> tuple[str, Verdict]:
    """Returns how much larger a mean is, in a sentence, and the verdict on that it is."""
    difference = mean_difference(larger, smaller)
    chance = probability_of_improvement(larger, smaller)
    text = f"{sentence.format(show(difference, style))}, probability of improvement {chance:.2f}"
    return text, is_positive(difference)


def takes_at_most(share: float, one: str, other: str) -> Check:
    """Returns the check that a curve takes at most a share of another's steps to the threshold."""
    statement = f"{one} takes at most {share:g} of the steps of {other}"
    return Check(statement, (one, other), functools.partial(_judge_share, share))


def _judge_share(share: float, one: Measured, other: Measured) -> tuple[str, Verdict]:
    ratio = mean_ratio(one.steps, other.steps)
    room = Estimate(share - ratio.value, share - ratio.high, share - ratio.low, ratio.num_seeds)
    text = (
        f"{_mean(one, one.steps)} against {_mean(other, other.steps)}; {show(ratio)} of its steps"
    )
    return text, _unless_cut_off(is_positive(room), one, other)


def cheaper(cheap: str, dear: str) -> Check:
    """Returns the check that one curve takes fewer seconds to the threshold than another."""
    statement = f"{cheap} takes fewer seconds than {dear}"
    return Check(statement, (cheap, dear), _judge_seconds)


def _judge_seconds(cheap: Measured, dear: Measured) -> tuple[str, Verdict]:
    saved, verdict = _compare(dear.seconds, cheap.seconds, "saves {} seconds", ",.1f")
    means = " against ".join(_mean(one, one.seconds, ",.1f") for one in (cheap, dear))
    return f"{means}; {saved}", _unless_cut_off(verdict, cheap, dear)


def _unless_cut_off(verdict: Verdict, small: Measured, large: Measured) -> Verdict:
    """Returns a verdict on "this is smaller", undecided where steps cut off may have made it.

    What is cut off is larger in truth: the small one's could yet be the larger, the large one's
    could yet make the claim hold.
    """
    suspect = {"holds": small, "fails": large}.get(verdict)
    return "undecided" if suspect is not None and suspect.num_censored else verdict


def ends_higher(high: str, low: str) -> Check:
    """Returns the check that one curve ends higher than another."""
    return Check(f"{high} ends higher than {low}", (high, low), _judge_ends)


def _judge_ends(high: Measured, low: Measured) -> tuple[str, Verdict]:
    gain, verdict = _compare(high.end, low.end, "difference {}")
    ends = " against ".join(show(estimate(one.end, MEAN)) for one in (high, low))
    return f"{ends}; {gain}", verdict


def gain_grows(pairs: Mapping[int, tuple[str, str]]) -> Check:
    """Returns the check that the slow curve's steps over the fast one's grow with a size.

    Args:
        pairs: by size, the labels of the fast and the slow curve.
    """
    labels = tuple(label for pair in pairs.values() for label in pair)
    judge = functools.partial(_judge_growth, tuple(pairs))
    return Check("the gain grows with the number of agents", labels, judge)


def _judge_growth(sizes: tuple[int, ...], *measured: Measured) -> tuple[str, Verdict]:
    doublings = np.log2(sizes) - np.log2(sizes).mean()
    slope = doublings / np.sum(doublings**2) / np.log(2)
    fast, slow = measured[::2], measured[1::2]
    gains = [
        f"{size} agents: {mean_ratio(other.steps, one.steps).value:.2f}"
        for size, one, other in zip(sizes, fast, slow, strict=True)
    ]
    # The slope of log2(slow / fast) over the doublings of the size.
    steps = [one.steps for one in (*slow, *fast)]
    growth = log_mean_sum(steps, np.concatenate([slope, -slope]))
    text = (
        f"ratio of mean steps with {'; '.join(gains)}; growth {show(growth)} doublings of the "
        f"gain per doubling of the agents; seeds that never reached the threshold: "
        f"{sum(one.num_censored for one in fast)} of the fast, "
        f"{sum(one.num_censored for one in slow)} of the slow"
    )
    verdict = is_positive(growth)
    # Steps cut off make a gain too large where the fast are cut, too small where the slow are;
    # the slope rises with the gains of the larger sizes, falls with those of the smaller ones, and
    # does not know that of one in the middle.
    suspects = (fast, slow) if verdict == "holds" else (slow, fast)
    for doubling, *pair in zip(doublings, *suspects, strict=True):
        if abs(doubling) > ROUNDING and pair[0 if doubling > 0 else 1].num_censored:
            verdict = "undecided"
    return text, verdict


def _mean(measured: Measured, values: np.ndarray, style: str = ",.0f") -> str:
    """Returns the mean of steps or seconds, and for how many seeds they are a lower bound."""
    mean = f"{np.mean(values):{style}}"
    if not measured.num_censored:
        return mean
    seeds = f"{measured.num_censored} of {len(values)} seeds"
    return f"{mean} ({seeds} not within {measured.budget:,})"
