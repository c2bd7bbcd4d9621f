"""Eras of the chain by name: frozen configurations of the rules in this package."""

from dataclasses import dataclass

FEE_OF_WEIGHTED_POOL = 33 / 65535
"""Proportional fee of a swap since July 2025."""
FLAT_FEE_OF_LAUNCH_TAO = 50_000e-9
"""Flat fee of an operation on the launch pool, TAO."""


@dataclass(frozen=True)
class Era:
    """One period of the chain's rules, with the date it began.

    `allocation`, `injection` and `root_dividend` name rules of `allocation.py` and `coinbase.py`;
    `root_gate` is `chain` where root's alpha is recycled unless the moving prices sum to more than 1.
    """

    name: str
    since: str
    allocation: str
    injection: str
    root_dividend: str
    root_gate: str
    pool_fee: float
    flat_fee_tao: float
    min_order_tao: float


ERAS = {
    era.name: era
    for era in (
        Era(
            name="launch",
            since="2025-02-13",
            allocation="price",
            injection="alpha_emission",
            root_dividend="sold",
            root_gate="open",
            pool_fee=0.0,
            flat_fee_tao=FLAT_FEE_OF_LAUNCH_TAO,
            min_order_tao=0.0005,
        ),
        Era(
            name="price_burn",
            since="2026-06-30",
            allocation="price_burn",
            injection="root_proportion",
            root_dividend="claimable",
            root_gate="chain",
            pool_fee=FEE_OF_WEIGHTED_POOL,
            flat_fee_tao=0.0,
            min_order_tao=0.002,
        ),
    )
}
"""The eras that this version plays, by name."""
