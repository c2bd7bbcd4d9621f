"""Contrasts: their standard errors, the conditions of a verdict, and Holm's correction."""

from dataclasses import replace

import numpy as np
import pytest
from dtao_agents.evaluation.statistics import Estimate
from dtao_agents.probe.contrasts import (
    Combined,
    Contrast,
    Term,
    blocks_to_decide,
    combine,
    count_verdicts,
    difference,
    holm,
    judged,
    voided,
)
from scipy import stats

from tests.agents.probe.synthetic import noise, parameter

SMALLEST = 0.2


def combined(value: float, standard_error: float, degrees: int = 63) -> Combined:
    reach = standard_error * float(stats.t.ppf(0.975, degrees))
    return Combined(Estimate(value, value - reach, value + reach), standard_error, degrees)


def verdict_of(value: float, standard_error: float, question="exceeds") -> Contrast:
    estimate = combined(value, standard_error)
    return judged("crowding out", "price", "here", question, estimate, SMALLEST)


# --- standard errors


def test_a_weighted_sum_has_the_interval_of_the_mean_of_its_blocks():
    """Student's interval of the weighted sum in each block, as NumPy and SciPy compute it."""
    blocks = np.random.default_rng(0).multivariate_normal(
        [1.0, 2.0, 4.0], [[1.0, 0.8, 0.2], [0.8, 2.0, 0.1], [0.2, 0.1, 0.5]], 24
    )
    weights = np.array([1.0, -0.5, 2.0])
    terms = [Term(w, parameter(x.mean(), x), 8) for w, x in zip(weights, blocks.T, strict=True)]
    found = combine(terms)
    sums = blocks @ weights
    low, high = stats.ttest_1samp(sums, 0.0).confidence_interval(0.95)
    assert found.standard_error == pytest.approx(sums.std(ddof=1) / np.sqrt(24))
    assert found.estimate == pytest.approx((sums.mean(), low, high))
    assert found.degrees == 23


def test_equal_deviations_cancel_and_those_of_other_worlds_add_variances():
    one, same, other = parameter(1.0, noise(1)), parameter(0.5, noise(1)), parameter(0.5, noise(2))
    paired = difference((one, 8), (same, 8))
    assert paired.estimate == pytest.approx((0.5, 0.5, 0.5))
    assert paired.standard_error == 0.0
    apart = difference((one, 8), (other, 16))
    assert apart.standard_error == pytest.approx(np.hypot(one.standard_error, other.standard_error))
    assert difference((one, 8), (other, 16), -3.0).estimate.value == -1.5


def test_a_single_term_keeps_its_interval():
    one = parameter(1.0, noise(1))
    assert combine([Term(1.0, one, 8)]).estimate == pytest.approx(one.estimate)
    with pytest.raises(ValueError, match="terms"):
        combine([])


def test_intervals_of_paired_terms_with_different_numbers_of_blocks_cover_the_truth():
    """The second term has only the first 16 of 64 blocks; its blocks correlate with those of the first."""
    rng = np.random.default_rng(3)
    covers, variances, values = [], [], []
    for _ in range(2000):
        first = rng.normal(size=64)
        second = 0.8 * first[:16] + 0.6 * rng.normal(size=16)
        pair = [parameter(x.mean(), x) for x in (first, second)]
        found = difference((pair[0], 8), (pair[1], 8))
        covers.append(found.estimate.low <= 0.0 <= found.estimate.high)
        variances.append(found.standard_error**2)
        values.append(found.estimate.value)
    assert np.mean(variances) == pytest.approx(np.var(values), rel=0.1)
    assert np.mean(covers) == pytest.approx(0.95, abs=0.015)


# --- verdicts

REACH = float(stats.t.ppf(0.975, 63))


@pytest.mark.parametrize(
    ("value", "error", "question", "verdict", "reason"),
    [
        # the lower end of the interval just above and just below the smallest effect
        (0.2 + 0.1 * REACH + 1e-6, 0.1, "exceeds", "supported", "above 0.2"),
        (0.2 + 0.1 * REACH - 1e-6, 0.1, "exceeds", "undecided", "holds 0.2"),
        # the upper end of the interval just below and just above it
        (0.2 - 0.1 * REACH - 1e-6, 0.1, "exceeds", "refuted", "no effect of interest"),
        (0.2 - 0.1 * REACH + 1e-6, 0.1, "exceeds", "undecided", "holds 0.2"),
        # below the smallest effect, but neither within both bounds nor below both
        (-0.3, 0.1, "exceeds", "refuted", "below 0.2"),
        (-0.2 - 0.1 * REACH - 1e-6, 0.1, "exceeds", "refuted", "the opposite sign"),
        (0.0, 0.05, "no effect", "supported", "within"),
        (0.2 - 0.05 * REACH - 1e-6, 0.05, "no effect", "supported", "within"),
        (0.2 - 0.05 * REACH + 1e-6, 0.05, "no effect", "undecided", "holds a bound"),
        (0.2 + 0.05 * REACH + 1e-6, 0.05, "no effect", "refuted", "beyond 0.2"),
        (-0.2 - 0.05 * REACH - 1e-6, 0.05, "no effect", "refuted", "beyond 0.2"),
        (0.0, 0.2, "no effect", "undecided", "holds a bound"),
        # nothing random
        (0.3, 0.0, "exceeds", "supported", "above 0.2"),
        (0.1, 0.0, "exceeds", "refuted", "no effect of interest"),
        (0.1, 0.0, "no effect", "supported", "within"),
    ],
)  # fmt: skip
def test_a_verdict_is_the_place_of_the_interval(value, error, question, verdict, reason):
    contrast = verdict_of(value, error, question)
    assert contrast.verdict == verdict
    assert reason in contrast.reason
    assert contrast.p_value is not None
    assert (contrast.p_value < 0.05) == (verdict != "undecided")


