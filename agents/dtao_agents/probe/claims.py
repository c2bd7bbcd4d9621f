"""The seven claims under test, compared across institutions."""

from collections.abc import Callable

from dtao_agents.probe import levels
from dtao_agents.probe.contrasts import MARKET, VOTE
from dtao_agents.probe.page import Table, estimate_text
from dtao_agents.probe.results import ProbeResults

NOT_MEASURED = "not measured"
CLAIMS = {
    "C1": "every holder, not the five largest validators, decides who is paid",
    "C2": "builders must deliver value instead of lobbying those in power",
    "C3": "the price steers emission: success attracts resources",
    "C4": "root is the safe base return, subnets offer more at a risk",
    "C5": "each alpha is capped at 21 million",
    "C6": "market pressure crowds out long-term research",
    "C6, delay": "most of all where the return is delayed",
    "C7": "on balance: merit, or the end of the deepest research",
}
"""The claims in short, by id."""


def claims_table(results: ProbeResults) -> Table:
    """Table of one row per claim and one column per institution; numbers are those of its mainnet cell."""
    institutions = results.plan.institutions
    measures: dict[str, Callable[[ProbeResults, str], str]] = {
        "C2": _merit,
        "C5": lambda *_: (
            f"{NOT_MEASURED}: a test of the protocol asserts it, and these cells run without halving"
        ),
        "C6": _crowding_out,
        "C7": _balance,
    }
    rows = []
    for id, claim in CLAIMS.items():
        measure = measures.get(id, lambda *_: NOT_MEASURED)
        rows.append((id, claim, *(measure(results, name) for name in institutions)))
    return Table(("claim", "in short", *institutions), rows)


def _merit(results: ProbeResults, institution: str) -> str:
    cell = results.mainnet_cell(institution)
    if cell is None or not results.solutions[cell.name].outcomes:
        return NOT_MEASURED
    merit = estimate_text(levels.merit(results.solutions[cell.name]))
    return f"merit {merit} (rank correlation of emission and contributed value); influence {NOT_MEASURED}"


def _crowding_out(results: ProbeResults, institution: str) -> str:
    cell = results.mainnet_cell(institution)
    if cell is None:
        return NOT_MEASURED
    estimate = results.crowding_out[cell.name].estimate
    verdict = results.verdict("crowding out", institution)
    text = f"{verdict}: {estimate_text(estimate)} ({cell.name.split(', ', 1)[1]})"
    against_vote = results.contrasts["market less vote"]
    if institution == MARKET and VOTE in results.plan.institutions and against_vote:
        text += f"; less the vote's: {results.verdict('market less vote')}"
    return text


def _balance(results: ProbeResults, institution: str) -> str:
    cell = results.mainnet_cell(institution)
    if cell is None or not results.solutions[cell.name].outcomes:
        return NOT_MEASURED
    welfare = levels.welfare_per_day(results.solutions[cell.name])
    return f"undecided; welfare {estimate_text(welfare, 0)} TAO a day, budgets not equalised"
