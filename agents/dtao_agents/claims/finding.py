"""A measured number of the debate, with its interval, and the verdict on the claim about it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from dtao_agents.evaluation.statistics import Estimate

Direction = Literal["above", "below", "within"]
Verdict = Literal["supported", "refuted", "undecided"]


@dataclass(frozen=True)
class Hypothesis:
    """A statement about a number.

    Attributes
    ----------
    text : str
        The statement in plain words: "five holders force less than half of the shares".
    direction : {"above", "below", "within"}
        The statement holds above the threshold, below it, or within +-threshold of 0.
    threshold : float
        In the unit of the finding.
    """

    text: str
    direction: Direction
    threshold: float

    def __post_init__(self) -> None:
        if self.direction not in ("above", "below", "within"):
            raise ValueError(
                f"direction: got {self.direction!r}, allowed are above, below and within"
            )
        if self.direction == "within" and not self.threshold > 0.0:
            raise ValueError(f"threshold: got {self.threshold}, allowed is above 0 with 'within'")

    def judge(self, estimate: Estimate) -> Verdict:
        """Return the verdict of a 95 % interval; "within" and its opposite are two one-sided tests each."""
        low, high, threshold = estimate.low, estimate.high, self.threshold
        if self.direction == "above":
            holds, fails = low > threshold, high < threshold
        elif self.direction == "below":
            holds, fails = high < threshold, low > threshold
        else:
            holds = -threshold < low and high < threshold
            fails = low > threshold or high < -threshold
        return "supported" if holds else "refuted" if fails else "undecided"


@dataclass(frozen=True)
class Finding:
    """A number that bears on a claim.

    Attributes
    ----------
    claim : str
        Id of the claim, C1 to C7 (docs/claims.md).
    measure : str
        The measured quantity in plain words.
    institution : str
        Name of the institution, such as ``price``.
    setting : str
        What else was varied: payment, wealth, concentration of holders; empty where nothing was.
    unit : str
        Unit of the estimate: "share points", "TAO", "days", "a year", or "" for a pure number.
    estimate : Estimate
        Value and 95 % interval; both bounds equal the value where nothing is random.
    samples : int
        Independent observations behind the interval; 0 where nothing is random.
    hypothesis : Hypothesis, optional
        The claim's statement about this number; None for context.
    """

    claim: str
    measure: str
    institution: str
    setting: str
    unit: str
    estimate: Estimate
    samples: int
    hypothesis: Hypothesis | None = None

    @property
    def verdict(self) -> Verdict | None:
        """Verdict on the hypothesis, None without one."""
        return None if self.hypothesis is None else self.hypothesis.judge(self.estimate)


def to_records(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """Return findings as JSON objects, with their verdicts."""
    records = []
    for finding in findings:
        record = dict(vars(finding), estimate=list(finding.estimate), verdict=finding.verdict)
        if finding.hypothesis is not None:
            record["hypothesis"] = dict(vars(finding.hypothesis))
        records.append(record)
    return records


def from_records(records: Sequence[dict[str, Any]]) -> list[Finding]:
    """Return the findings of `to_records`."""
    findings = []
    for record in records:
        fields = {name: value for name, value in record.items() if name != "verdict"}
        fields["estimate"] = Estimate(*record["estimate"])
        if record["hypothesis"] is not None:
            fields["hypothesis"] = Hypothesis(**record["hypothesis"])
        findings.append(Finding(**fields))
    return findings