def test_without_a_number_there_is_no_verdict():
    contrast = judged("f", "price", "", "exceeds", None, SMALLEST, reason="price: not computed")
    assert (contrast.verdict, contrast.estimate) == ("indeterminate", None)
    assert contrast.reason == "price: not computed"
    assert contrast.half_width is None


@pytest.mark.parametrize(
    ("question", "bound", "verdict"),
    [("exceeds", 1, "supported"), ("exceeds", -1, "refuted"), ("no effect", 1, "refuted")],
)
def test_the_sign_of_a_gap_without_a_size_is_enough(question, bound, verdict):
    contrast = judged("f", "price", "", question, None, SMALLEST, reason="at a bound", bound=bound)
    assert contrast.verdict == verdict
    assert contrast.estimate is None
    assert "no size: at a bound" in contrast.reason


def test_a_failed_gate_takes_the_verdict_and_keeps_the_number():
    contrast = voided(verdict_of(0.8, 0.1), ["NC9", "POT"])
    assert contrast.verdict == "void"
    assert contrast.reason == "NC9, POT failed"
    assert contrast.estimate is not None
    assert contrast.p_value is None


# --- how many blocks would decide


@pytest.mark.parametrize(
    ("value", "question"), [(0.3, "exceeds"), (0.1, "exceeds"), (0.3, "no effect")]
)
def test_the_stated_number_of_blocks_decides_in_four_of_five_repetitions(value, question):
    """Samples of that many blocks, drawn about the present estimate."""
    undecided = verdict_of(value, 0.1, question)
    blocks = undecided.blocks_needed
    assert undecided.verdict == "undecided"
    assert blocks is not None
    assert blocks > 64
    assert f"about {blocks:,} blocks" in undecided.reason
    rng = np.random.default_rng(4)
    draws = value + 0.1 * np.sqrt(64) * rng.normal(size=(4000, blocks))
    errors = draws.std(axis=1, ddof=1) / np.sqrt(blocks)
    decided = [
        judged("f", "", "", question, combined(float(x), float(s), blocks - 1), SMALLEST).verdict
        == ("supported" if question == "exceeds" and value > SMALLEST else "refuted")
        for x, s in zip(draws.mean(axis=1), errors, strict=True)
    ]
    assert np.mean(decided) == pytest.approx(0.8, abs=0.03)


def test_no_number_of_blocks_decides_an_estimate_on_the_bound():
    assert blocks_to_decide(combined(0.2, 0.1), 0.0) is None
    assert verdict_of(0.2, 0.1).blocks_needed is None


# --- Holm's correction


def contrast_with(p_value: float | None, verdict: str = "supported", named: bool = True):
    estimate = Estimate(1.0, 0.9, 1.1)
    return Contrast("f", "", "", "exceeds", estimate, verdict, "", False, named, p_value=p_value)


def test_holm_multiplies_the_sorted_p_values_by_the_hypotheses_that_are_left():
    """Worked example: .005 x 4, .01 x 3, .03 x 2, and .04 x 1, which may not fall below the one before it."""
    corrected = holm([contrast_with(p) for p in (0.01, 0.04, 0.03, 0.005)])
    assert [c.adjusted for c in corrected] == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert [c.verdict for c in corrected] == ["supported", "undecided", "undecided", "supported"]
    assert "not after Holm's correction over 4 hypotheses (p 0.06)" in corrected[1].reason


def test_undecided_hypotheses_count_and_adjusted_p_values_end_at_one():
    corrected = holm(
        [contrast_with(0.03), contrast_with(0.6, "undecided"), contrast_with(0.9, "undecided")]
    )
    assert [c.adjusted for c in corrected] == pytest.approx([0.09, 1.0, 1.0])
    assert corrected[0].verdict == "undecided"


def test_holm_leaves_out_what_the_plan_did_not_name_and_what_has_no_number():
    others = [contrast_with(0.04, named=False), contrast_with(None, "void")]
    corrected = holm([contrast_with(0.04), *others])
    assert corrected[1:] == others
    assert corrected[0] == replace(contrast_with(0.04), adjusted=0.04)


def test_verdicts_are_counted_in_a_fixed_order():
    verdicts = ("void", "refuted", "supported", "refuted")
    counts = count_verdicts([contrast_with(0.1, verdict) for verdict in verdicts])
    assert list(counts.items()) == [("supported", 1), ("refuted", 2), ("void", 1)]
