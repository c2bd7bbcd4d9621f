"""A number that must come out before the probe shows any other: expected, got, verdict."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from dtao_agents.equilibrium.inference import Result
from dtao_agents.oracles.table import UNITS, Row


@dataclass(frozen=True)
class Check:
    """One row of the table of gates.

    Attributes:
        id: of the control or the oracle.
        institution: where it was measured.
        expected, got: numbers, or words where there is no number to give.
        low, high: 95 % interval of `got`; None where nothing is drawn.
        tolerance: what `got` may differ by, with its unit.
    """

    id: str
    institution: str
    expected: float | str
    got: float | str
    ok: bool
    low: float | None = None
    high: float | None = None
    tolerance: str = ""

    @property
    def cells(self) -> tuple[str, ...]:
        """The row as text: id, institution, expected, got, interval, tolerance, verdict."""
        interval = "" if self.low is None else f"{self.low:.4g} to {self.high:.4g}"
        return (
            self.id,
            self.institution,
            _text(self.expected),
            _text(self.got),
            interval,
            self.tolerance,
            "holds" if self.ok else "FAILS",
        )


COLUMNS = ("id", "institution", "expected", "got", "95 % interval", "tolerance", "verdict")
"""Headings of `Check.cells`."""


def _text(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.6g}"


def of_oracle(row: Row) -> Check:
    """The check of an oracle."""
    return Check(
        row.id,
        row.setting,
        row.expected,
        row.got,
        row.ok,
        tolerance=f"{row.tolerance:.1g}{UNITS[row.measure]}",
    )


def of_share(
    id: str, institution: str, expected_log_odds: float, found: Result, tolerance: float
) -> Check:
    """The check of a solved log-odds of the research share: what is drawn may not hide a gap beyond `tolerance`."""
    if found.interval is None:
        return Check(id, institution, expected_log_odds, "indeterminate", False)
    value, low, high = found.interval
    ok = abs(value - expected_log_odds) <= tolerance
    return Check(
        id, institution, expected_log_odds, value, ok, low, high, f"{tolerance:g} log-odds"
    )


def failures(checks: Sequence[Check]) -> list[Check]:
    """Those that do not hold."""
    return [check for check in checks if not check.ok]


def to_records(checks: Sequence[Check]) -> list[dict[str, Any]]:
    """Plain mappings, for JSON."""
    return [asdict(check) for check in checks]


def from_records(records: Sequence[dict[str, Any]]) -> list[Check]:
    """The checks of `to_records`."""
    return [Check(**record) for record in records]
