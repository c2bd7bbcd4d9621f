"""Measurements of the claims that need no equilibrium, as tasks of a probe."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from pydantic import BaseModel

from dtao_agents.claims import caps, control, persistence, safety
from dtao_agents.claims.finding import Finding, from_records, to_records
from dtao_agents.probe.plan import Plan
from dtao_gym.sources import fingerprint


class Measure(NamedTuple):
    """A measurement of a claim.

    Attributes
    ----------
    name : str
        Readable name.
    claim : str
        Id of the claim.
    module : str
        Module that measures it.
    settings : BaseModel
        Its settings.
    """

    name: str
    claim: str
    module: str
    settings: BaseModel

    @property
    def inputs(self) -> Mapping[str, Any]:
        """Everything that the findings depend on, but the sources."""
        return {"claim": self.claim, "settings": self.settings.model_dump(mode="json")}

    @property
    def sources(self) -> str:
        """SHA-256 of the sources that the findings depend on."""
        return fingerprint(self.module)


MODULES: Mapping[str, tuple[str, Any]] = {
    "C1": ("control over emission", control),
    "C3": ("lock-in", persistence),
    "C4": ("root and subnets", safety),
    "C5": ("caps", caps),
}
"""By claim: a short name and the module, which has `QUICK`, `FULL` and ``measure(settings)``."""


def measures_of(plan: Plan) -> list[Measure]:
    """Measurements of a plan, none where it says so."""
    if plan.claims == "none":
        return []
    size = "QUICK" if plan.claims == "quick" else "FULL"
    return [
        Measure(f"{claim} {name}", claim, module.__name__, getattr(module, size))
        for claim, (name, module) in MODULES.items()
    ]


def measure_claim(measure: Measure) -> dict[str, Any]:
    """Measure a claim and return the record of its findings."""
    function: Callable[[Any], list[Finding]] = MODULES[measure.claim][1].measure
    return timed_record(measure, lambda: function(measure.settings))


class Measurement(Protocol):
    """What `Measure` and `dtao_agents.probe.cell_measures.CellMeasure` have in common."""

    @property
    def name(self) -> str:
        """Readable name."""
        ...

    @property
    def claim(self) -> str:
        """Id of the claim."""
        ...

    @property
    def inputs(self) -> Mapping[str, Any]:
        """Everything that the findings depend on, but the sources."""
        ...

    @property
    def sources(self) -> str:
        """SHA-256 of the sources that the findings depend on: the same for all measurements of a claim."""
        ...


def timed_record(measure: Measurement, compute: Callable[[], Sequence[Finding]]) -> dict[str, Any]:
    """Compute the findings of a measurement and return their record."""
    began = time.process_time()
    findings = compute()
    return {
        "name": measure.name,
        "claim": measure.claim,
        "inputs": measure.inputs,
        "engine": measure.sources,
        "findings": to_records(findings),
        "seconds": round(time.process_time() - began, 1),
    }


def findings_of(record: Mapping[str, Any]) -> list[Finding]:
    """Findings of a record."""
    return from_records(record["findings"])
