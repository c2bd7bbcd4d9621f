"""What a finished probe knows, gathered for its page and for results.json."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from dtao_agents.probe.cells import Solved
from dtao_agents.probe.checks import Check
from dtao_agents.probe.contrasts import Contrast, overall
from dtao_agents.probe.plan import REFERENCE, Cell, Plan


@dataclass(frozen=True)
class Findings:
    """All of a probe.

    Attributes:
        checks: by gate.
        contrasts: by family, judged together.
        facts: how and with what it was run, name to text.
    """

    plan: Plan
    cells: Sequence[Cell]
    solved: Mapping[str, Solved]
    contrasts: Mapping[str, Sequence[Contrast]]
    checks: Mapping[str, Sequence[Check]]
    facts: Mapping[str, str]

    @property
    def reference(self) -> Solved:
        """The fee arm."""
        return self.solved[REFERENCE]

    @property
    def arms(self) -> list[Cell]:
        """Cells but the reference."""
        return [cell for cell in self.cells if cell.institution != REFERENCE]

    @property
    def crowding_out(self) -> dict[str, Contrast]:
        """Gap of each cell to the reference, by the name of the cell."""
        return {c.name: c for c in self.contrasts["crowding out"]}

    def of_institution(self, institution: str) -> list[Contrast]:
        """Crowding out by an institution in every setting."""
        names = [cell.name for cell in self.arms if cell.institution == institution]
        return [self.crowding_out[name] for name in names]

    def today(self, institution: str) -> Cell | None:
        """The cell of an institution that is nearest to the chain of 2026: pruning, fast moving price."""
        found = [cell for cell in self.arms if cell.institution == institution]
        return max(found, key=lambda c: (c.pruning, c.moving_price == "fast"), default=None)

    def verdict(self, family: str, institution: str | None = None) -> str:
        """One verdict over the settings of a question."""
        if institution is not None:
            return overall(self.of_institution(institution))
        return overall(self.contrasts[family])

    def to_record(self) -> dict[str, Any]:
        """For results.json."""
        return {
            "facts": dict(self.facts),
            "plan": self.plan.model_dump(mode="json"),
            "cells": {name: _record(found) for name, found in self.solved.items()},
            "contrasts": {
                family: [asdict(c) for c in contrasts]
                for family, contrasts in self.contrasts.items()
            },
            "checks": {gate: [asdict(c) for c in checks] for gate, checks in self.checks.items()},
        }


def _record(found: Solved) -> dict[str, Any]:
    return {
        "verdict": found.verdict,
        "research_share": found.research_share,
        "log_odds": found.interval,
        "epsilon": found.epsilon,
        "identified": found.identified,
        "capitalisation": found.capitalisation,
        "iterates": found.iterates,
        "seconds": round(found.seconds, 1),
    }
