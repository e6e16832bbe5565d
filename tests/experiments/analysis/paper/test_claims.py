import numpy as np
import pytest

from experiments.analysis.estimates import Estimate
from experiments.analysis.paper.claims import (
    Claim,
    Measured,
    cheaper,
    ends_higher,
    falls_short,
    faster,
    gain_grows,
    is_positive,
    reaches,
    takes_at_most,
)


def measured(steps=(10, 20), end=(1.0, 1.0), budget=100, step_seconds=1.0):
    """Two seeds for each number of steps; those at the budget never reached the threshold."""
    steps, end = np.repeat(np.array(steps, float), 2), np.repeat(np.array(end, float), 2)
    return Measured(end, steps, steps < budget, budget, steps * step_seconds)


def test_a_verdict_needs_an_interval_wholly_on_one_side():
    assert is_positive(Estimate(1, 0.1, 2, 5)) == "holds"
    assert is_positive(Estimate(-1, -2, -0.1, 5)) == "fails"
    assert is_positive(Estimate(1, -0.1, 2, 5)) == "undecided"
    assert is_positive(Estimate(0, 0, 0, 5)) == "undecided"


def test_three_seeds_decide_nothing_and_four_do():
    assert is_positive(Estimate(1, 0.1, 2, 3)) == "undecided"
    assert is_positive(Estimate(1, 0.1, 2, 4)) == "holds"


def test_faster_compares_steps_and_says_which_were_cut_off():
    quick, slow = measured([10, 12, 11]), measured([50, 100, 100])
    check = faster("quick", "slow")
    finding = check({"quick": quick, "slow": slow})
    assert finding.verdict == "holds"
    # (50 + 100 + 100) / 3 - 11 = 72
    assert "11 against 83 (4 of 6 seeds not within 100); saves 72 [" in finding.measurement
    assert "probability of improvement 1.00" in finding.measurement
    assert check({"quick": slow, "slow": quick}).verdict == "fails"


def test_at_most_a_share_of_the_steps_needs_the_whole_interval_of_the_ratio_below_it():
    check = takes_at_most(1.05, "one", "other")
    other = measured([100, 100], budget=1000)
    finding = check({"one": measured([102, 102], budget=1000), "other": other})
    assert finding.verdict == "holds"
    assert finding.measurement == "102 against 100; 1.020 [1.020, 1.020] of its steps"
    assert check({"one": measured([106, 106], budget=1000), "other": other}).verdict == "fails"
    # The mean is 1.02 of the other's, too; seeds this far apart cannot tell.
    assert check({"one": measured([92, 112], budget=1000), "other": other}).verdict == "undecided"


def test_cheaper_compares_seconds_whatever_the_steps():
    quick, slow = measured([50, 60], step_seconds=0.1), measured([20, 22], step_seconds=2.0)
    check = cheaper("quick", "slow")
    finding = check({"quick": quick, "slow": slow})
    assert finding.verdict == "holds"
    # 21 x 2 - 55 x 0.1 = 36.5
    assert "5.5 against 42.0; saves 36.5 [" in finding.measurement
    assert check({"quick": slow, "slow": quick}).verdict == "fails"
    assert faster("quick", "slow")({"quick": quick, "slow": slow}).verdict == "fails"


@pytest.mark.parametrize("check", [takes_at_most(1.05, "a", "b"), cheaper("a", "b")])
def test_steps_cut_off_cannot_make_a_curve_the_cheaper_one(check):
    # All their steps are 100, a tenth of a second or a whole one each: a would be cheaper.
    never, dear = measured([100, 100], step_seconds=0.1), measured([100, 100], step_seconds=1.0)
    assert check({"a": never, "b": dear}).verdict == "undecided"
    # What is cut off is larger in truth, which can make the dearer one no cheaper.
    early = measured([10, 10], step_seconds=0.1)
    assert check({"a": early, "b": dear}).verdict == "holds"
    # Nor are 90 steps of 9 seconds more than those of who stopped after 50.
    late, cut = measured([90, 90], step_seconds=9.0), measured([50, 50], budget=50)
    assert check({"a": late, "b": cut}).verdict == "undecided"
    assert check({"a": measured([100, 100], step_seconds=9.0), "b": early}).verdict == "fails"


