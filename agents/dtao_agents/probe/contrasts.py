"""What the cells say about each other, on the same seeds: crowding out, the market against the vote, verdicts.

A verdict needs an interval that lies on one side of the smallest effect of interest and is narrow enough; all the
verdicts that are given must survive Holm's correction together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from dtao_agents.equilibrium.inference import judge, judge_no_effect, paired_difference
from dtao_agents.evaluation.statistics import COVERAGE, Estimate, bca_interval
from dtao_agents.probe.cells import Solved
from dtao_agents.probe.plan import REFERENCE, Cell, Plan

Question = Literal["exceeds", "no effect"]
MARKET, VOTE = "price", "root_vote"
"""Institutions of the second question: more than what was there before?"""


@dataclass(frozen=True)
class Contrast:
    """A difference of two log-odds, and what may be said of it.

    Attributes:
        family: `crowding out`, `market less vote`, `pruning` or `moving price`.
        name: what is compared, in words.
        question: whether the difference exceeds the smallest effect, or is within it.
        estimate: with its interval; None where a cell has no number.
        verdict: supported, refuted or undecided; `indeterminate` without a number.
        reason: why it is undecided, or what the interval would say if it were narrow enough.
        p_value: of the verdict that the interval alone would give; None if it gives none.
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
        """Half of the width of the interval."""
        return None if self.estimate is None else 0.5 * (self.estimate.high - self.estimate.low)


def contrast(
    family: str, name: str, question: Question, one: Solved, other: Solved, plan: Plan
) -> Contrast:
    """Log-odds of `one` less those of `other`, judged by itself."""
    if one.interval is None or other.interval is None:
        return Contrast(
            family, name, question, None, "indeterminate", "no research share to compare"
        )
    assert one.fixed_point is not None
    assert other.fixed_point is not None
    estimate = paired_difference(one, other)
    smallest = plan.smallest_effect
    says = (
        judge(estimate, smallest) if question == "exceeds" else judge_no_effect(estimate, smallest)
    )
    if says == "undecided":
        return Contrast(family, name, question, estimate, says, "the interval holds both answers")
    p_value = _p_value(one, other, estimate, question, smallest, says == "supported")
    found = Contrast(family, name, question, estimate, says, "", p_value)
    if not (one.verdict == other.verdict == "solved"):
        return replace(
            found,
            verdict="undecided",
            reason=f"{says} by the interval, but a cell did not converge",
        )
    width = found.half_width
    assert width is not None
    if width > plan.widest:
        reason = f"{says} by the interval, but its half-width {width:.2f} exceeds {plan.widest:g}"
        return replace(found, verdict="undecided", reason=reason)
    return found


def _p_value(
    one: Solved,
    other: Solved,
    estimate: Estimate,
    question: Question,
    smallest: float,
    supported: bool,
) -> float:
    """Two-sided, from the resampled differences, moved outwards as the interval is widened by the iterates."""
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
    """The same contrasts; verdicts that do not survive Holm's correction over all that are given become undecided.

    No p-value is below 2 / (resamples + 1), so that 2,000 resamples serve up to 50 tests.
    """
    judged = [k for k, c in enumerate(contrasts) if c.verdict in ("supported", "refuted")]
    order = sorted(judged, key=lambda k: contrasts[k].p_value or 0.0)
    after = list(contrasts)
    failed = False
    for rank, k in enumerate(order):
        p_value = contrasts[k].p_value
        assert p_value is not None
        failed = failed or p_value > (1.0 - COVERAGE) / (len(order) - rank)
        if failed:
            reason = f"{contrasts[k].verdict} by the interval, but not after Holm's correction over {len(order)} tests"
            after[k] = replace(contrasts[k], verdict="undecided", reason=reason)
    return after


def all_contrasts(
    cells: Sequence[Cell], found: Mapping[str, Solved], plan: Plan
) -> dict[str, list[Contrast]]:
    """Every contrast by family, judged together."""
    arms = [cell for cell in cells if cell.institution != REFERENCE]
    by_place = {(cell.institution, *cell.setting): cell for cell in arms}
    contrasts = [
        contrast("crowding out", cell.name, "exceeds", found[REFERENCE], found[cell.name], plan)
        for cell in arms
    ]

    def add(family: str, name: str, question: Question, one: Cell, other: Cell | None) -> None:
        if other is not None:
            pair = found[one.name], found[other.name]
            contrasts.append(contrast(family, name, question, *pair, plan))

    for cell in arms:
        payment, pruning, speed = cell.setting
        place = ", ".join((payment, "pruning" if pruning else "no pruning", speed))
        if cell.institution == VOTE:
            add("market less vote", place, "exceeds", cell, by_place.get((MARKET, *cell.setting)))
        if not pruning:
            other = by_place.get((cell.institution, payment, True, speed))
            name = f"{cell.institution}, {payment}, {speed}: what pruning adds"
            add("pruning", name, "exceeds", cell, other)
        if speed == "slow":
            other = by_place.get((cell.institution, payment, pruning, "fast"))
            short = place.removesuffix(", slow")
            name = f"{cell.institution}, {short}: what the fast price adds"
            add("moving price", name, "no effect", cell, other)
    judged = holm(contrasts)
    return {
        family: [c for c in judged if c.family == family]
        for family in ("crowding out", "market less vote", "pruning", "moving price")
    }


def overall(contrasts: Sequence[Contrast]) -> str:
    """One verdict for a question in several settings: that of all of them, or undecided."""
    verdicts = {c.verdict for c in contrasts}
    if not verdicts:
        return "not measured"
    return verdicts.pop() if len(verdicts) == 1 else "undecided"
