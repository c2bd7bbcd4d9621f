"""Checks that must hold before the probe gives an answer: expected value, result, verdict."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from dtao_agents.equilibrium.inference import Result
from dtao_agents.oracles.table import UNITS, OracleCheck


@dataclass(frozen=True)
class Check:
    """One check of a gate.

    Attributes
    ----------
    id : str
        Control or oracle.
    institution : str
        Setting of the measurement.
    expected, got : float or str
        Expected and measured value; text where there is no number.
    ok : bool
        Whether the check holds.
    low, high : float or None
        95 % interval of `got`; None where nothing is random.
    tolerance : str
        Largest difference that passes, with its unit.
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
        """Table cells as text, in the order of `COLUMNS`."""
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


def from_oracle(oracle: OracleCheck) -> Check:
    """Convert the check of an oracle."""
    return Check(
        oracle.id,
        oracle.setting,
        oracle.expected,
        oracle.got,
        oracle.ok,
        tolerance=f"{oracle.tolerance:.1g}{UNITS[oracle.measure]}",
    )


def log_odds_check(
    id: str, institution: str, expected: float, equilibrium: Result, tolerance: float
) -> Check:
    """Check the research share of an equilibrium.

    The point estimate must lie within the tolerance: a wide interval does not excuse a larger gap.

    Parameters
    ----------
    id, institution : str
        As in `Check`.
    expected : float
        Log-odds of the research share.
    equilibrium : Result
        Solution; fails if it is indeterminate.
    tolerance : float
        Log-odds.
    """
    if equilibrium.interval is None:
        return Check(id, institution, expected, "indeterminate", False)
    value, low, high = equilibrium.interval
    ok = abs(value - expected) <= tolerance
    return Check(id, institution, expected, value, ok, low, high, f"{tolerance:g} log-odds")


def failures(checks: Sequence[Check]) -> list[Check]:
    """Checks that do not hold."""
    return [check for check in checks if not check.ok]


def to_records(checks: Sequence[Check]) -> list[dict[str, Any]]:
    """Checks as plain mappings, for JSON."""
    return [asdict(check) for check in checks]


def from_records(records: Sequence[dict[str, Any]]) -> list[Check]:
    """Inverse of `to_records`."""
    return [Check(**record) for record in records]
