"""Page of a probe: an answer in three sentences, then the evidence."""

from collections.abc import Sequence

from dtao_agents.equilibrium.game import share_of
from dtao_agents.probe import figures, levels
from dtao_agents.probe.checks import COLUMNS
from dtao_agents.probe.claims import claims_table
from dtao_agents.probe.contrasts import MARKET, Contrast
from dtao_agents.probe.curves import ClosedFormMarket, variants
from dtao_agents.probe.page import (
    Block,
    Bullets,
    Code,
    Heading,
    Picture,
    Table,
    Text,
    estimate_text,
)
from dtao_agents.probe.plan import REFERENCE, base_world
from dtao_agents.probe.results import ProbeResults

TITLE = "Do subnet markets crowd out long-term research?"
MARKET_ANSWERS = {
    "supported": "Subnet markets crowd out long-term research",
    "refuted": "Subnet markets do not crowd out long-term research",
    "undecided": "Whether subnet markets crowd out long-term research is undecided",
    "indeterminate": "Whether subnet markets crowd out long-term research cannot be said, since pay does not depend on it",
    "not measured": "Whether subnet markets crowd out long-term research is not measured",
}
"""Beginning of the first sentence of the answer, by verdict."""
VOTE_ANSWERS = {
    "supported": "They crowd out more than the earlier root vote",
    "refuted": "They do not crowd out more than the earlier root vote",
    "undecided": "Whether they crowd out more than the earlier root vote is undecided",
    "indeterminate": "Whether they crowd out more than the earlier root vote cannot be said",
    "not measured": "Whether they crowd out more than the earlier root vote is not measured",
}
"""Beginning of the second sentence, by verdict."""


def blocks(results: ProbeResults) -> list[Block]:
    """All parts of the page."""
    return [
        Heading(TITLE, 1),
        Text(answer(results), answer=True),
        Text(_how_to_read(results)),
        Heading("The claims"),
        claims_table(results),
        Heading("Cells"),
        Text(
            "Equilibrium research share r, from which no builder gains by deviating, with the 95 % interval over seeds. "
            "Crowding out is the gap of log-odds to the fee arm on the same seeds. Epsilon is the relative gain of the "
            "best deviation; the identified set contains the shares whose payoff is within epsilon of the best."
        ),
        _cells_table(results),
        Text(_levels_note(results)),
        _levels_table(results),
        Heading("Contrasts"),
        Text(
            f"A verdict needs a 95 % half-width of at most {results.plan.widest:g} log-odds, an interval wholly on "
            f"one side of {results.plan.smallest_effect:g}, cells that converged, and Holm's correction over all the "
            "verdicts. Otherwise the contrast is undecided, for the reason in the last column."
        ),
        _contrasts_table(results),
        Heading("Figures"),
        *_pictures(results),
        Heading("What would change the verdict"),
        *_what_would_change(results),
        Heading("Negative controls and oracles"),
        *_gates(results),
        Heading("The population"),
        _population(results),
        Heading("How this was made"),
        Bullets([f"{name}: {value}" for name, value in results.facts.items()]),
        Code(results.plan.to_yaml()),
    ]


def answer(results: ProbeResults) -> str:
    """Answer in three sentences: crowding out by the market, market against vote, basis of both."""
    return " ".join((_market(results), _against_vote(results), _basis(results)))


def _market(results: ProbeResults) -> str:
    cell = results.mainnet_cell(MARKET)
    contrasts = results.crowding_out_by(MARKET)
    opening = MARKET_ANSWERS[results.verdict("crowding out", MARKET)]
    if cell is None or results.solutions[cell.name].research_share is None:
        return f"{opening}."
    contrast, reference = results.crowding_out[cell.name], results.reference.research_share
    return (
        f"{opening}: under prices builders put {results.solutions[cell.name].research_share:.0%} of their work into research "
        f"({cell.name}) against {reference or 0.0:.0%} where users pay them exactly their own value, a gap of "
        f"{estimate_text(contrast.estimate)} log-odds where more than {results.plan.smallest_effect:g} counts{_interval_verdicts(contrasts)}."
    )


