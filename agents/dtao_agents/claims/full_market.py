"""World of the claims about the whole market: every subnet of the snapshot is simulated, none is frozen."""

from typing import Any

from dtao_gym.protocol.coinbase import FUNDS
from dtao_gym.realism.gate import PRESETS

FULL_MARKET: dict[str, Any] = PRESETS["probe"] | {
    "n_subnets": None,
    "selection": "largest",
    "horizon": "fixed",
}
"""Base world of the probe with all subnets simulated. Frozen ones would keep up the sum of prices, and so root's pay."""


def institution_fields(institution: str) -> dict[str, str]:
    """Return the one parameter that makes the base world this institution: allocation, or use of root's dividends."""
    return {"root_dividend" if institution in FUNDS else "allocation": institution}
