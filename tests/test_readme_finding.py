"""The README's paragraph on the finding is that of the committed records, and the records are those of their plan."""

import pytest
from dtao_agents.probe.evidence import read_evidence
from dtao_agents.probe.plan import read_plan

from scripts.build_finding import README, RECORDS, ROOT, finding, with_finding


@pytest.fixture(scope="module")
def evidence():
    return read_evidence(RECORDS)


def test_the_readme_says_what_the_records_say(evidence):
    text = README.read_text()
    assert with_finding(text, evidence) == text
    assert finding(evidence) in text


def test_the_records_are_those_of_the_full_plan(evidence):
    assert evidence.plan == read_plan(ROOT / "configs/probe_full.yaml")
    primary = [c for c in evidence.analysis.contrasts if c.primary]
    assert primary
    assert not [c for c in primary if "not computed" in c.reason]


def test_every_gate_of_the_committed_run_holds(evidence):
    assert evidence.checks
    assert evidence.analysis.failed == []
