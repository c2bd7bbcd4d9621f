"""The page of a probe: an answer in three sentences, then what it rests on."""

from collections.abc import Sequence

from dtao_agents.equilibrium.game import share_of
from dtao_agents.evaluation.statistics import Estimate
from dtao_agents.probe import figures, levels
from dtao_agents.probe.checks import COLUMNS
from dtao_agents.probe.claims import claims_table
from dtao_agents.probe.contrasts import MARKET, Contrast
from dtao_agents.probe.curves import Kernel, changes
from dtao_agents.probe.findings import Findings
from dtao_agents.probe.page import Block, Bullets, Code, Heading, Picture, Table, Text
from dtao_agents.probe.plan import REFERENCE, base_world

TITLE = "Do subnet markets crowd out long-term research?"
OF_THE_MARKET = {
    "supported": "Subnet markets crowd out long-term research",
    "refuted": "Subnet markets do not crowd out long-term research",
    "undecided": "Whether subnet markets crowd out long-term research is undecided",
    "indeterminate": "Whether subnet markets crowd out long-term research cannot be said, since pay does not depend on it",
    "not measured": "Whether subnet markets crowd out long-term research is not measured",
}
AGAINST_THE_VOTE = {
    "supported": "They crowd out more than the root vote that was there before",
    "refuted": "They do not crowd out more than the root vote that was there before",
    "undecided": "Whether they crowd out more than the root vote that was there before is undecided",
    "indeterminate": "Whether they crowd out more than the root vote that was there before cannot be said",
    "not measured": "Whether they crowd out more than the root vote that was there before is not measured",
}


def number(estimate: Estimate | None, digits: int = 2) -> str:
    """A number with its interval, or a dash."""
    if estimate is None:
        return "-"
    value, low, high = (f"{x:.{digits}f}" for x in estimate)
    return f"{value} [{low}, {high}]"


def blocks(findings: Findings) -> list[Block]:
    """The whole page."""
    return [
        Heading(TITLE, 1),
        Text(answer(findings), answer=True),
        Text(_how_to_read(findings)),
        Heading("The claims"),
        claims_table(findings),
        Heading("Cells"),
        Text(
            "Research share r at which no builder gains by another, with the 95 % interval over seeds; crowding out "
            "is the gap of log-odds to the fee arm on the same seeds. Epsilon is what the best deviation still gains, "
            "relative; the identified set holds the shares that are as good up to epsilon."
        ),
        _cells_table(findings),
        Text(_levels_note(findings)),
        _levels_table(findings),
        Heading("Contrasts"),
        Text(
            f"A verdict needs a 95 % half-width of at most {findings.plan.widest:g} log-odds, an interval wholly on "
            f"one side of {findings.plan.smallest_effect:g}, cells that converged, and Holm's correction over all the "
            "verdicts that are given. Else it is undecided, and the last column says why."
        ),
        _contrasts_table(findings),
        Heading("Figures"),
        *_pictures(findings),
        Heading("What would change the verdict"),
        *_what_would_change(findings),
        Heading("Negative controls and oracles"),
        *_gates(findings),
        Heading("The population"),
        _population(findings),
        Heading("How this was made"),
        Bullets([f"{name}: {value}" for name, value in findings.facts.items()]),
        Code(findings.plan.to_yaml()),
    ]


def answer(findings: Findings) -> str:
    """In three sentences: the two questions about the market, and what the answer rests on."""
    return " ".join((_market(findings), _against_the_vote(findings), _rests_on(findings)))


def _market(findings: Findings) -> str:
    cell = findings.today(MARKET)
    contrasts = findings.of_institution(MARKET)
    says = OF_THE_MARKET[findings.verdict("crowding out", MARKET)]
    if cell is None or findings.solved[cell.name].research_share is None:
        return f"{says}."
    contrast, reference = findings.crowding_out[cell.name], findings.reference.research_share
    return (
        f"{says}: under prices builders put {findings.solved[cell.name].research_share:.0%} of their work into research "
        f"({cell.name}) against {reference or 0.0:.0%} where users pay them exactly their own value, a gap of "
        f"{number(contrast.estimate)} log-odds where more than {findings.plan.smallest_effect:g} counts{_why(contrasts)}."
    )


