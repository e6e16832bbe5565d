"""The paper's claims as checks on measurements, and the rule that decides them.

A check compares means over seeds.  It *holds* where the 95% bootstrap interval of the difference
lies wholly on the claimed side of 0, *fails* where it lies wholly on the other side, and is
*undecided at this many seeds* otherwise, or with fewer than `MIN_SEEDS`.  A seed that never reached
the threshold counts with the whole budget, which understates how slow it is.  A claim of several
checks holds if all hold, fails if any fails, and is undecided otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from experiments.analysis.statistics import (
    Estimate,
    estimate,
    mean_difference,
    probability_of_improvement,
    show,
)

Verdict = Literal["holds", "fails", "undecided"]

THRESHOLD = 0.9
"""Share of the optimum that counts as having reached it."""


MIN_SEEDS = 4
"""With three seeds each, chance alone separates two samples in one case of ten."""


class Measured(NamedTuple):
    """What one curve came to.

    Attributes:
        end: ``[K]`` share of the optimum at the end; NaN where no episode ended.
        steps: ``[K]`` environment steps to the threshold; the budget where it was not reached.
        reached: ``[K]`` whether it was.
        budget: environment steps per seed.
    """

    end: np.ndarray
    steps: np.ndarray
    reached: np.ndarray
    budget: int


class Finding(NamedTuple):
    """A check with its outcome, in words and as a verdict."""

    statement: str
    measurement: str
    verdict: Verdict


Evidence = Mapping[str, Measured]


@dataclass(frozen=True)
class Check:
    """One comparison: the curves that it needs, and how it judges them."""

    statement: str
    needs: tuple[str, ...]
    judge: Callable[[Sequence[Measured]], tuple[str, Verdict]]

    def __call__(self, evidence: Evidence) -> Finding:
        """Returns the finding; undecided if a curve is missing."""
        if missing := [label for label in self.needs if label not in evidence]:
            return Finding(self.statement, f"no finished run of {', '.join(missing)}", "undecided")
        return Finding(self.statement, *self.judge([evidence[label] for label in self.needs]))


@dataclass(frozen=True)
class Claim:
    """What the paper says, in short, and the checks that it comes down to."""

    number: int
    sentence: str
    checks: tuple[Check, ...]

    def examine(self, evidence: Evidence) -> tuple[list[Finding], Verdict]:
        """Returns the findings and the verdict on the whole claim."""
        findings = [check(evidence) for check in self.checks]
        return findings, joint_verdict([finding.verdict for finding in findings])


def joint_verdict(verdicts: Sequence[Verdict]) -> Verdict:
    """Returns whether all hold, or any fails.

    >>> joint_verdict(["holds", "undecided"]), joint_verdict(["holds", "undecided", "fails"])
    ('undecided', 'fails')
    """
    if "fails" in verdicts:
        return "fails"
    return "holds" if all(verdict == "holds" for verdict in verdicts) else "undecided"


def is_positive(quantity: Estimate) -> Verdict:
    """Returns the verdict on "this is above 0", from its interval alone."""
    if quantity.num_seeds < MIN_SEEDS:
        return "undecided"
    if quantity.low > 0:
        return "holds"
    return "fails" if quantity.high < 0 else "undecided"


def reaches(label: str) -> Check:
    """Returns the check that a curve ends at the optimum, `THRESHOLD` of it at least."""

    def judge(measured: Sequence[Measured]) -> tuple[str, Verdict]:
        end = estimate(measured[0].end, statistic=np.mean)
        return f"ends at {show(end)} of the optimum", is_positive(_less(end, THRESHOLD))

    return Check(f"{label} reaches {THRESHOLD:g} of the optimum", (label,), judge)


def falls_short(label: str) -> Check:
    """Returns the check that a curve ends below `THRESHOLD` of the optimum."""

    def judge(measured: Sequence[Measured]) -> tuple[str, Verdict]:
        end = estimate(measured[0].end, statistic=np.mean)
        verdict = is_positive(_less(estimate(-measured[0].end, statistic=np.mean), -THRESHOLD))
        return f"ends at {show(end)} of the optimum", verdict

    return Check(f"{label} ends below {THRESHOLD:g} of the optimum", (label,), judge)


def faster(fast: str, slow: str) -> Check:
    """Returns the check that one curve takes fewer steps to the threshold than another."""

    def judge(measured: Sequence[Measured]) -> tuple[str, Verdict]:
        saved = mean_difference(measured[1].steps, measured[0].steps)
        chance = probability_of_improvement(measured[1].steps, measured[0].steps)
        text = (
            f"{steps_text(measured[0])} against {steps_text(measured[1])}; saves "
            f"{show(saved, ',.0f')} steps, probability of improvement {chance:.2f}"
        )
        return text, is_positive(saved)

    return Check(f"{fast} is faster than {slow}", (fast, slow), judge)


def ends_higher(high: str, low: str) -> Check:
    """Returns the check that one curve ends higher than another."""

    def judge(measured: Sequence[Measured]) -> tuple[str, Verdict]:
        first, second = (one.end for one in measured)
        gain = mean_difference(first, second)
        chance = probability_of_improvement(first, second)
        ends = " against ".join(show(estimate(end, statistic=np.mean)) for end in (first, second))
        text = f"{ends}; difference {show(gain)}, probability of improvement {chance:.2f}"
        return text, is_positive(gain)

    return Check(f"{high} ends higher than {low}", (high, low), judge)


def gain_grows(pairs: Mapping[int, tuple[str, str]]) -> Check:
    """Returns the check that the slow curve's steps over the fast one's grow with a size.

    Args:
        pairs: by size, the labels of the fast and the slow curve.
    """
    sizes = np.log2(list(pairs))
    centred = (sizes - sizes.mean()) / np.sum((sizes - sizes.mean()) ** 2)

    def slope(*steps: np.ndarray, axis: int) -> np.ndarray:
        logs = np.stack([np.log2(np.mean(one, axis=axis)) for one in steps])
        return np.tensordot(centred, logs[1::2] - logs[0::2], axes=1)

    def judge(measured: Sequence[Measured]) -> tuple[str, Verdict]:
        fast, slow = measured[::2], measured[1::2]
        gains = [
            f"{size} agents: {gain_of(a, b).value:.2f}"
            for size, a, b in zip(pairs, fast, slow, strict=True)
        ]
        growth = estimate(*(one.steps for one in measured), statistic=slope)
        text = (
            f"ratio of mean steps with {'; '.join(gains)}; growth {show(growth)} doublings of the "
            f"gain per doubling of the agents; seeds that never reached the threshold: "
            f"{_censored(fast)} of the fast, {_censored(slow)} of the slow"
        )
        verdict = is_positive(growth)
        # Steps cut off make a gain too large where the fast are cut, too small where the slow are;
        # the slope rises with the gains of the larger half of the sizes, and falls with the others.
        is_large = centred > 0
        sides = list(zip(is_large, fast, slow, strict=True))
        too_steep = [a if large else b for large, a, b in sides]
        too_flat = [b if large else a for large, a, b in sides]
        if _censored(too_steep if verdict == "holds" else too_flat):
            verdict = "undecided"
        return text, verdict

    labels = tuple(label for pair in pairs.values() for label in pair)
    return Check("the gain grows with the number of agents", labels, judge)


def gain_of(fast: Measured, slow: Measured) -> Estimate:
    """Returns how many times the steps of the fast curve the slow one takes."""

    def ratio(slow: np.ndarray, fast: np.ndarray, axis: int) -> np.ndarray:
        return np.mean(slow, axis=axis) / np.mean(fast, axis=axis)

    return estimate(slow.steps, fast.steps, statistic=ratio)


def steps_text(measured: Measured) -> str:
    """Returns the mean steps to the threshold, and for how many seeds they are a lower bound."""
    censored = int(np.sum(~measured.reached))
    text = f"{np.mean(measured.steps):,.0f}"
    if censored:
        text += f" ({censored} of {len(measured.steps)} seeds not within {measured.budget:,})"
    return text


def _censored(measured: Sequence[Measured]) -> int:
    """Returns how many seeds never reached the threshold."""
    return sum(int(np.sum(~one.reached)) for one in measured)


def _less(quantity: Estimate, amount: float) -> Estimate:
    return quantity._replace(
        value=quantity.value - amount, low=quantity.low - amount, high=quantity.high - amount
    )
