"""Contrasts between cells on the same seeds, such as crowding out, and their verdicts.

A verdict needs an interval that lies on one side of the smallest effect of interest and is narrow enough. All verdicts
together must survive Holm's correction.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from dtao_agents.equilibrium.inference import judge, judge_no_effect, paired_difference
from dtao_agents.evaluation.statistics import COVERAGE, Estimate, bca_interval
from dtao_agents.probe.cells import CellSolution
from dtao_agents.probe.plan import REFERENCE, Cell, Plan

Question = Literal["exceeds", "no effect"]
MARKET, VOTE = "price", "root_vote"
"""Institutions of the second question: does the market crowd out more than the vote before it?"""
FAMILIES = ("crowding out", "market less vote", "pruning", "moving price")
"""Families of contrasts."""


@dataclass(frozen=True)
class Contrast:
    """Difference of two log-odds and its verdict.

    Attributes
    ----------
    family : str
        One of `FAMILIES`.
    name : str
        Description of the comparison.
    question : {"exceeds", "no effect"}
        Whether the difference exceeds the smallest effect of interest, or lies within it.
    estimate : Estimate or None
        Log-odds with the 95 % interval; None where a cell has no number.
    verdict : str
        ``supported``, ``refuted`` or ``undecided``; ``indeterminate`` without a number.
    reason : str
        Why the contrast is undecided, with the verdict of the interval alone if there is one.
    p_value : float or None
        p value that belongs to the verdict of the interval alone; None if there is none.
    """

    family: str
    name: str
    question: Question
    estimate: Estimate | None
    verdict: str
    reason: str = ""
    p_value: float | None = None

    @property
    def half_width(self) -> float | None:
        """Half of the width of the interval, log-odds."""
        return None if self.estimate is None else 0.5 * (self.estimate.high - self.estimate.low)


def make_contrast(
    family: str,
    name: str,
    question: Question,
    one: CellSolution,
    other: CellSolution,
    plan: Plan,
) -> Contrast:
    """Contrast of two cells, with the verdict before Holm's correction.

    Parameters
    ----------
    family, name, question
        As in `Contrast`.
    one, other : CellSolution
        The difference is the log-odds of `one` less those of `other`.
    plan : Plan
        Smallest effect of interest and widest half-width of a verdict.
    """
    if one.interval is None or other.interval is None:
        return Contrast(
            family, name, question, None, "indeterminate", "no research share to compare"
        )
    estimate = paired_difference(one, other)
    smallest = plan.smallest_effect
    rule = judge if question == "exceeds" else judge_no_effect
    verdict = rule(estimate, smallest)
    if verdict == "undecided":
        return Contrast(
            family, name, question, estimate, verdict, "the interval holds both answers"
        )
    p_value = _p_value(one, other, estimate, question, smallest, verdict == "supported")
    contrast = Contrast(family, name, question, estimate, verdict, "", p_value)
    if not (one.verdict == other.verdict == "solved"):
        reason = f"{verdict} by the interval, but a cell did not converge"
        return replace(contrast, verdict="undecided", reason=reason)
    width = contrast.half_width
    assert width is not None
    if width > plan.widest:
        reason = (
            f"{verdict} by the interval, but its half-width {width:.2f} exceeds {plan.widest:g}"
        )
        return replace(contrast, verdict="undecided", reason=reason)
    return contrast


def _p_value(
    one: CellSolution,
    other: CellSolution,
    estimate: Estimate,
    question: Question,
    smallest: float,
    supported: bool,
) -> float:
    """Two-sided p-value from resampled differences, shifted as the iterates widen the interval."""
    assert one.fixed_point is not None
    assert other.fixed_point is not None
    resampled = one.fixed_point.minus(other.fixed_point)
    bounds = bca_interval(resampled)
    below = resampled.draws - (bounds.low - estimate.low)
    above = resampled.draws + (estimate.high - bounds.high)
    if question == "exceeds":
        tail = np.mean(below <= smallest) if supported else np.mean(above >= smallest)
    elif supported:
        tail = max(np.mean(above >= smallest), np.mean(below <= -smallest))
    else:
        tail = min(np.mean(below <= smallest), np.mean(above >= -smallest))
    return float(min(1.0, 2.0 * max(tail, 1.0 / (len(resampled.draws) + 1))))


def holm(contrasts: Sequence[Contrast]) -> list[Contrast]:
    """Apply Holm's correction: verdicts that do not survive it over all verdicts become undecided.

    No p-value is below 2 / (resamples + 1), so that 2,000 resamples suffice for up to 50 tests.
    """
    tested = [k for k, c in enumerate(contrasts) if c.verdict in ("supported", "refuted")]
    order = sorted(tested, key=lambda k: contrasts[k].p_value or 0.0)
    corrected = list(contrasts)
    failed = False
    for rank, k in enumerate(order):
        p_value = contrasts[k].p_value
        assert p_value is not None
        failed = failed or p_value > (1.0 - COVERAGE) / (len(order) - rank)
        if failed:
            reason = f"{contrasts[k].verdict} by the interval, but not after Holm's correction over {len(order)} tests"
            corrected[k] = replace(contrasts[k], verdict="undecided", reason=reason)
    return corrected


def all_contrasts(
    cells: Sequence[Cell], solutions: Mapping[str, CellSolution], plan: Plan
) -> dict[str, list[Contrast]]:
    """All contrasts of a probe by family, after Holm's correction over all of them.

    Parameters
    ----------
    cells : sequence of Cell
        With the reference.
    solutions : mapping of str to CellSolution
        By the name of the cell.
    plan : Plan
        Settings of the verdicts.
    """
    arms = [cell for cell in cells if cell.institution != REFERENCE]
    by_setting = {(cell.institution, *cell.setting): cell for cell in arms}
    reference = solutions[REFERENCE]
    contrasts = [
        make_contrast("crowding out", cell.name, "exceeds", reference, solutions[cell.name], plan)
        for cell in arms
    ]

    def add(family: str, name: str, question: Question, one: Cell, other: Cell | None) -> None:
        if other is not None:
            pair = solutions[one.name], solutions[other.name]
            contrasts.append(make_contrast(family, name, question, *pair, plan))

    for cell in arms:
        payment, pruning, speed = cell.setting
        setting = ", ".join((payment, "pruning" if pruning else "no pruning", speed))
        if cell.institution == VOTE:
            market = by_setting.get((MARKET, *cell.setting))
            add("market less vote", setting, "exceeds", cell, market)
        if not pruning:
            other = by_setting.get((cell.institution, payment, True, speed))
            name = f"{cell.institution}, {payment}, {speed}: added by pruning"
            add("pruning", name, "exceeds", cell, other)
        if speed == "slow":
            other = by_setting.get((cell.institution, payment, pruning, "fast"))
            short = setting.removesuffix(", slow")
            name = f"{cell.institution}, {short}: added by the fast price"
            add("moving price", name, "no effect", cell, other)
    corrected = holm(contrasts)
    return {family: [c for c in corrected if c.family == family] for family in FAMILIES}


def joint_verdict(contrasts: Sequence[Contrast]) -> str:
    """Verdict on a question in several settings: the verdict that all of them share, else undecided."""
    verdicts = {c.verdict for c in contrasts}
    if not verdicts:
        return "not measured"
    return verdicts.pop() if len(verdicts) == 1 else "undecided"
