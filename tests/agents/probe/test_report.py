"""The page of a probe: its parts, what it shows of each kind of contrast, and that it loads nothing."""

import re
from html.parser import HTMLParser

import pytest
from dtao_agents.claims.finding import Finding, Hypothesis
from dtao_agents.evaluation.statistics import Estimate
from dtao_agents.probe.answer import sentences
from dtao_agents.probe.cells import FEE, Cell, cells_of_block
from dtao_agents.probe.checks import Check
from dtao_agents.probe.evidence import Evidence
from dtao_agents.probe.report import TITLE, write_report
from dtao_agents.probe.report_claims import CLAIMS

from tests.agents.probe.synthetic import LOWEST, analysis_of, evidence_of
from tests.agents.probe.tiny import plan_of

PLAN = plan_of(
    {
        "name": "A core",
        "institutions": ["price", "root_vote", "tao_flow", "uniform"],
        "moving_prices": ["fast", "slow"],
        "primary": True,
    },
    {
        "name": "C channels",
        "institutions": ["price"],
        "pruning": [True],
        "channels": {"hype": 0.0, "finance": False},
        "references": False,
    },
    {
        "name": "D delay",
        "institutions": ["price"],
        "pruning": [True],
        "doses": [{"delay_days": 30.0}, {"delay_days": 360.0}],
    },
    {
        "name": "E remedies",
        "institutions": ["price"],
        "pruning": [True],
        "doses": [{}, {"immunity_days": 360}],
        "references": False,
    },
)
FINDINGS = {
    "C5": [
        Finding(
            "C5",
            "greatest supply of an alpha",
            "price",
            "",
            "alpha",
            Estimate(21e6, 21e6, 21e6),
            0,
            Hypothesis("at most 21 million", "below", 21e6 + 1),
        )
    ]
}


def log_odds(cell: Cell) -> float | str | None:
    if cell.institution == "uniform":
        return None
    if cell.institution == "tao_flow":
        return LOWEST
    values = {FEE: 0.0, "price": -1.0, "root_vote": -0.25}
    return (
        values[cell.institution] - 0.001 * cell.config.delay_days + 0.25 * (cell.config.hype == 0)
    )


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> tuple[Evidence, str, str]:
    """Evidence of every kind, and its page as HTML and Markdown."""
    folder = tmp_path_factory.mktemp("page")
    analysis = analysis_of(PLAN, log_odds, sd=0.4, failed=["NC3"])
    checks = {
        "NC3": [Check("NC3", "price & vote", 0.0, 0.5, False, 0.4, 0.6, "0.05 log-odds")],
        "NC6": [Check("NC6", "uniform", "indeterminate", "indeterminate", True)],
    }
    evidence = Evidence(PLAN, analysis, FINDINGS, checks, {"written": "today"})
    write_report(evidence, folder)
    return evidence, (folder / "report.html").read_text(), (folder / "report.md").read_text()


