"""The README's first page: its length, its generated parts, and what its example prints."""

import contextlib
import io
import re

import pytest
from dtao_agents.probe.evidence import read_evidence
from dtao_agents.probe.plan import read_plan

from scripts.build_readme import ATTACKS, README, RECORDS, RESULTS, ROOT, baselines, finding, readme

TEXT = README.read_text()
LONGEST = 150
"""Lines of the README."""


@pytest.fixture(scope="module")
def evidence():
    return read_evidence(RECORDS)


def test_the_readme_is_short_and_has_its_pictures():
    assert len(TEXT.splitlines()) <= LONGEST
    pictures = re.findall(r"!\[([^]]+)\]\((?!http)([^)]+)\)", TEXT)
    assert len(pictures) >= 2
    for alt, path in pictures:
        assert alt
        assert (ROOT / path).stat().st_size < 2e6


def test_the_generated_parts_are_those_of_the_records(evidence):
    assert readme(TEXT, evidence) == TEXT
    assert finding(evidence) in TEXT


def test_baselines_are_those_of_the_results():
    rows = baselines(RESULTS.read_text()).splitlines()[2:]
    names = [row.split("|")[1].strip() for row in rows]
    assert {"**learned**", "do_nothing", "momentum"} <= set(names)
    assert not set(ATTACKS) & set(names)
    growth = [float(row.split("|")[2]) for row in rows]
    assert growth == sorted(growth, reverse=True)


def test_the_first_example_prints_what_is_shown():
    code, shown = re.search(r"```python\n(.*?)```\n\n```text\n(.*?)```", TEXT, re.S).groups()
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, "README.md", "exec"), {})
    assert printed.getvalue() == shown


def test_the_records_are_those_of_the_full_plan(evidence):
    assert evidence.plan == read_plan(ROOT / "configs/probe_full.yaml")
    named = [c for c in evidence.analysis.contrasts if c.named]
    assert named
    assert not [c for c in named if "not computed" in c.reason]


def test_every_gate_of_the_committed_run_holds(evidence):
    assert evidence.checks
    assert evidence.analysis.failed == []
