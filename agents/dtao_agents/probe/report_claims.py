"""Sections of the page on the claims C1 to C7."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from dtao_agents.claims.finding import Finding
from dtao_agents.evaluation.statistics import Estimate, span
from dtao_agents.probe.contrasts import Contrast
from dtao_agents.probe.evidence import Evidence
from dtao_agents.report.blocks import Block, CellValue, Column, Heading, Paragraph, Table
from dtao_agents.report.glossary import plain_name

CLAIMS = {
    "C1": "Every holder, not the five largest validators, decides who is paid.",
    "C2": "Builders must deliver value instead of courting those in power.",
    "C3": "The price steers emission: success begets resources.",
    "C4": "Root is the safe base return; subnets offer more, at a risk.",
    "C5": "Each alpha is capped at 21 million, as TAO is.",
    "C6": "Market pressure crowds out long-term research, most of all where the return is delayed.",
    "C7": "On balance: a genuine market on merit, or the end of the deepest, longest research?",
}
"""The claims in our words, by id."""
HEADLINES: dict[str, tuple[tuple[str, str], ...]] = {
    "C1": (("fewest actors with more than half of the control", "64 validators of June 2024"),),
    "C2": (
        (
            "rank correlation of owner's income and contributed value, years 3 to 5, budgets fixed",
            "",
        ),
        ("income over 180 days by units of influence, over that by as many of product", ""),
        ("influence in the budgets of builders", ""),
    ),
    "C3": (
        (
            "variance of emission explained by the share less that by the contributed value, both a year ago",
            "",
        ),
        (
            "probability that a subnet of the top decile is in the top decile a year later",
            "",
        ),
    ),
    "C4": (
        ("volatility of root less that of the market", "1,000 TAO, dividends claimable"),
        ("market_weight: log growth less root's", "1,000 TAO, dividends claimable"),
    ),
    "C7": (("difference in welfare at equal budgets", ""),),
}
"""Measures, each with a part of its setting, that stand for a claim in the short table."""
CAVEATS = {
    "C1": "Each actor starts with all of its stake on root, acts alone and knows the rules; all others react as in the model. A "
    "market lets a single large holder force more than a vote does, and that saturates: so the count of deciders rests on how "
    "concentrated holders are, more than on the rule. Small holders' control rests on how demand reacts to scarcity. The "
    "counts for Pareto stakes under flow rules depend on the ladder of stakes and are not to be quoted.",
    "C2": "Pay finances the value that it then seems to follow, so the correlation is also measured with fixed budgets. What a TAO of influence "
    "earns against one of product depends on their assumed productivities; per unit of stock it does not: a reader who takes the "
    "signal at face value pays influence two thirds of what it pays product.",
    "C3": "At genesis shares and value agree by construction, so the same is measured from values drawn "
    "independently of prices. Explained variance is prediction, not cause; the only causal contrast is that with equal shares.",
    "C4": "Whether subnets offer more than root depends on when the staker enters: in a market of 128 simulated subnets the sum of moving "
    "prices falls within the first 90 days, faster than on mainnet, and where it is below 1 the chain pays root nothing. "
    "Both entries are shown, and neither is the answer.",
    "C7": "Raw welfare depends on how much each payment pays, which is a parameter; the verdict is at equal budgets. Strategies are "
    "those of the two equilibria: nobody responds to another scale of budgets.",
    "C5": "Nothing is random here: the engine's issuance against the chain's schedule.",
}
"""What in our own construction could produce the numbers of a claim."""


MOST_ROWS = 600
"""Findings on a claim beyond which the page shows those with a statement; the records have all."""


class Row(NamedTuple):
    """A line of the table of verdicts: a statement of a claim in one setting."""

    claim: str
    statement: str
    setting: str


def claims_table(evidence: Evidence) -> Table:
    """Verdicts by statement and setting in rows, and institution in columns."""
    cells = _cells(evidence)
    planned = {name: None for block in evidence.plan.blocks for name in block.institutions}
    institutions = [name for name in planned if any(name in by for by in cells.values())]
    rows: list[list[CellValue]] = []
    for claim, text in CLAIMS.items():
        of_claim = {row: by for row, by in cells.items() if row.claim == claim}
        for k, (row, by) in enumerate(of_claim.items()):
            head = f"{claim}. {text}" if k == 0 else ""
            texts = [by.get(name, by.get("", "")) for name in institutions]
            rows.append([head, row.statement, row.setting, *texts])
        if not of_claim:
            rows.append(
                [f"{claim}. {text}", "not measured in this plan", "", *("" for _ in institutions)]
            )
    columns = ["claim", "statement", "setting", *map(plain_name, institutions)]
    return Table(list(map(Column, columns)), rows, "Verdicts on the claims", "claims")


def _cells(evidence: Evidence) -> dict[Row, dict[str, str]]:
    """Texts by row and institution; "" for what does not depend on the institution."""
    cells: dict[Row, dict[str, str]] = {}
    for claim, chosen in HEADLINES.items():
        for measure, setting in chosen:
            for finding in evidence.findings.get(claim, ()):
                shown = finding.measure == measure and setting in finding.setting
                other = any(word in finding.setting for word in ("slow", "permuted"))
                if shown and finding.hypothesis is not None and not other:
                    place = finding.setting.split(", against ")[0]
                    place = place.removeprefix("fast, ") if claim == "C1" else place
                    row = Row(claim, finding.hypothesis.text, place)
                    text = f"{finding.verdict}: {_number(finding.estimate)} {finding.unit}".strip()
                    cells.setdefault(row, {})[finding.institution] = text
    for contrast in evidence.analysis.contrasts:
        delayed = contrast.family == "slope" and "delay_days" in contrast.setting
        if (contrast.primary and "slow" not in contrast.setting) or delayed:
            row = Row("C6", _statement(contrast, evidence), contrast.setting)
            cells.setdefault(row, {})[contrast.institution] = _told(contrast)
    caps = _caps(evidence)
    if caps:
        cells[Row("C5", "no supply passes 21 million", "all eras of the chain")] = {"": caps}
    return cells


def _statement(contrast: Contrast, evidence: Evidence) -> str:
    smallest = evidence.plan.smallest_effect
    if contrast.family == "market less vote":
        return f"prices crowd out more than votes by over {smallest:g} log-odds"
    if contrast.family == "slope":
        return f"crowding out rises by over {smallest:g} where research takes longer"
    return f"crowding out exceeds {smallest:g} log-odds"


def _told(contrast: Contrast) -> str:
    if contrast.estimate is None:
        return contrast.verdict
    return f"{contrast.verdict}: {span(contrast.estimate, '+.2f')}"


def _caps(evidence: Evidence) -> str:
    """One verdict over all tokens and eras, which is no vote: the statement is about the largest supply."""
    found = [f for f in evidence.findings.get("C5", ()) if f.measure.startswith("greatest supply")]
    if not found:
        return ""
    largest = max(found, key=lambda f: f.estimate.value)
    return f"{largest.verdict}: {largest.estimate.value:,.0f} at most"


def _number(estimate: Estimate) -> str:
    if estimate.low == estimate.high:
        return f"{estimate.value:,.4g}"
    return f"{estimate.value:,.3g} [{estimate.low:,.3g}, {estimate.high:,.3g}]"


def claim_sections(evidence: Evidence) -> Iterator[Block]:
    """A section for each measured claim: a summary, and all of its findings in a folded table."""
    for claim, text in CLAIMS.items():
        found = evidence.findings.get(claim, ())
        if not found:
            continue
        yield Heading(f"{claim}. {text}", 3, claim.lower())
        if claim in CAVEATS:
            yield Paragraph(
                f"**What could produce this in our own construction.** {CAVEATS[claim]}"
            )
        yield Paragraph(_summary(found))
        short = len(found) > MOST_ROWS
        shown = [f for f in found if f.hypothesis is not None] if short else found
        columns = [
            Column("measure"),
            Column("institution"),
            Column("setting"),
            Column("unit"),
            Column("estimate", ".4g"),
            Column("samples", ",.0f"),
            Column("statement"),
            Column("verdict"),
        ]
        rows = [
            [
                f.measure,
                f.institution,
                f.setting,
                f.unit,
                f.estimate,
                f.samples,
                "" if f.hypothesis is None else f.hypothesis.text,
                f.verdict or "",
            ]
            for f in shown
        ]
        caption = f"{'Findings with a statement' if short else 'All findings'} on {claim}"
        yield Table(columns, rows, caption, claim.lower(), folded=True)


def _summary(found: Sequence[Finding]) -> str:
    """Verdicts by statement, over all institutions and settings."""
    statements: dict[str, dict[str, int]] = {}
    for finding in found:
        if finding.hypothesis is not None and finding.verdict is not None:
            counts = statements.setdefault(finding.hypothesis.text, {})
            counts[finding.verdict] = counts.get(finding.verdict, 0) + 1
    lines = [
        f"“{text}”: " + ", ".join(f"{verdict} in {count}" for verdict, count in counts.items())
        for text, counts in statements.items()
    ]
    return f"Number of findings: {len(found)}. Settings by verdict: " + "; ".join(lines) + "."