class Outside(HTMLParser):
    """Collects what a browser would load, but for links that a reader follows."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        for name, value in attributes:
            loads = name in ("src", "srcset", "poster", "data", "action") or (
                name in ("href", "xlink:href") and tag not in ("a",)
            )
            if loads and not (value or "").startswith(("#", "data:")):
                self.found.append(f"{tag} {name}={value}")


def test_the_page_loads_nothing(page):
    _, html, _ = page
    outside = Outside()
    outside.feed(html)
    assert outside.found == []
    assert re.findall(r"url\((?!#|[\"']?data:)[^)]*\)|@import", html) == []
    assert "fetch(" not in html
    assert "XMLHttpRequest" not in html


def test_the_page_opens_with_the_answer(page):
    evidence, html, markdown = page
    lines = markdown.splitlines()
    assert lines[0] == f"# {TITLE}"
    first, second = sentences(evidence)
    assert lines[2] == f"> {first}"
    assert second in markdown.split("## ")[0]
    assert first.split(":")[0] in html


def test_the_page_has_its_parts_in_their_order(page):
    _, _, markdown = page
    headings = re.findall(r"^## (.*)$", markdown, re.MULTILINE)
    assert headings[:4] == [
        "The claims, one by one",
        "What this rests on",
        "What would change it",
        "All numbers",
    ]
    assert headings.index("Cite") < headings.index("The plan")
    assert PLAN.fingerprint in markdown
    for claim in CLAIMS:
        assert re.search(rf"^\| {claim}\b", markdown, re.MULTILINE)
    assert "not measured in this plan" in markdown
    assert "at most 21 million" in markdown


def test_every_cell_and_every_contrast_is_in_the_tables(page):
    evidence, _, markdown = page
    for cell in evidence.analysis.cells:
        assert f"| {cell.name} |" in markdown
    for contrast in evidence.analysis.contrasts:
        assert f"| {contrast.family} | {contrast.name} |" in markdown


def row_of(markdown: str, *start: str) -> list[str]:
    """The only row with these first entries among the tables of all numbers."""
    begin = "| " + " | ".join(start) + " |"
    numbers = markdown.split("## All numbers")[1]
    (row,) = {line for line in numbers.splitlines() if line.startswith(begin)}
    return [entry.strip() for entry in row.strip("|").split(" | ")]


def test_an_indeterminate_cell_is_never_a_number(page):
    _, _, markdown = page
    assert row_of(markdown, "uniform, direct, no pruning, fast")[1:5] == [
        "indeterminate",
        "–",
        "–",
        "–",
    ]


def test_a_gap_without_a_size_has_a_verdict_and_no_number(page):
    _, _, markdown = page
    row = row_of(markdown, "crowding out", "tao_flow, direct, pruning, fast")
    assert row[3:5] == ["–", "supported"]
    assert "off the scale" in markdown


def test_failed_gates_are_named_with_what_they_void(page):
    evidence, html, markdown = page
    assert "NC3: arms with the slow moving price" in markdown
    assert "| FAILS |" in markdown
    assert "price &amp; vote" in html
    slow = row_of(markdown, "crowding out", "price, direct, pruning, slow")
    assert slow[4] == "void"
    assert evidence.analysis.failed == ["NC3"]


def test_doses_channels_and_remedies_have_charts_with_their_result_as_title(page):
    _, _, markdown = page
    for title in (
        r"Crowding out by institution: \d+ supported",
        r"Crowding out along each dose: largest for price, direct, pruning",
        r"What each remedy adds to research: largest for price, direct, pruning",
        r"Channels, .*direct, fast: hype adds most",
        r"D delay: crowding out along delay_days",
    ):
        assert re.search(rf"\*\*{title}.*\*\*", markdown), title


def test_cells_of_other_sources_are_counted(page):
    """The synthetic solutions name no sources that exist."""
    evidence, text, _ = page
    count = len(evidence.analysis.solutions)
    assert f"{count} of {count} cells were computed by other sources" in text


def test_missing_cells_are_counted(tmp_path):
    plan = plan_of({"institutions": ["price"], "pruning": [False]})
    whole = evidence_of(plan, lambda cell: 0.0)
    analysis = type(whole.analysis)(plan, whole.analysis.cells, {})
    write_report(Evidence(plan, analysis, {}, {}, {}), tmp_path)
    assert "**Not computed**: 3 of 3 cells" in (tmp_path / "report.md").read_text()


@pytest.mark.parametrize("value", [LOWEST, None, 0.0])
def test_a_page_of_one_arm_is_written_whatever_its_verdict(value, tmp_path):
    plan = plan_of({"institutions": ["price"], "pruning": [False], "primary": True})
    evidence = evidence_of(plan, lambda cell: 0.0 if cell.institution == FEE else value)
    write_report(evidence, tmp_path)
    assert sentences(evidence)[0] in (tmp_path / "report.md").read_text()


SOBOL = {
    "institutions": ["price"],
    "pruning": [True],
    "references": False,
    "sobol": {"points": 16, "ranges": {"hype": [0.0, 1.0], "delay_days": [30.0, 360.0]}},
}


@pytest.mark.parametrize("lost", [False, True])
def test_indices_of_a_sobol_design_leave_out_base_points_without_a_number(lost, tmp_path):
    plan = plan_of(SOBOL)
    first = cells_of_block(plan, plan.blocks[0])[0].config.delay_days

    def value(cell: Cell) -> float | None:
        none = lost and cell.config.delay_days == first
        return None if none else 0.01 * cell.config.delay_days

    write_report(evidence_of(plan, value), tmp_path)
    page = (tmp_path / "report.md").read_text()
    assert "delay_days moves the research share most" in page
    kept, left = re.search(r"(\d+) base points(?:; (\d+) left out)?", page).groups("0")
    assert int(kept) + int(left) == 16
    assert (int(left) > 0) == lost