def _against_the_vote(findings: Findings) -> str:
    contrasts = findings.contrasts["market less vote"]
    says = AGAINST_THE_VOTE[findings.verdict("market less vote")]
    measured = [c for c in contrasts if c.estimate is not None]
    if not measured:
        return f"{says}."
    today = [c for c in measured if "no pruning" not in c.name and "fast" in c.name]
    shown = (today or measured)[0]
    return (
        f"{says}: the market's gap less the vote's is {number(shown.estimate)} log-odds ({shown.name}), "
        f"positive where the market crowds out more{_why(contrasts)}."
    )


def _why(contrasts: Sequence[Contrast]) -> str:
    """Which way the intervals point, where there is no verdict."""
    if not any(c.verdict == "undecided" for c in contrasts):
        return ""
    said = [c.verdict if c.verdict != "undecided" else c.reason.split(" ")[0] for c in contrasts]
    yes, no = said.count("supported"), said.count("refuted")
    return (
        f"; of {len(contrasts)} settings the intervals alone say yes in {yes} and no in {no}, "
        "but not all of them are as narrow and as sure as a verdict needs"
    )


def _rests_on(findings: Findings) -> str:
    plan = findings.plan
    widths = [c.half_width for c in findings.crowding_out.values() if c.half_width is not None]
    span = f"{min(widths):.2f} to {max(widths):.2f}" if widths else "unknown"
    n = sum(len(checks) for checks in findings.checks.values())
    pay = " and ".join(f"{payment} pay" for payment in plan.payments)
    return (
        f"This is the short probe: {plan.seeds} seeds, {pay} only, half-widths of {span} log-odds, "
        f"in a model that passes its {n} oracles and controls and that says which assumptions the claim needs, not what happened."
    )


def _how_to_read(findings: Findings) -> str:
    plan = findings.plan
    direct = (
        " Owners are paid directly in TAO here, a part of the emission of their subnet. On today's chain they are "
        "paid in alpha, whose supply grows; that works like a tax on research of its own and is not measured on this page."
        if plan.payments == ("direct",)
        else ""
    )
    return (
        "Log-odds of a research share r are ln(r / (1 - r)); 0.2 is five points at r = 1/2. Crowding out is the gap "
        "between builders whom users pay for their own value (the fee arm) and builders under an institution, with "
        "the same technology, shocks and ends of life. It is not the gap to a planner, which spillovers alone make 0.81 "
        f"under any institution.{direct} Intervals are wide: with {plan.seeds} seeds about 0.25 without pruning and "
        "up to 0.7 with it were expected."
    )


def _cells_table(findings: Findings) -> Table:
    columns = (
        "cell",
        "r",
        "log-odds",
        "crowding out",
        "epsilon",
        "identified set",
        "converged",
        "iterates",
    )
    rows = []
    for cell in findings.cells:
        found = findings.solved[cell.name]
        gap = findings.crowding_out.get(cell.name)
        if found.interval is None or found.research_share is None:
            rows.append((cell.name, "indeterminate", "-", "-", "-", "-", "-", "-"))
            continue
        low, high = (float(share_of(x)) for x in found.interval[1:])
        within = found.identified
        rows.append(
            (
                cell.name,
                f"{found.research_share:.3f} [{low:.3f}, {high:.3f}]",
                number(found.interval),
                "reference" if gap is None else number(gap.estimate),
                "-" if found.epsilon is None else f"{found.epsilon.value:.2%}",
                "-" if within is None else f"{within[0]:.3f} to {within[1]:.3f}",
                "yes" if found.verdict == "solved" else "NO",
                ", ".join(f"{share:.3f}" for share in found.iterates),
            )
        )
    return Table(columns, rows)


def _levels_note(findings: Findings) -> str:
    return (
        "Levels at these shares, budgets as the institutions pay them (not equalised). Builders of the fee arm spend a "
        "fixed budget, so its levels compare with the others only in part. Welfare is value to users less costs, for "
        f"the {base_world(findings.plan).n_subnets} subnets of a world together; the loss against a planner is not measured, since no planner is run."
    )


