"""The seven claims under test, side by side for every institution."""

from collections.abc import Callable

from dtao_agents.evaluation.statistics import Estimate
from dtao_agents.probe import levels
from dtao_agents.probe.contrasts import MARKET, VOTE
from dtao_agents.probe.findings import Findings
from dtao_agents.probe.page import Table

NOT_MEASURED = "not measured"
CLAIMS = {
    "C1": "every holder, not the five largest validators, decides who is paid",
    "C2": "builders must deliver value instead of courting those in power",
    "C3": "the price steers emission: success begets resources",
    "C4": "root is the safe base return, subnets offer more at a risk",
    "C5": "each alpha is capped at 21 million",
    "C6": "market pressure crowds out long-term research",
    "C6, delay": "most of all where the return is delayed",
    "C7": "on balance: merit, or the end of the deepest research",
}
"""The claims in short."""


def claims_table(findings: Findings) -> Table:
    """One row per claim, one column per institution: numbers of the cell nearest to the chain of 2026."""
    institutions = findings.plan.institutions
    measured: dict[str, Callable[[Findings, str], str]] = {
        "C2": _merit,
        "C5": lambda *_: (
            f"{NOT_MEASURED}: a test of the protocol asserts it, and these cells run without halving"
        ),
        "C6": _crowding_out,
        "C7": _balance,
    }
    rows = []
    for id, claim in CLAIMS.items():
        tell = measured.get(id)
        cells = [NOT_MEASURED if tell is None else tell(findings, name) for name in institutions]
        rows.append((id, claim, *cells))
    return Table(("claim", "in short", *institutions), rows)


def _text(estimate: Estimate | None) -> str:
    return "-" if estimate is None else "{:.2f} [{:.2f}, {:.2f}]".format(*estimate)


def _merit(findings: Findings, institution: str) -> str:
    cell = findings.today(institution)
    if cell is None or not findings.solved[cell.name].outcomes:
        return NOT_MEASURED
    found = levels.merit(findings.solved[cell.name])
    return f"merit {_text(found)} (rank correlation of emission and contributed value); influence {NOT_MEASURED}"


def _crowding_out(findings: Findings, institution: str) -> str:
    cell = findings.today(institution)
    if cell is None:
        return NOT_MEASURED
    contrast = findings.crowding_out[cell.name]
    verdict = findings.verdict("crowding out", institution)
    text = f"{verdict}: {_text(contrast.estimate)} ({cell.name.split(', ', 1)[1]})"
    others = findings.contrasts["market less vote"]
    if institution == MARKET and VOTE in findings.plan.institutions and others:
        text += f"; less the vote's: {findings.verdict('market less vote')}"
    return text


def _balance(findings: Findings, institution: str) -> str:
    cell = findings.today(institution)
    if cell is None or not findings.solved[cell.name].outcomes:
        return NOT_MEASURED
    welfare = levels.welfare_per_day(findings.solved[cell.name])
    return f"undecided; welfare {welfare.value:.0f} TAO a day [{welfare.low:.0f}, {welfare.high:.0f}], budgets not equalised"
