"""Results of a finished probe, as its page and results.json present them, and of its finished parts on disk."""

import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from dtao_agents.cache import Store
from dtao_agents.probe.cells import OUTCOMES, CellSolution
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


class CheckedStore(Store):
    """A folder of finished cells and gates, whose content is checked when it is read.

    A damaged one counts as missing, so that it is computed again, and a line says so.
    """

    def load(self, name: str, key: str) -> tuple[Any, dict[str, np.ndarray]] | None:
        """Load a unit; None where it is missing, damaged, or of other inputs."""
        path = self._path(name, key)
        try:
            if not path.exists():
                return None
            found = super().load(name, key)
            if found is None:
                raise ValueError("record or arrays cannot be read")
            record, arrays = found
            checksum = arrays.pop(CHECKSUM, None)
            if checksum is not None and checksum.tobytes() != _checksum(record):
                raise ValueError("record does not fit its checksum")
            check = _check_gate if name.startswith("gate ") else _check_cell
            check(record, arrays)
        except Exception as error:  # whatever the content is
            told = " ".join(str(error).split())[:200] or type(error).__name__
            print(f"warning: {path}: is damaged ({told}); computed again", file=sys.stderr)
            return None
        return record, arrays

    def save(self, name: str, key: str, record: Any, arrays: Mapping[str, np.ndarray]) -> None:
        """Write a unit, with the checksum of its record among the arrays."""
        checksum = np.frombuffer(_checksum(record), np.uint8)
        super().save(name, key, record, {**arrays, CHECKSUM: checksum})


CHECKSUM = "sha256"
"""Name of an array: the SHA-256 of a record. Records of before have none."""


VERDICTS = ("solved", "not converged", "indeterminate")


def _checksum(record: Any) -> bytes:
    text = json.dumps(json.loads(json.dumps(record)), sort_keys=True)
    return hashlib.sha256(text.encode()).digest()


def _need(holds: bool, name: str, got: Any, allowed: str) -> None:
    if not holds:
        raise ValueError(f"{name}: got {got!r:.60}, allowed is {allowed}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _check_keys(record: Any, of: Any) -> None:
    _need(isinstance(record, dict), "record", type(record).__name__, "an object")
    names = {field.name for field in fields(of)}
    _need(set(record) == names, "entries", sorted(record), ", ".join(sorted(names)))


def _check_cell(record: Any, arrays: Mapping[str, np.ndarray]) -> None:
    """Raise ValueError unless `solve_cell` can have written it."""
    _check_keys(record, CellSolution)
    share = record["research_share"]
    _need(record["verdict"] in VERDICTS, "verdict", record["verdict"], ", ".join(VERDICTS))
    is_share = _is_number(share) and 0.0 <= share <= 1.0
    _need(share is None or is_share, "research_share", share, "0 to 1, or null")
    for name in ("interval", "epsilon"):
        value = record[name]
        holds = value is None or (_are_numbers(value) and len(value) == 3)
        _need(holds, name, value, "three numbers, or null")
    for name in ("settled", "iterates"):
        _need(_are_numbers(record[name]), name, record[name], "a list of numbers")
    for name in ("fixed_point", "curvature", "capitalisation", "slope"):
        value = record[name]
        _need(value is None or _is_number(value), name, value, "a number, or null")
    seconds = record["seconds"]
    _need(_is_number(seconds) and 0.0 <= seconds < 1e12, "seconds", seconds, "0 or more")
    expected = set() if share is None else {f"outcome_{name}" for name in OUTCOMES}
    if record["fixed_point"] is not None:
        expected |= {"draws", "jackknife"}
    _need(set(arrays) == expected, "arrays", sorted(arrays), ", ".join(sorted(expected)) or "none")
    for name, array in arrays.items():
        holds = array.ndim == 1 and array.dtype == np.float64
        _need(holds, name, f"{array.dtype} {array.shape}", "a list of float64")
    sizes = {arrays[name].size for name in expected if name.startswith("outcome_")}
    _need(len(sizes) < 2, "outcomes", sorted(sizes), "as many of each as there are seeds")


def _are_numbers(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_number, value))


def _check_gate(record: Any, arrays: Mapping[str, np.ndarray]) -> None:
    """Raise ValueError unless checks of a gate can have been written like that."""
    _need(isinstance(record, list) and not arrays, "record", type(record).__name__, "a list")
    for check in record:
        _check_keys(check, Check)
        for name in ("id", "institution", "tolerance"):
            _need(isinstance(check[name], str), name, check[name], "text")
        for name in ("expected", "got"):
            value = check[name]
            _need(isinstance(value, str) or _is_number(value), name, value, "a number or text")
        _need(isinstance(check["ok"], bool), "ok", check["ok"], "true or false")
        interval = [check["low"], check["high"]]
        holds = interval == [None, None] or _are_numbers(interval)
        _need(holds, "low, high", interval, "two numbers, or null")
