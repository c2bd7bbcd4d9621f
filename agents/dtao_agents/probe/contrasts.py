"""Contrasts between cells on the same worlds, and their verdicts.

A contrast is a weighted sum of log-odds of research shares. Its standard error pairs the replicate blocks that the cells share.
A verdict on "the effect exceeds the smallest of interest" is

- supported where the 95 % interval lies above it,
- refuted where it lies below: by equivalence (two one-sided tests) if it also lies above minus the smallest effect,
- undecided otherwise, with the number of worlds that would decide with a power of 80 %.

Holm's correction covers the hypotheses that the plan names beforehand.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np
from scipy import stats

from dtao_agents.equilibrium.slot_records import Parameter
from dtao_agents.evaluation.statistics import COVERAGE, Estimate

Question = Literal["exceeds", "no effect"]
POWER = 0.8
"""Power at which the number of worlds of an undecided contrast is stated."""
LEVEL = 1.0 - COVERAGE
"""Level of all tests, two-sided."""


class Term(NamedTuple):
    """A summand of a contrast.

    Attributes
    ----------
    weight : float
        Factor of the estimate.
    parameter : Parameter
        The estimate.
    columns : int
        Slots x decisions of its design: equal numbers have equal worlds in equal blocks.
    """

    weight: float
    parameter: Parameter
    columns: int


class Combined(NamedTuple):
    """A weighted sum of estimates.

    Attributes
    ----------
    estimate : Estimate
        Value and 95 % interval by Student's t.
    standard_error : float
        Blocks are paired.
    degrees : int
        Degrees of freedom: those of the term with the fewest blocks.
    """

    estimate: Estimate
    standard_error: float
    degrees: int


def combine(terms: Sequence[Term]) -> Combined:
    """Return a weighted sum of estimates of the same or of different worlds.

    Raises
    ------
    ValueError
        No terms.
    """
    if not terms:
        raise ValueError("terms: got none, allowed is 1 or more")
    value = sum(term.weight * term.parameter.estimate.value for term in terms)
    variance = 0.0
    for columns in {term.columns for term in terms}:
        shared = [term for term in terms if term.columns == columns]
        longest = max(len(term.parameter.deviations) for term in shared)
        influence = np.zeros(longest)
        for term in shared:
            own = term.parameter.deviations
            influence[: len(own)] += term.weight * own / len(own)
        blocks = min(len(term.parameter.deviations) for term in shared)
        variance += float((influence**2).sum()) * blocks / (blocks - 1)
    error = float(np.sqrt(variance))
    degrees = min(len(term.parameter.deviations) for term in terms) - 1
    reach = error * float(stats.t.ppf(0.5 + 0.5 * COVERAGE, degrees))
    return Combined(Estimate(float(value), value - reach, value + reach), error, degrees)


def difference(
    one: tuple[Parameter, int], other: tuple[Parameter, int], weight: float = 1.0
) -> Combined:
    """Return weight x (one less other), each a parameter with the columns of its design."""
    return combine([Term(weight, *one), Term(-weight, *other)])


@dataclass(frozen=True)
class Contrast:
    """A contrast and its verdict.

    Attributes
    ----------
    family : str
        What kind of comparison it is, such as "crowding out".
    institution, setting : str
        Where it was measured.
    question : {"exceeds", "no effect"}
        Whether the effect exceeds the smallest of interest, or lies within it on both sides.
    estimate : Estimate or None
        Log-odds with the 95 % interval; None without a number.
    verdict : str
        ``supported``, ``refuted`` or ``undecided``; ``indeterminate`` without a number, ``void`` where a gate failed.
    reason : str
        What the verdict rests on, or what is missing.
    primary : bool
        Whether it is of a primary block.
    named : bool
        Whether the plan named it beforehand: Holm's correction covers it.
    standard_error : float or None
        Standard error of the estimate.
    degrees : int or None
        Degrees of freedom.
    p_value, adjusted : float or None
        p value of the verdict, and after Holm's correction if named.
    blocks_needed : int or None
        Blocks that would decide an undecided contrast.
    """

    family: str
    institution: str
    setting: str
    question: Question
    estimate: Estimate | None
    verdict: str
    reason: str = ""
    primary: bool = False
    named: bool = False
    standard_error: float | None = None
    degrees: int | None = None
    p_value: float | None = None
    adjusted: float | None = None
    blocks_needed: int | None = None

    @property
    def name(self) -> str:
        """Institution and setting."""
        return ", ".join(part for part in (self.institution, self.setting) if part)

    @property
    def half_width(self) -> float | None:
        """Half of the width of the interval, log-odds."""
        return None if self.estimate is None else 0.5 * (self.estimate.high - self.estimate.low)


def judged(
    family: str,
    institution: str,
    setting: str,
    question: Question,
    combined: Combined | None,
    smallest: float,
    primary: bool = False,
    named: bool = False,
    reason: str = "no research share to compare",
    bound: int = 0,
) -> Contrast:
    """Contrast with the verdict before Holm's correction.

    Without a number `reason` says why; it is decided where `bound`, the sign of a gap without a size, is not 0.
    """
    if combined is None and bound != 0:
        holds = question == "exceeds" and bound > 0
        verdict = "supported" if holds else "refuted"
        text = f"the gap has no size: {reason}"
        return Contrast(family, institution, setting, question, None, verdict, text, primary, named)
    if combined is None:
        return Contrast(
            family, institution, setting, question, None, "indeterminate", reason, primary, named
        )
    verdict, p_value, text, gap = _verdict(combined, question, smallest)
    needed = None
    if verdict == "undecided":
        needed = blocks_to_decide(combined, gap)
        text += f"; about {needed:,} blocks would decide" if needed is not None else ""
    return Contrast(
        family,
        institution,
        setting,
        question,
        combined.estimate,
        verdict,
        text,
        primary,
        named,
        combined.standard_error,
        combined.degrees,
        p_value,
        None,
        needed,
    )


def _tail(distance: float, combined: Combined) -> float:
    """One-sided p value of an estimate that lies `distance` on the stated side of a bound."""
    if combined.standard_error == 0.0:
        return 0.0 if distance > 0.0 else 1.0
    return float(stats.t.sf(distance / combined.standard_error, combined.degrees))


def _verdict(
    combined: Combined, question: Question, smallest: float
) -> tuple[str, float, str, float]:
    """Verdict, p value, reason, and the distance of the estimate from the nearest bound."""
    value = combined.estimate.value
    above, below = _tail(value - smallest, combined), _tail(smallest - value, combined)
    above_low, below_low = _tail(value + smallest, combined), _tail(-smallest - value, combined)
    equivalent = max(below, above_low)
    half = 0.5 * LEVEL
    if question == "exceeds":
        gap = abs(value - smallest)
        if above < half:
            return "supported", 2 * above, f"the interval lies above {smallest:g}", gap
        if below < half:
            how = "no effect of interest" if equivalent < half else f"below {smallest:g}"
            how = "the opposite sign" if below_low < half else how
            return "refuted", 2 * below, f"the interval shows {how}", gap
        return "undecided", 2 * min(above, below), f"the interval holds {smallest:g}", gap
    gap = abs(abs(value) - smallest)
    if equivalent < half:
        return "supported", 2 * equivalent, f"the interval lies within +-{smallest:g}", gap
    if min(above, below_low) < half:
        return "refuted", 2 * min(above, below_low), f"the interval lies beyond {smallest:g}", gap
    return "undecided", 2 * min(equivalent, above, below_low), "the interval holds a bound", gap


def blocks_to_decide(combined: Combined, gap: float) -> int | None:
    """Return the number of blocks at which a test of the present estimate has a power of 80 %.

    None where the estimate lies on the bound, so that no number is enough.
    """
    if gap <= 1e-9:
        return None
    reach = stats.norm.ppf(1.0 - 0.5 * LEVEL) + stats.norm.ppf(POWER)
    ratio = (reach * combined.standard_error / gap) ** 2
    needed = int(np.ceil((combined.degrees + 1) * ratio))
    return needed if needed < 10_000_000 else None


def holm(contrasts: Sequence[Contrast]) -> list[Contrast]:
    """Apply Holm's correction to the contrasts named beforehand: verdicts that do not survive it become undecided.

    All of them with a number count, undecided ones too.
    """
    tested = [k for k, c in enumerate(contrasts) if c.named and c.p_value is not None]
    order = sorted(tested, key=lambda k: contrasts[k].p_value or 0.0)
    corrected = list(contrasts)
    adjusted = 0.0
    for rank, k in enumerate(order):
        contrast = contrasts[k]
        adjusted = max(adjusted, min(1.0, (contrast.p_value or 0.0) * (len(order) - rank)))
        corrected[k] = replace(contrast, adjusted=adjusted)
        if adjusted > LEVEL and contrast.verdict in ("supported", "refuted"):
            reason = (
                f"{contrast.verdict} by its own interval, not after Holm's correction over {len(order)} "
                f"hypotheses (p {adjusted:.2g})"
            )
            corrected[k] = replace(corrected[k], verdict="undecided", reason=reason)
    return corrected


def voided(contrast: Contrast, gates: Sequence[str]) -> Contrast:
    """Contrast without a verdict since gates failed."""
    reason = f"{', '.join(gates)} failed"
    return replace(contrast, verdict="void", reason=reason, p_value=None, adjusted=None)


def count_verdicts(contrasts: Sequence[Contrast]) -> Mapping[str, int]:
    """Number of contrasts by verdict, in a fixed order."""
    order = ("supported", "refuted", "undecided", "indeterminate", "void")
    counts = {verdict: sum(c.verdict == verdict for c in contrasts) for verdict in order}
    return {verdict: count for verdict, count in counts.items() if count}
