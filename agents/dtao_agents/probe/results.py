"""Results of a finished probe, as its page and results.json present them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from dtao_agents.probe.cells import CellSolution
from dtao_agents.probe.checks import Check, to_records
from dtao_agents.probe.contrasts import Contrast, joint_verdict
from dtao_agents.probe.plan import REFERENCE, Cell, Plan


@dataclass(frozen=True)
class ProbeResults:
    """All results of a probe.

    Attributes
    ----------
    plan : Plan
        Settings of the probe.
    cells : sequence of Cell
        The reference first.
    solutions : mapping of str to CellSolution
        By the name of the cell.
    contrasts : mapping of str to sequence of Contrast
        By family, after Holm's correction over all families.
    checks : mapping of str to sequence of Check
        By gate.
    facts : mapping of str to str
        Circumstances of the run: versions, seeds, times.
    """

    plan: Plan
    cells: Sequence[Cell]
    solutions: Mapping[str, CellSolution]
    contrasts: Mapping[str, Sequence[Contrast]]
    checks: Mapping[str, Sequence[Check]]
    facts: Mapping[str, str]

    @property
    def reference(self) -> CellSolution:
        """Solution of the fee arm."""
        return self.solutions[REFERENCE]

    @property
    def arms(self) -> list[Cell]:
        """All cells except the reference."""
        return [cell for cell in self.cells if cell.institution != REFERENCE]

    @property
    def crowding_out(self) -> dict[str, Contrast]:
        """Gap of each cell to the reference, by the name of the cell."""
        return {c.name: c for c in self.contrasts["crowding out"]}

    def crowding_out_by(self, institution: str) -> list[Contrast]:
        """Gaps of an institution to the reference, one for each setting."""
        names = [cell.name for cell in self.arms if cell.institution == institution]
        return [self.crowding_out[name] for name in names]

    def mainnet_cell(self, institution: str) -> Cell | None:
        """Cell of an institution nearest to the chain of 2026: pruning, fast moving price.

        None if the plan does not have the institution.
        """
        cells = [cell for cell in self.arms if cell.institution == institution]
        return max(cells, key=lambda c: (c.pruning, c.moving_price == "fast"), default=None)

    def verdict(self, family: str, institution: str | None = None) -> str:
        """Joint verdict on a family of contrasts, or on crowding out by one institution."""
        if institution is not None:
            return joint_verdict(self.crowding_out_by(institution))
        return joint_verdict(self.contrasts[family])

    def to_record(self) -> dict[str, Any]:
        """Content of results.json."""
        return {
            "facts": dict(self.facts),
            "plan": self.plan.model_dump(mode="json"),
            "cells": {name: _record(solution) for name, solution in self.solutions.items()},
            "contrasts": {
                family: [asdict(c) for c in contrasts]
                for family, contrasts in self.contrasts.items()
            },
            "checks": {gate: to_records(checks) for gate, checks in self.checks.items()},
        }


def _record(solution: CellSolution) -> dict[str, Any]:
    return {
        "verdict": solution.verdict,
        "research_share": solution.research_share,
        "log_odds": solution.interval,
        "epsilon": solution.epsilon,
        "identified": solution.identified,
        "capitalisation": solution.capitalisation,
        "iterates": solution.iterates,
        "seconds": round(solution.seconds, 1),
    }