def _against_vote(results: ProbeResults) -> str:
    contrasts = results.contrasts["market less vote"]
    opening = VOTE_ANSWERS[results.verdict("market less vote")]
    measured = [c for c in contrasts if c.estimate is not None]
    if not measured:
        return f"{opening}."
    today = [c for c in measured if "no pruning" not in c.name and "fast" in c.name]
    shown = (today or measured)[0]
    return (
        f"{opening}: the market's gap less the vote's is {estimate_text(shown.estimate)} log-odds ({shown.name}), "
        f"positive where the market crowds out more{_interval_verdicts(contrasts)}."
    )


def _interval_verdicts(contrasts: Sequence[Contrast]) -> str:
    """Count of the verdicts of the intervals alone, where a contrast is undecided."""
    if not any(c.verdict == "undecided" for c in contrasts):
        return ""
    verdicts = [
        c.reason.split(" ")[0] if c.verdict == "undecided" else c.verdict for c in contrasts
    ]
    yes, no = verdicts.count("supported"), verdicts.count("refuted")
    return (
        f"; of {len(contrasts)} settings the intervals alone say yes in {yes} and no in {no}, "
        "but not all of them are as narrow and as certain as a verdict requires"
    )


def _basis(results: ProbeResults) -> str:
    plan = results.plan
    widths = [c.half_width for c in results.crowding_out.values() if c.half_width is not None]
    span = f"{min(widths):.2f} to {max(widths):.2f}" if widths else "unknown"
    n = sum(len(checks) for checks in results.checks.values())
    pay = " and ".join(f"{payment} pay" for payment in plan.payments)
    return (
        f"This is the short probe: {plan.seeds} seeds, {pay} only, half-widths of {span} log-odds, "
        f"in a model that passes its {n} oracles and controls and that shows which assumptions the claim needs, not what happened."
    )


def _how_to_read(results: ProbeResults) -> str:
    plan = results.plan
    direct = (
        " Owners are paid directly in TAO here, as a part of the emission of their subnet. On today's chain they are "
        "paid in alpha, whose supply grows; that acts as a separate tax on research and is not measured on this page."
        if plan.payments == ("direct",)
        else ""
    )
    return (
        "Log-odds of a research share r are ln(r / (1 - r)); 0.2 is five points at r = 1/2. Crowding out is the gap "
        "between builders whom users pay for their own value (the fee arm) and builders under an institution, with "
        "the same technology, shocks and random ends. It is not the gap to a planner, which spillovers alone make 0.81 "
        f"under any institution.{direct} Intervals are wide: with {plan.seeds} seeds about 0.25 without pruning and "
        "up to 0.7 with it were expected."
    )


def _cells_table(results: ProbeResults) -> Table:
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
    for cell in results.cells:
        solution = results.solutions[cell.name]
        gap = results.crowding_out.get(cell.name)
        if solution.interval is None or solution.research_share is None:
            rows.append((cell.name, "indeterminate", "-", "-", "-", "-", "-", "-"))
            continue
        low, high = (float(share_of(x)) for x in solution.interval[1:])
        within = solution.identified
        rows.append(
            (
                cell.name,
                f"{solution.research_share:.3f} [{low:.3f}, {high:.3f}]",
                estimate_text(solution.interval),
                "reference" if gap is None else estimate_text(gap.estimate),
                "-" if solution.epsilon is None else f"{solution.epsilon.value:.2%}",
                "-" if within is None else f"{within[0]:.3f} to {within[1]:.3f}",
                "yes" if solution.verdict == "solved" else "NO",
                ", ".join(f"{share:.3f}" for share in solution.iterates),
            )
        )
    return Table(columns, rows)


def _levels_note(results: ProbeResults) -> str:
    return (
        "Levels at these shares, with the budgets that the institutions pay (not equalised). Builders of the fee arm "
        "spend a fixed budget, so that their levels are only partly comparable. Welfare is value to users less costs, for "
        f"the {base_world(results.plan).n_subnets} subnets of a world together; the loss relative to a planner is not measured, since the planner's problem is not solved."
    )


