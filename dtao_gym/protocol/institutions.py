"""Eras of the chain by name: frozen configurations of the rules in this package, and the history of the chain."""

from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from dtao_gym.protocol.pool import MIN_RESERVE, MIN_RESERVE_OF_LAUNCH

FEE_OF_WEIGHTED_POOL = 33 / 65535
"""Proportional fee of a swap since July 2025."""
FLAT_FEE_OF_LAUNCH_TAO = 50_000e-9
"""Flat fee of an operation on the launch pool, TAO."""

PRUNE_KEYS = {"moving_price": 0, "share": 1}
"""Keys of pruning once every slot is taken: among the subnets that are no longer immune, the one with the lowest
moving price, or with the lowest emission share, makes room for a newcomer."""


@dataclass(frozen=True)
class Era:
    """One period of the chain's rules, with the date it began.

    `allocation`, `injection`, `chain_bought` and `root_dividend` name rules of `allocation.py` and
    `coinbase.py`; `root_gate` is `chain` where root's alpha is recycled unless the moving prices sum to more
    than 1.
    """

    name: str
    since: str
    allocation: str
    injection: str
    chain_bought: str
    root_dividend: str
    root_gate: str
    pool_fee: float
    flat_fee_tao: float
    min_order_tao: float
    min_reserve: float
    """Smallest reserve of TAO or alpha that a swap may leave."""
    pruning: bool
    prune_key: str
    seeding: str
    min_lock_tao: float
    lock_interval_days: float
    """Days in which the lock cost falls from twice the last lock to the last lock, at 1 TAO a block."""
    start_delay_days: int
    """Days between registration and the owner's start call: no emission and no staking until then."""
    entrants_enabled: bool
    """Whether a new subnet gets TAO emission at once, or only when governance says so."""


_PRE_DTAO = Era(
    name="pre_dtao",
    since="2023-03-20",
    allocation="root_vote",
    injection="direct",
    chain_bought="destroyed",
    root_dividend="tao",
    root_gate="open",
    pool_fee=0.0,
    flat_fee_tao=0.0,
    min_order_tao=0.0005,
    min_reserve=MIN_RESERVE_OF_LAUNCH,
    pruning=True,
    prune_key="share",
    seeding="minimum",
    min_lock_tao=100.0,
    lock_interval_days=14.0,
    start_delay_days=0,
    entrants_enabled=True,
)
_LAUNCH = replace(
    _PRE_DTAO,
    name="launch",
    since="2025-02-13",
    allocation="price",
    injection="alpha_emission",
    root_dividend="sold",
    flat_fee_tao=FLAT_FEE_OF_LAUNCH_TAO,
    pruning=False,
    prune_key="moving_price",
    min_lock_tao=1.0,
    start_delay_days=7,
)
_LAUNCH_V3 = replace(
    _LAUNCH,
    name="launch_v3",
    since="2025-07-23",
    pool_fee=FEE_OF_WEIGHTED_POOL,
    flat_fee_tao=0.0,
    min_reserve=MIN_RESERVE,
)
_SUBSIDY = replace(
    _LAUNCH_V3,
    name="subsidy",
    since="2025-08-19",
    injection="subsidy",
    pruning=True,
    min_lock_tao=100.0,
    lock_interval_days=8.0,
)
_TAO_FLOW = replace(
    _SUBSIDY,
    name="tao_flow",
    since="2025-11-04",
    allocation="tao_flow",
    injection="block_emission",
    root_dividend="claimable",
    root_gate="chain",
)
_NET_FLOW = replace(
    _TAO_FLOW,
    name="net_flow",
    since="2026-05-27",
    allocation="net_flow",
    seeding="median_price",
    chain_bought="protocol",
)
_PRICE_ROOTPROP = replace(
    _NET_FLOW,
    name="price_rootprop",
    since="2026-06-22",
    allocation="price_rootprop",
    injection="root_proportion",
    min_order_tao=0.002,
    start_delay_days=0,
    entrants_enabled=False,
)
_PRICE_BURN = replace(
    _PRICE_ROOTPROP, name="price_burn", since="2026-06-30", allocation="price_burn"
)
_PRICE_BURN_GATE = replace(
    _PRICE_BURN, name="price_burn_gate", since="2026-07-24", allocation="price_burn_gate"
)

ERAS = {
    era.name: era
    for era in (
        _PRE_DTAO,
        _LAUNCH,
        _LAUNCH_V3,
        _SUBSIDY,
        _TAO_FLOW,
        _NET_FLOW,
        _PRICE_ROOTPROP,
        _PRICE_BURN,
        _PRICE_BURN_GATE,
    )
}
"""The eras of the chain by name, in their order."""


@dataclass(frozen=True)
class Period:
    """Rules from a date on: an era, and its differences at the time (parameters of `Config`)."""

    since: date
    era: str
    changes: dict[str, Any] = field(default_factory=dict)


_SINCE_MARCH_2025 = {"lock_interval_days": 2.0}
_SINCE_2026 = {"lock_interval_days": 16.0}

HISTORY = (
    Period(
        date(2025, 2, 13),
        "launch",
        {"spans_per_day": 240, "start_delay_days": 0, "lock_interval_days": 4.0},
    ),
    Period(
        date(2025, 3, 1),
        "launch",
        {"spans_per_day": 240, "start_delay_days": 0} | _SINCE_MARCH_2025,
    ),
    Period(date(2025, 3, 27), "launch", {"start_delay_days": 0} | _SINCE_MARCH_2025),
    Period(date(2025, 3, 29), "launch", _SINCE_MARCH_2025),
    Period(date(2025, 7, 23), "launch_v3", _SINCE_MARCH_2025),
    Period(date(2025, 8, 19), "subsidy", {"pruning": False} | _SINCE_MARCH_2025),
    Period(date(2025, 9, 17), "subsidy"),
    Period(date(2025, 11, 4), "tao_flow", {"injection": "alpha_emission_bought"}),
    Period(date(2025, 12, 12), "tao_flow"),
    Period(date(2026, 1, 24), "tao_flow", _SINCE_2026),
    Period(date(2026, 4, 23), "tao_flow", {"seeding": "median_price"} | _SINCE_2026),
    Period(date(2026, 5, 27), "net_flow", {"chain_bought": "destroyed"} | _SINCE_2026),
    Period(date(2026, 6, 3), "net_flow", _SINCE_2026),
    Period(date(2026, 6, 22), "price_rootprop", _SINCE_2026),
    Period(date(2026, 6, 30), "price_burn", _SINCE_2026),
    Period(date(2026, 7, 24), "price_burn_gate", _SINCE_2026),
)
"""Rules of the chain since it has pools, by date (days on which a change was merged).

Two facts come from recorded registrations, not from code. Until the end of March 2025 new subnets were traded on their
first day; from netuid 83, of 29 March, on prices show pools that wait for the owner's start call. And pairs of
consecutive registrations show the interval in which the lock cost fell: 28,800 blocks in February 2025, 14,400 from
March to June 2025, 57,600 from autumn 2025 on (28,800 after the halving), and 57,600 again, at half the emission, since
late January 2026.
"""
