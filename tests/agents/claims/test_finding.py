"""Findings: verdicts of intervals, and their records."""

import json

import pytest
from dtao_agents.claims.finding import Finding, Hypothesis, from_records, to_records
from dtao_agents.evaluation.statistics import Estimate


@pytest.mark.parametrize(
    ("direction", "low", "high", "verdict"),
    [
        ("above", 0.51, 0.9, "supported"),
        ("above", 0.1, 0.49, "refuted"),
        ("above", 0.5, 0.9, "undecided"),
        ("above", 0.1, 0.5, "undecided"),
        ("below", 0.1, 0.49, "supported"),
        ("below", 0.51, 0.9, "refuted"),
        ("below", 0.1, 0.5, "undecided"),
        ("within", -0.49, 0.49, "supported"),
        ("within", 0.51, 0.9, "refuted"),
        ("within", -0.9, -0.51, "refuted"),
        ("within", -0.5, 0.1, "undecided"),
        ("within", 0.1, 0.5, "undecided"),
        ("within", -0.9, 0.9, "undecided"),
    ],
)
def test_a_verdict_needs_the_whole_interval_beyond_the_threshold(direction, low, high, verdict):
    estimate = Estimate(0.5 * (low + high), low, high)
    assert Hypothesis("", direction, 0.5).judge(estimate) == verdict


def test_a_number_without_chance_on_the_threshold_is_undecided():
    assert Hypothesis("", "above", 0.5).judge(Estimate(0.5, 0.5, 0.5)) == "undecided"
    assert Hypothesis("", "above", 0.5).judge(Estimate(0.6, 0.6, 0.6)) == "supported"


@pytest.mark.parametrize(
    ("direction", "threshold", "message"),
    [
        ("over", 1.0, "direction: got 'over'"),
        ("within", 0.0, "threshold: got 0.0"),
        ("within", float("nan"), "threshold: got nan"),
    ],
)
def test_a_hypothesis_that_means_nothing_is_refused(direction, threshold, message):
    with pytest.raises(ValueError, match=message):
        Hypothesis("", direction, threshold)


def test_a_finding_without_a_statement_has_no_verdict():
    assert Finding("C4", "yield", "price", "", "a year", Estimate(1.0, 0.5, 1.5), 9).verdict is None


def test_findings_survive_the_disk_with_their_verdicts():
    statement = Hypothesis("five holders force less than half of the shares", "below", 0.5)
    findings = [
        Finding("C1", "control", "price", "fast", "", Estimate(0.3, 0.2, 0.4), 64, statement),
        Finding("C5", "greatest supply", "price", "", "alpha", Estimate(21e6, 21e6, 21e6), 0),
    ]
    records = json.loads(json.dumps(to_records(findings)))
    assert from_records(records) == findings
    assert [record["verdict"] for record in records] == ["supported", None]