def _levels_table(results: ProbeResults) -> Table:
    columns = (
        "cell",
        "research in spending (E1)",
        "spending, TAO a day",
        "shortfall of research TAO against fee (E5)",
        "welfare, TAO a day (E6, raw)",
        "merit (E7)",
    )
    rows = []
    for cell in results.cells:
        solution = results.solutions[cell.name]
        if not solution.outcomes:
            rows.append((cell.name, *("-",) * 5))
            continue
        fee = results.reference
        shortfall = cell.institution != REFERENCE and bool(fee.outcomes)
        rows.append(
            (
                cell.name,
                f"{levels.research_spending(solution).value:.3f}",
                estimate_text(levels.spending_per_day(solution), 1),
                estimate_text(levels.research_shortfall(solution, fee)) if shortfall else "-",
                estimate_text(levels.welfare_per_day(solution), 1),
                "-" if cell.institution == REFERENCE else estimate_text(levels.merit(solution)),
            )
        )
    return Table(columns, rows)


PREFIXES = {"crowding out": "crowding out by ", "market less vote": "market less vote: "}
"""Text before the names of contrasts, by family."""


def _contrasts_table(results: ProbeResults) -> Table:
    rows = []
    for family, contrasts in results.contrasts.items():
        for c in contrasts:
            exceeds = f"> {results.plan.smallest_effect:g}?"
            question = exceeds if c.question == "exceeds" else "no effect?"
            name = PREFIXES.get(family, "") + c.name
            rows.append((name, question, estimate_text(c.estimate), c.verdict, c.reason))
    return Table(("contrast", "question", "log-odds", "verdict", "reason"), rows)


def _pictures(results: ProbeResults) -> list[Block]:
    cells, contrasts, plan = results.arms, results.crowding_out, results.plan
    return [
        Picture(
            "crowding_out.png",
            "Crowding out by institution, with 95 % intervals, which may extend beyond the frame. Dotted: the smallest effect of interest.",
            figures.crowding_out(cells, contrasts, plan),
        ),
        Picture(
            "by_delay.png",
            "Crowding out against the delay of research: closed forms without frictions, and cells of the engine at the delay of the world.",
            figures.by_delay(cells, contrasts, plan),
        ),
        Picture(
            "by_informed_share.png",
            "Crowding out against the informed share: closed forms without frictions, and cells of the engine at the share of the world.",
            figures.by_informed_share(cells, contrasts, plan),
        ),
    ]


def _what_would_change(results: ProbeResults) -> list[Block]:
    world = base_world(results.plan)
    critical = ClosedFormMarket(world).critical_informed_share()
    neutrality = (
        "no informed share makes the market neutral"
        if critical is None
        else f"the market is neutral where {critical:.0%} of stakers are informed, and above that share it funds more research than users' fees"
    )
    rows = [(variant.label, f"{variant.value:+.2f}") for variant in variants(world)]
    return [
        Text(
            f"In closed form, without frictions, {neutrality}. The engine adds what the closed forms leave out: builders "
            "who invest out of income, noise, pools of finite depth, growing stocks, pruning."
        ),
        Table(("closed form", "crowding out, log-odds"), rows),
        Text("What the full plan adds:"),
        Bullets(
            [
                "2,048 seeds for levels and 512 for contrasts, so that half-widths allow verdicts;",
                "pay in alpha in addition to direct pay, and the rules uniform, price_burn and net_flow;",
                "each channel (hype, dilution, finance, pruning) switched off, alone and together;",
                "slopes in delay, informed shares, arrivals, noise and spread of abilities;",
                "influence as a decision, welfare with equalised budgets, remedies, learning builders.",
            ]
        ),
    ]


def _gates(results: ProbeResults) -> list[Block]:
    controls = [c for gate, checks in results.checks.items() if gate != "oracles" for c in checks]
    oracles = results.checks.get("oracles", ())
    text = (
        f"All {len(oracles)} oracles hold: closed forms, and the engine compared with them."
        if oracles
        else "The oracles were not run."
    )
    return [Text(text), Table(COLUMNS, [check.cells for check in controls])]


def _population(results: ProbeResults) -> Block:
    file = results.plan.population
    name = "the default one, fitted to the prices of spring 2026" if file is None else str(file)
    checks = results.checks.get("REALISM", [])
    passed = sum(check.ok for check in checks)
    return Text(
        f"The population is {name}. {passed} of {len(checks)} gates of realism hold in the world of a cell (REALISM above); "
        "docs/realism.md lists every moment with its z-score."
    )