def test_two_curves_that_never_reach_the_threshold_decide_nothing():
    never = measured([100, 100, 100])
    assert faster("a", "b")({"a": never, "b": never}).verdict == "undecided"


@pytest.mark.parametrize(
    ("end", "reaches_it", "falls"),
    [
        ([0.95, 0.97, 0.96], "holds", "fails"),
        ([0.5, 0.6, 0.55], "fails", "holds"),
        ([0.5, 1.0, 0.95], "undecided", "undecided"),
        ([1.0], "undecided", "undecided"),
    ],
)
def test_reaching_and_falling_short_are_opposites(end, reaches_it, falls):
    curves = {"a": measured([10] * len(end), end)}
    assert reaches("a")(curves).verdict == reaches_it
    assert falls_short("a")(curves).verdict == falls


def test_ends_higher_compares_the_ends():
    curves = {"a": measured(end=(0.9, 0.95)), "b": measured(end=(0.2, 0.4))}
    finding = ends_higher("a", "b")(curves)
    assert finding.verdict == "holds"
    assert "difference 0.625" in finding.measurement  # 0.925 - 0.3


def test_a_missing_run_leaves_a_claim_undecided_and_is_named():
    finding = faster("a", "b")({"a": measured()})
    assert finding.verdict == "undecided"
    assert finding.measurement == "no finished run of b"


def test_a_claim_fails_if_one_check_does_and_holds_only_if_all_do():
    curves = {"good": measured(end=(1, 1)), "bad": measured(end=(0.1, 0.1))}
    assert Claim(1, "", (reaches("good"), reaches("good"))).examine(curves)[1] == "holds"
    assert Claim(1, "", (reaches("good"), reaches("bad"))).examine(curves)[1] == "fails"
    assert Claim(1, "", (reaches("good"), reaches("none"))).examine(curves)[1] == "undecided"


PAIRS = {2: ("f2", "s2"), 8: ("f8", "s8")}


def teams(**changes):
    """Gains of 2 with two agents and 8 with eight: growth log2(8 / 2) / log2(8 / 2) = 1."""
    steps = {"f2": [10, 10], "s2": [20, 20], "f8": [10, 10], "s8": [80, 80]} | changes
    return {label: measured(values) for label, values in steps.items()}


def test_the_growth_of_the_gain_is_the_slope_over_doublings():
    finding = gain_grows(PAIRS)(teams())
    assert "2 agents: 2.00; 8 agents: 8.00; growth 1.000 [1.000, 1.000]" in finding.measurement
    assert finding.verdict == "holds"


def test_equal_gains_do_not_grow_whatever_the_rounding():
    # All ratios are 3; their logarithms are equal but for the last digit.
    equal = gain_grows({2: ("f2", "s2"), 8: ("f8", "s8"), 64: ("f64", "s64")})
    steps = {"f2": [3, 3], "s2": [9, 9], "f8": [7, 7], "s8": [21, 21]}
    assert equal(teams(**steps, f64=[11, 11], s64=[33, 33])).verdict == "undecided"


def test_steps_cut_off_decide_the_growth_only_where_they_work_against_the_verdict():
    check = gain_grows(PAIRS)
    # The slow of eight agents, cut off, make the true slope steeper; so do the fast of two.
    assert check(teams(s8=[80, 100])).verdict == "holds"
    assert check(teams(f2=[10, 100], s2=[99, 99], s8=[99, 99], f8=[1, 1])).verdict == "holds"
    assert check(teams(s2=[20, 100])).verdict == "undecided"
    assert check(teams(s2=[20, 20], f8=[10, 100], s8=[99, 99], f2=[20, 20])).verdict == "undecided"
    assert check(teams(s2=[90, 90], s8=[10, 10])).verdict == "fails"
    assert check(teams(s2=[90, 100], s8=[10, 10])).verdict == "fails"
    assert check(teams(s2=[90, 90], f8=[90, 90], s8=[100, 100])).verdict == "undecided"
    # The growth over 2, 4 and 8 agents is that from 2 to 8, whatever those of 4 take.
    three = gain_grows({2: PAIRS[2], 4: ("f4", "s4"), 8: PAIRS[8]})
    assert three(teams(f4=[10, 100], s4=[40, 100])).verdict == "holds"
    assert three(teams(f4=[10, 10], s4=[40, 40], s2=[20, 100])).verdict == "undecided"