def _levels_table(findings: Findings) -> Table:
    columns = (
        "cell",
        "research in spending (E1)",
        "spending, TAO a day",
        "shortfall of research TAO against fee (E5)",
        "welfare, TAO a day (E6, raw)",
        "merit (E7)",
    )
    rows = []
    for cell in findings.cells:
        found = findings.solved[cell.name]
        if not found.outcomes:
            rows.append((cell.name, *("-",) * 5))
            continue
        fee = findings.reference
        shortfall = cell.institution != REFERENCE and bool(fee.outcomes)
        rows.append(
            (
                cell.name,
                f"{levels.research_spending(found).value:.3f}",
                number(levels.spending_per_day(found), 1),
                number(levels.research_shortfall(found, fee)) if shortfall else "-",
                number(levels.welfare_per_day(found), 1),
                "-" if cell.institution == REFERENCE else number(levels.merit(found)),
            )
        )
    return Table(columns, rows)


FAMILIES = {
    "crowding out": "crowding out by",
    "market less vote": "market less vote:",
    "pruning": "",
    "moving price": "",
}


def _contrasts_table(findings: Findings) -> Table:
    rows = []
    for family, contrasts in findings.contrasts.items():
        for c in contrasts:
            question = "> 0.2?" if c.question == "exceeds" else "no effect?"
            question = question.replace("0.2", f"{findings.plan.smallest_effect:g}")
            name = f"{FAMILIES[family]} {c.name}".strip()
            rows.append((name, question, number(c.estimate), c.verdict, c.reason))
    return Table(("contrast", "question", "log-odds", "verdict", "why"), rows)


def _pictures(findings: Findings) -> list[Block]:
    cells, found, plan = findings.arms, findings.crowding_out, findings.plan
    return [
        Picture(
            "crowding_out.png",
            "Crowding out by institution, 95 % intervals, which may leave the frame. Dotted: the smallest effect of interest.",
            figures.crowding_out(cells, found, plan),
        ),
        Picture(
            "by_delay.png",
            "Crowding out against the delay of research: closed forms of a market without frictions, and the engine's cells at the delay of the world.",
            figures.by_delay(cells, found, plan),
        ),
        Picture(
            "by_informed_share.png",
            "Crowding out against the informed share: closed forms, and the engine's cells at the share of the world.",
            figures.by_informed_share(cells, found, plan),
        ),
    ]


def _what_would_change(findings: Findings) -> list[Block]:
    world = base_world(findings.plan)
    kernel = Kernel(world)
    critical = kernel.critical_informed_share(kernel.technology)
    says = (
        "no informed share makes the market neutral"
        if critical is None
        else f"the market is neutral where {critical:.0%} of stakers are informed, and funds more research than users' fees beyond"
    )
    rows = [(change.what, f"{change.value:+.2f}") for change in changes(world)]
    return [
        Text(
            f"In closed form, without frictions, {says}. The engine adds what the closed forms leave out: builders "
            "who invest out of income, noise, pools of finite depth, stocks that still grow, pruning."
        ),
        Table(("closed form", "crowding out, log-odds"), rows),
        Text("What the full plan adds:"),
        Bullets(
            [
                "2,048 seeds for levels and 512 for contrasts, so that half-widths allow verdicts;",
                "pay in alpha beside direct pay, and the rules uniform, price_burn and net_flow;",
                "each channel (hype, dilution, finance, pruning) switched off alone and together;",
                "slopes along delay, informed shares, arrivals, noise, spread of abilities;",
                "influence as a choice, welfare with equalised budgets, remedies, learning builders.",
            ]
        ),
    ]


def _gates(findings: Findings) -> list[Block]:
    controls = [c for gate, checks in findings.checks.items() if gate != "oracles" for c in checks]
    oracles = findings.checks.get("oracles", ())
    said = (
        f"All {len(oracles)} oracles hold: closed forms, and the engine against them."
        if oracles
        else "The oracles were not run."
    )
    return [Text(said), Table(COLUMNS, [check.cells for check in controls])]


def _population(findings: Findings) -> Block:
    of = findings.plan.population
    which = "the default one, fitted to the prices of spring 2026" if of is None else str(of)
    rows = findings.checks.get("REALISM", [])
    held = sum(row.ok for row in rows)
    return Text(
        f"The population is {which}. {held} of {len(rows)} gates of realism hold in the world of a cell (REALISM above); every "
        "moment with its z stands in docs/realism.md."
    )
