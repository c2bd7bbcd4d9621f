"""The answer of a probe in two sentences about one setting, and what it says against either side."""

import numpy as np

from dtao_agents.equilibrium.game import share_of
from dtao_agents.evaluation.statistics import Estimate, span
from dtao_agents.probe.analysis import MARKET, VOTE, Analysis, arms
from dtao_agents.probe.cells import Cell, ladder
from dtao_agents.probe.contrasts import Contrast
from dtao_agents.probe.evidence import Evidence

ELASTICITY = 2.0
"""sigma = 1 / (1 - eta): log-odds of research by the log of its relative pay, at the default curvature of .5."""


def headline_cell(analysis: Analysis, institution: str) -> Cell | None:
    """Cell of an institution whose setting the answer uses: direct pay, pruning, fast moving price, where planned.

    Under direct pay the institution acts on builders through what it pays, under alpha pay through the token's price alone.
    """
    cells = [
        cell
        for cell in arms(analysis.cells)
        if cell.institution == institution and cell.strategy == "share" and not cell.changes
    ]
    return max(
        cells,
        key=lambda c: (c.payment == "direct", c.pruning, c.moving_price == "fast"),
        default=None,
    )


def contrast_of(analysis: Analysis, family: str, cell: Cell) -> Contrast | None:
    """Contrast of a family in the setting of a cell, None where it was not made."""
    return next(
        (
            c
            for c in analysis.of(family)
            if c.institution == cell.institution and c.setting == cell.setting
        ),
        None,
    )


def setting_words(cell: Cell) -> str:
    """The setting of a cell in plain words."""
    paid = (
        "owners paid in TAO by emission share"
        if cell.payment == "direct"
        else "owners paid in alpha"
    )
    pruned = "the weakest subnets pruned" if cell.pruning else "no subnet pruned"
    return f"{paid}, {pruned}, {cell.moving_price} moving price"


def tax(gap: Estimate) -> Estimate:
    """Implicit tax on the pay of research, 1 - exp(-gap / sigma), from a gap in log-odds."""
    return Estimate(*(float(-np.expm1(-x / ELASTICITY)) for x in gap))


def sentences(evidence: Evidence) -> list[str]:
    """Two sentences: crowding out by the market, and the market against the vote."""
    analysis = evidence.analysis
    market = headline_cell(analysis, MARKET)
    if market is None:
        return ["The plan has no cell of token prices, so that it asks nothing about the market."]
    contrast = contrast_of(analysis, "crowding out", market)
    first = _market_sentence(analysis, market, contrast)
    vote = contrast_of(analysis, "market less vote", market)
    if vote is None:
        return [first]
    return [first, _vote_sentence(vote, evidence.plan.smallest_effect)]


def _market_sentence(analysis: Analysis, cell: Cell, contrast: Contrast | None) -> str:
    own, reference = analysis.solution(cell), analysis.solution(ladder(cell)[-1])
    if contrast is None:
        return "The plan solves no reference for token prices, so that it asks nothing about crowding out."
    if contrast.verdict == "void":
        return f"No answer is given: checks of the model failed ({contrast.reason})."
    if contrast.estimate is None and contrast.verdict in ("supported", "refuted"):
        crowded = contrast.verdict == "supported"
        opening = "crowd out" if crowded else "do not crowd out"
        direction, end = ("less", "down") if crowded else ("more", "up")
        return (
            f"Token prices {opening} long-term research: whatever the others do, builders gain by {direction} of it, {end} to "
            f"the end of its range ({setting_words(cell)})."
        )
    if contrast.estimate is None or own is None or reference is None:
        return (
            f"Whether token prices crowd out long-term research cannot be said: {contrast.reason}."
        )
    low = contrast.estimate.high < -analysis.plan.smallest_effect
    opening = {
        "supported": "Token prices crowd out long-term research",
        "refuted": "Token prices do not crowd out long-term research"
        + (", they add to it" if low else " by an amount that matters"),
        "undecided": "Whether token prices crowd out long-term research is undecided",
    }[contrast.verdict]
    assert own.research is not None
    assert reference.research is not None
    values = own.research.estimate.value, reference.research.estimate.value
    ours, theirs = (float(share_of(value)) for value in values)
    return (
        f"{opening}: builders put {ours:.0%} of their work into research, against {theirs:.0%} where users pay them "
        f"for exactly their own value, a gap of {span(contrast.estimate, '+.2f')} log-odds where more than "
        f"{analysis.plan.smallest_effect:g} counts ({setting_words(cell)})."
    )


def _vote_sentence(contrast: Contrast, smallest: float) -> str:
    if contrast.estimate is None and contrast.verdict in ("supported", "refuted"):
        more = "more" if contrast.verdict == "supported" else "less"
        return f"They crowd out {more} than the vote of root validators that they replaced, by a gap without a size."
    if contrast.estimate is None or contrast.verdict in ("void", "indeterminate"):
        return f"Whether they crowd out more than the vote of root validators cannot be said: {contrast.reason}."
    opening = {
        "supported": "They crowd out more than the vote of root validators that they replaced",
        "refuted": "The vote of root validators that they replaced crowds out more"
        if contrast.estimate.high < -smallest
        else "They crowd out no more than the vote of root validators that they replaced",
        "undecided": "Whether they crowd out more than the vote of root validators that they replaced is undecided",
    }[contrast.verdict]
    return (
        f"{opening}: in the same setting the gap under prices less that under the vote is "
        f"{span(contrast.estimate, '+.2f')}."
    )


def against_both(evidence: Evidence) -> list[str]:
    """What the evidence says against the critics of the market and against its defenders, one sentence each at most."""
    found = []
    analysis, smallest = evidence.analysis, evidence.plan.smallest_effect
    market = headline_cell(analysis, MARKET)
    if market is not None:
        vote = contrast_of(analysis, "market less vote", market)
        if vote is not None and vote.estimate is not None and vote.estimate.high < -smallest:
            found.append(
                "Against the market's critics: the vote of few pays the present, and builders under it do less research."
            )
        gap = contrast_of(analysis, "crowding out", market)
        if gap is not None and gap.verdict == "supported":
            found.append(
                "Against its defenders: at the same technology builders do less research than users would pay for."
            )
    power = control_at_one_percent(evidence, MARKET), control_at_one_percent(evidence, VOTE)
    if power[0] is not None and power[1] is not None and power[0].low > power[1].high:
        found.append(
            f"Against its defenders: with 1 % of root stake one holder forces {power[0].value:.0f} share points of emission "
            f"within 30 days under prices, and {power[1].value:.0f} by vote."
        )
    return found


def control_at_one_percent(evidence: Evidence, institution: str) -> Estimate | None:
    """Share points of emission that 1 % of root stake forces; None where it was not measured."""
    settings = ("fast, 1 % of root stake", "1 % of root stake")
    for finding in evidence.findings.get("C1", ()):
        same = finding.institution == institution and finding.setting in settings
        if same and finding.measure == "control of one actor":
            return finding.estimate
    return None


def paragraph(evidence: Evidence) -> str:
    """The finding for the README: the sentences, and what they say against either side."""
    return " ".join([*sentences(evidence), *against_both(evidence)])
